-- Writes hashes that must never go back in order.
-- KEYS: the hashes. ARGV, for each key: its order; its expiry (milliseconds since 1970, or '' for none); how many fields
-- have a value, or 'D' for a tombstone; how many have none; a name and a value for each of the former; the names of the
-- latter.
-- Answers for each key: 1 written over an older value, 2 written where there was none, 0 not newer than what is stored, or
-- the text of the error that key met.
-- Orders are compared as text: a number of Lua has 53 bits and would lose nanoseconds. No table is built per key: that
-- would cost more than the commands.
local call, pcall, arguments = redis.call, redis.pcall, ARGV
local answers = {}
local at = 1
for index = 1, #KEYS do
  local key, order, expiry, values = KEYS[index], arguments[at], arguments[at + 1], arguments[at + 2]
  local first = at + 4
  local absent = first + 2 * (tonumber(values) or 0)
  at = absent + tonumber(arguments[at + 3])
  local stored = pcall('HGET', key, '_at')
  if type(stored) == 'table' then
    answers[index] = stored.err
  elseif stored and stored >= order then
    answers[index] = 0
  else
    if values == 'D' then call('DEL', key) end
    local written = pcall('HSET', key, '_at', order, unpack(arguments, first, absent - 1))
    if type(written) == 'table' then
      answers[index] = written.err
    else
      if stored and absent < at then call('HDEL', key, unpack(arguments, absent, at - 1)) end
      if expiry ~= '' then
        call('PEXPIREAT', key, expiry)
      elseif stored then
        call('PERSIST', key)
      end
      answers[index] = stored and 1 or 2
    end
  end
end
return answers
