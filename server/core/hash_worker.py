"""A process that hashes passwords, one at a time, for the server that started it.

Requests and replies are lines of JSON: `{"hash": password}` is answered with `{"hash": text}`,
`{"verify": [text, password]}` with `{"fits": true}`. The two arguments are the passes that a hash
takes, and its memory in KiB. The process ends when its input does, so it never outlives the server,
however that ends.
"""

import json
import os
import signal
import sys
from typing import Any

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

# What bcrypt can tell apart; who hashed a longer one refused it.
BCRYPT_BYTES_MAX = 72

# The scheduler gives this process what the server and its database leave over: of a contended core
# about a tenth, so that under full load a sign-in takes seconds, and a move no longer than before.
NICENESS = 10


def main() -> None:
    """Answer requests until the input ends."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the server, which then closes us
    passes, memory_kib = map(int, sys.argv[1:])
    hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib)
    for line in sys.stdin.buffer:
        reply = json.dumps(_answer(hasher, json.loads(line)))
        sys.stdout.buffer.write(reply.encode() + b"\n")
        sys.stdout.buffer.flush()


def _answer(hasher: PasswordHasher, request: dict[str, Any]) -> dict[str, Any]:
    if (password := request.get("hash")) is not None:
        return {"hash": hasher.hash(password)}
    stored, password = request["verify"]
    if stored.startswith("$2"):  # from a service where somebody was before
        secret = password.encode()
        return {"fits": len(secret) <= BCRYPT_BYTES_MAX and bcrypt.checkpw(secret, stored.encode())}
    try:
        return {"fits": hasher.verify(stored, password)}
    except VerifyMismatchError:
        return {"fits": False}


if __name__ == "__main__":
    main()
