-- Writes hashes that must never go back in order.
-- KEYS: the hashes. ARGV: the number of fields n, the n names, then for each key
-- its order, its expiry (milliseconds since 1970, or '' for none), which values there are ('1' or '0' for each, or 'D'
-- for a tombstone) and n values.
-- Answers for each key: 1 written, 0 not newer than what is stored, or the text of the error that key met.
-- Orders are compared as text: a number of Lua has 53 bits and would lose nanoseconds.
local count = tonumber(ARGV[1])
local at = count + 2
local answers = {}

local function write(key, order, expiry, present, at)
  local stored = redis.pcall('HGET', key, '_at')
  if type(stored) == 'table' then return stored.err end
  if stored and stored >= order then return 0 end
  local arguments = { 'HSET', key, '_at', order }
  local absent = { 'HDEL', key }
  if present == 'D' then
    redis.call('DEL', key)
  else
    for field = 1, count do
      if string.byte(present, field) == 49 then
        arguments[#arguments + 1] = ARGV[field + 1]
        arguments[#arguments + 1] = ARGV[at + 2 + field]
      elseif stored then
        absent[#absent + 1] = ARGV[field + 1]
      end
    end
  end
  local written = redis.pcall(unpack(arguments))
  if type(written) == 'table' then return written.err end
  if #absent > 2 then redis.call(unpack(absent)) end
  if expiry ~= '' then
    redis.call('PEXPIREAT', key, expiry)
  elseif stored then
    redis.call('PERSIST', key)
  end
  return 1
end

for index, key in ipairs(KEYS) do
  answers[index] = write(key, ARGV[at], ARGV[at + 1], ARGV[at + 2], at)
  at = at + 3 + count
end
return answers
