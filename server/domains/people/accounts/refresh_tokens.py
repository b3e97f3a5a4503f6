"""What becomes of a refresh token. Pure.

A refresh token works once. Clients do retry, so within `REPEAT_S` of its use it is answered
with the same successor, as long as that one is unused. After that its return means that two
hold it, and the session ends.

A token is two parts, `secret.family`: the second is the same for all tokens of a sign-in. Used
tokens are soon forgotten, and one of those that returns is known by its family.

The successor need not be stored to be the same: it is HMAC-SHA256 of a random salt, with
the old token as the key. The database holds the salt and the hashes of both tokens, which
give neither token away; whoever stole an old token has no salt.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from enum import Enum, auto
from hashlib import sha256

REPEAT_S = 30.0
FAMILY_CHARS = 22


class RefreshVerdict(Enum):
    """What an unspendable token's return means."""

    REPEATED = auto()
    REUSED = auto()
    EXPIRED = auto()
    TOO_OFTEN = auto()
    REVOKED = auto()


def find_refresh_error(
    *,
    used_at: datetime | None,
    is_ended: bool,
    is_successor_used: bool,
    expires_at: datetime,
    now: datetime,
) -> RefreshVerdict:
    """Say why a refresh token could not be spent at `now`."""
    if is_ended:
        return RefreshVerdict.REVOKED
    if used_at is None:
        return RefreshVerdict.EXPIRED if expires_at <= now else RefreshVerdict.TOO_OFTEN
    if is_successor_used or now - used_at > timedelta(seconds=REPEAT_S):
        return RefreshVerdict.REUSED
    return RefreshVerdict.REPEATED


def create_token() -> str:
    """Make the first refresh token of a sign-in: 256 random bits, and 128 for the family."""
    return f"{secrets.token_urlsafe(32)}.{secrets.token_urlsafe(16)}"


def derive_successor(token: str, salt: str) -> str:
    """Derive the token that another is traded for: 256 bits of its own, and the same family.

    Older tokens have no family; their successors are given one.
    """
    _, _, family = token.partition(".")
    family = family or _derived(token, f"family of {salt}")[:FAMILY_CHARS]
    return f"{_derived(token, salt)}.{family}"


def _derived(token: str, salt: str) -> str:
    digest = hmac.digest(token.encode(), salt.encode(), sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def family_hash(token: str) -> bytes | None:
    """Hash what a token has in common with all of its sign-in; None for an older one."""
    _, _, family = token.partition(".")
    return token_hash(family) if family else None


def token_hash(token: str) -> bytes:
    """Hash a token for storage; it has 256 random bits, so a plain SHA-256 is enough."""
    return sha256(token.encode()).digest()
