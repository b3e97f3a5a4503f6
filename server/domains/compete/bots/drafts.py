"""Bots and tokens as they are about to be stored: with new ids, and with a new secret."""

import secrets
from datetime import datetime
from typing import Final

from persistence.bots.store import BotDraft
from persistence.bots.tokens import BotTokenDraft
from protocol.bots import NewBot, NewBotToken
from protocol.ids import BotId, PlayerId, UserId, new_id
from server.domains.compete.bots.rules import TOKEN_PREFIX, require_valid_expiry, token_hash

TOKEN_RANDOM_BYTES: Final = 32


def draft_bot(new: NewBot, maker: UserId) -> BotDraft:
    """Turn a request into a bot to be registered."""
    return BotDraft(
        bot_id=BotId(new_id()),
        slug=new.slug,
        player_id=PlayerId(new_id()),
        created_by=maker,
        chain_id=new.chain_id,
        contract_address=new.contract_address,
        token_id=new.token_id,
        metadata_uri=new.metadata_uri,
    )


def draft_token(new: NewBotToken, bot_id: BotId, *, now: datetime) -> tuple[str, BotTokenDraft]:
    """Make a token, and what is stored of it; raise `InvalidField`."""
    require_valid_expiry(new.expires_at, now=now)
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_RANDOM_BYTES)
    draft = BotTokenDraft(
        token_id=new_id(),
        bot_id=bot_id,
        token_hash=token_hash(token),
        label=new.label,
        scopes=sorted(new.scopes),
        expires_at=new.expires_at,
    )
    return token, draft
