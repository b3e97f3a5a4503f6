"""What bots and their tokens must be, beyond the shape of their fields. Pure."""

import re
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from persistence.bots.store import BotAccess
from protocol.bots import BotNotActive, BotNotFound, NotTheOwner, TooManyWallets, WalletTaken
from protocol.errors import InvalidField, RateLimited
from protocol.ids import UUID_PATTERN, UserId
from server.core.rate_limits import whole_seconds

TOKEN_PREFIX: Final = "pb_"  # noqa: S105 - says what kind of token it is; a secret follows it
TOKEN_LIFE_MAX: Final = timedelta(days=3660)
BOTS_MAX: Final = 100  # that one account registers
TOKENS_MAX: Final = 20  # good ones of one bot
AVATARS_MAX: Final = 100  # of one bot
WALLETS_MAX: Final = 20  # of one account
NONCE_S: Final = 600.0
NONCES_MAX: Final = 20  # of one account within their lives; each allows one signature to be checked

_ID: Final = re.compile(UUID_PATTERN)


def require_owner(standing: BotAccess | None) -> None:
    """Refuse to act for a bot that is not there, not one's own, or not active."""
    if standing is None:
        raise BotNotFound
    if not standing.is_owner:
        raise NotTheOwner
    if standing.status != "active":
        raise BotNotActive


def require_linked(holder: UserId | None, user_id: UserId) -> None:
    """Refuse where an address that was to be linked is another account's, or nobody's."""
    if holder is None:
        raise TooManyWallets
    if holder != user_id:
        raise WalletTaken


def compute_nonce_expiry(added: datetime | float) -> datetime:
    """Say when a nonce expires; refuse if there is a time to wait instead."""
    if isinstance(added, datetime):
        return added
    raise RateLimited(
        f"You have requested too many nonces; try again in {whole_seconds(added)} s.",
        retry_after_s=added,
    )


def require_valid_expiry(expires_at: datetime | None, *, now: datetime) -> None:
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


def is_bot_id(bot: str) -> bool:
    """Say whether the bot in an address is meant by its id; no slug looks like one."""
    return _ID.fullmatch(bot) is not None
