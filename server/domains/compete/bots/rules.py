"""What bots and their tokens must be, beyond the shape of their fields. Pure."""

import re
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from persistence.bots import tokens
from persistence.bots.store import Draft
from protocol.bots import NewBot, NewBotToken
from protocol.errors import InvalidField
from protocol.ids import UUID_PATTERN, BotId, PlayerId, UserId, new_id

TOKEN_PREFIX: Final = "pb_"  # noqa: S105 - says what kind of token it is; a secret follows it
TOKEN_RANDOM_BYTES: Final = 32
TOKEN_LIFE_MAX: Final = timedelta(days=3660)

_ID: Final = re.compile(UUID_PATTERN)


def drawn(new: NewBot, maker: UserId) -> Draft:
    """Turn what somebody sent into a bot to be registered."""
    return Draft(
        bot_id=BotId(new_id()),
        slug=new.slug,
        player_id=PlayerId(new_id()),
        created_by=maker,
        chain_id=new.chain_id,
        contract_address=new.contract_address,
        token_id=new.token_id,
        metadata_uri=new.metadata_uri,
    )


def minted(new: NewBotToken, bot_id: BotId, *, now: datetime) -> tuple[str, tokens.TokenDraft]:
    """Make a token, and what is stored of it; raise `InvalidField`."""
    if new.expires_at is not None and not now < new.expires_at <= now + TOKEN_LIFE_MAX:
        problem = "expires_at: choose a time between now and ten years from now."
        raise InvalidField(problem, field="expires_at")
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_RANDOM_BYTES)
    draft = tokens.TokenDraft(
        token_id=new_id(),
        bot_id=bot_id,
        token_hash=token_hash(token),
        label=new.label,
        scopes=sorted(new.scopes),
        expires_at=new.expires_at,
    )
    return token, draft


def token_hash(token: str) -> bytes:
    """Hash a token for storage; it has 256 random bits, so a plain SHA-256 is enough."""
    return sha256(token.encode()).digest()


def is_bot_token(token: str) -> bool:
    """Say whether a token is a bot's rather than a person's."""
    return token.startswith(TOKEN_PREFIX)


def names_id(bot: str) -> bool:
    """Say whether the bot in an address is meant by its id; no slug looks like one."""
    return _ID.fullmatch(bot) is not None
