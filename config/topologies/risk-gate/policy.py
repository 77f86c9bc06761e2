#!/usr/bin/env python3
"""A risk policy that acts on the verdicts of the topology beside this file. Python's own library, nothing else.

    policy.py REDIS_URL KEY [MAX_AGE_SECONDS]      e.g. policy.py redis://127.0.0.1:6379/0 gate:binance:BTCUSDT 3

Prints one word, what may be done, and why; ends with 0 for `full` or `reduced`, with 1 for `none`. Whatever goes wrong
on the way to an answer is an answer: none.
"""

import socket
import sys
import time
from datetime import datetime
from urllib.parse import unquote, urlsplit


def ask(url, *command):
    """One command, its answer as Python values (RESP2)."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 6379), timeout=1) as connection:
        connection.settimeout(1)
        stream = connection.makefile("rwb")
        commands = [command]
        database = parts.path.strip("/")
        if database:
            commands.insert(0, ("SELECT", database))
        if parts.password:
            login = [unquote(parts.username)] if parts.username else []
            commands.insert(0, ("AUTH", *login, unquote(parts.password)))
        answer = None
        for one in commands:
            stream.write(b"*%d\r\n" % len(one))
            for word in one:
                word = word.encode()
                stream.write(b"$%d\r\n%s\r\n" % (len(word), word))
            stream.flush()
            answer = read(stream)
        return answer


def read(stream):
    line = stream.readline()
    kind, rest = line[:1], line[1:].strip()
    if kind == b"+":
        return rest.decode()
    if kind == b":":
        return int(rest)
    if kind == b"$":
        size = int(rest)
        return None if size < 0 else stream.read(size + 2)[:-2].decode()
    if kind == b"*":
        return [read(stream) for _ in range(int(rest))]
    raise OSError(line.decode(errors="replace").strip() or "Redis closed the connection")


def verdict(url, key, age_max):
    """`trade`, `watch` or `halt`, and why: no verdict, an old one, or no answer is `halt`."""
    try:
        fields = ask(url, "HGETALL", key)
        found = dict(zip(fields[::2], fields[1::2]))
        if "verdict" not in found:
            return "halt", "nobody speaks of it"
        age = time.time() - datetime.fromisoformat(found["at"].replace("Z", "+00:00")).timestamp()
        if not -age_max <= age <= age_max:
            return "halt", f"the verdict is {age:.1f} s old"
        return found["verdict"], found["reason"]
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        return "halt", f"no answer: {error}"


# What this desk does with a verdict. Whatever is not in the list is none.
POLICY = {"trade": "full", "watch": "reduced"}


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    age_max = float(sys.argv[3]) if len(sys.argv) == 4 else 3.0
    word, why = verdict(sys.argv[1], sys.argv[2], age_max)
    allowed = POLICY.get(word, "none")
    print(f"{allowed}: {word}, {why}")
    sys.exit(0 if allowed != "none" else 1)


if __name__ == "__main__":
    main()
