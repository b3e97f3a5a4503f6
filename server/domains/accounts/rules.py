"""What becomes of a refresh token. Pure.

A refresh token works once. Clients do retry, so within `REPEAT_S` of its use it is answered
with the same successor, as long as that one is unused. After that its return means that two
hold it, and the session ends.

The successor need not be stored to be the same: it is HMAC-SHA256 of a random salt, with
the old token as the key. The database holds the salt and the hashes of both tokens, which
give neither token away; whoever stole an old token has no salt.
"""

import hmac
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from enum import Enum, auto
from hashlib import sha256

REPEAT_S = 30.0


class Verdict(Enum):
    """What an unspendable token's return means."""

    REPEATED = auto()
    REUSED = auto()
    EXPIRED = auto()
    REVOKED = auto()


def judge(
    *, used_at: datetime | None, is_ended: bool, is_successor_used: bool, now: datetime
) -> Verdict:
    """Say why a refresh token could not be spent at `now`."""
    if is_ended:
        return Verdict.REVOKED
    if used_at is None:
        return Verdict.EXPIRED
    if is_successor_used or now - used_at > timedelta(seconds=REPEAT_S):
        return Verdict.REUSED
    return Verdict.REPEATED


def successor_of(token: str, salt: str) -> str:
    """Derive the token that another is traded for: 43 characters, 256 bits."""
    digest = hmac.digest(token.encode(), salt.encode(), sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def token_hash(token: str) -> bytes:
    """Hash a token for storage; it has 256 random bits, so a plain SHA-256 is enough."""
    return sha256(token.encode()).digest()
