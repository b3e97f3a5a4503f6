"""What bots and their tokens must be, beyond the shape of their fields. Pure."""

import re
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from protocol.errors import InvalidField
from protocol.ids import UUID_PATTERN

TOKEN_PREFIX: Final = "pb_"  # noqa: S105 - says what kind of token it is; a secret follows it
TOKEN_LIFE_MAX: Final = timedelta(days=3660)

_ID: Final = re.compile(UUID_PATTERN)


def check_expiry(expires_at: datetime | None, *, now: datetime) -> None:
    """Raise `InvalidField` for a token that would end at once, or after too long."""
    if expires_at is not None and not now < expires_at <= now + TOKEN_LIFE_MAX:
        problem = "expires_at: choose a time between now and ten years from now."
        raise InvalidField(problem, field="expires_at")


def token_hash(token: str) -> bytes:
    """Hash a token for storage; it has 256 random bits, so a plain SHA-256 is enough."""
    return sha256(token.encode()).digest()


def is_bot_token(token: str) -> bool:
    """Say whether a token is a bot's rather than a person's."""
    return token.startswith(TOKEN_PREFIX)


def names_id(bot: str) -> bool:
    """Say whether the bot in an address is meant by its id; no slug looks like one."""
    return _ID.fullmatch(bot) is not None
