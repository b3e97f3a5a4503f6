"""From what is stored to what is sent, and the cursors of lists. Pure."""

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from persistence.bots import Ownership, StoredBot
from persistence.bottokens import StoredToken
from protocol.bot import Bot, BotOwner, BotOwners, Bots, BotToken, BotTokens, MadeBotToken
from protocol.errors import InvalidField
from server.kernel.clock import wire_time, wire_time_or_none


def bot(stored: StoredBot) -> Bot:
    """Write a bot."""
    return Bot(**{**stored._asdict(), "created_at": wire_time(stored.created_at)})


def bots(page: Sequence[StoredBot], limit: int) -> Bots:
    """Write a page of bots; where it is full, another may follow."""
    last = page[-1].slug if len(page) == limit else None
    return Bots(bots=[bot(stored) for stored in page], next=last and write_cursor(last))


def write_cursor(slug: str) -> str:
    """Write where a list goes on as text for a client to give back."""
    return urlsafe_b64encode(slug.encode()).decode()


def read_cursor(cursor: str | None) -> str:
    """Read what `write_cursor` wrote; None is the start."""
    try:
        slug = b64decode(cursor or "", altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        slug = "\0"
    if "\0" in slug:
        problem = "cursor: send the `next` of the page before, unchanged."
        raise InvalidField(problem, field="cursor")
    return slug


def token(stored: StoredToken) -> BotToken:
    """Write a token without its secret."""
    return BotToken(**_of_token(stored))


def made_token(stored: StoredToken, secret: str) -> MadeBotToken:
    """Write a token with its secret, once."""
    return MadeBotToken(**_of_token(stored), token=secret)


def tokens(stored: Sequence[StoredToken]) -> BotTokens:
    """Write a list of tokens."""
    return BotTokens(tokens=[token(each) for each in stored])


def owners(history: Sequence[Ownership]) -> BotOwners:
    """Write who owned a bot when."""
    return BotOwners(owners=[_owner(each) for each in history])


def _owner(stored: Ownership) -> BotOwner:
    times = {
        "effective_from": wire_time(stored.effective_from),
        "effective_to": wire_time_or_none(stored.effective_to),
    }
    return BotOwner(**{**stored._asdict(), **times})


def _of_token(stored: StoredToken) -> dict[str, Any]:
    times = {
        "created_at": wire_time(stored.created_at),
        "expires_at": wire_time_or_none(stored.expires_at),
        "revoked_at": wire_time_or_none(stored.revoked_at),
    }
    return {**stored._asdict(), **times}
