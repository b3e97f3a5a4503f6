"""From what is stored to what is sent, and the cursors of lists. Pure."""

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from persistence.bots.avatars import StoredAvatar
from persistence.bots.store import NEWEST, Ownership, Place, Snapshot, StoredBot
from persistence.bots.tokens import StoredToken
from protocol.bots import (
    Avatar,
    Avatars,
    Bot,
    BotOwner,
    BotOwners,
    Bots,
    BotToken,
    BotTokens,
    MadeBotToken,
    StatsSnapshot,
    StatsSnapshots,
)
from protocol.errors import InvalidField
from protocol.ids import UUID_PATTERN
from server.core.clock import wire_time, wire_time_or_none

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_PLACE: Final = re.compile(rf"before-([0-9]{{1,17}})-({UUID_PATTERN.strip('^$')})")


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
        raise _bad_cursor()
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


def avatar(stored: StoredAvatar) -> Avatar:
    """Write an avatar."""
    return Avatar(**{**stored._asdict(), "created_at": wire_time(stored.created_at)})


def avatars(stored: Sequence[StoredAvatar]) -> Avatars:
    """Write a list of avatars."""
    return Avatars(avatars=[avatar(each) for each in stored])


def snapshots(page: Sequence[Snapshot], limit: int) -> StatsSnapshots:
    """Write a page of snapshots; where it is full, another may follow."""
    last = Place(page[-1].created_at, page[-1].id) if len(page) == limit else None
    return StatsSnapshots(
        snapshots=[_snapshot(each) for each in page], next=last and write_place(last)
    )


def write_place(place: Place) -> str:
    """Write where a list of snapshots goes on."""
    at_us = (place.created_at - _EPOCH) // _MICROSECOND
    return f"before-{at_us}-{place.id}"


def read_place(cursor: str | None) -> Place:
    """Read what `write_place` wrote; None is the start."""
    if cursor is None:
        return NEWEST
    if (found := _PLACE.fullmatch(cursor)) is None:
        raise _bad_cursor()
    return Place(_EPOCH + int(found[1]) * _MICROSECOND, found[2])


def _bad_cursor() -> InvalidField:
    problem = "cursor: send the `next` of the previous page unchanged."
    return InvalidField(problem, field="cursor")


def _snapshot(stored: Snapshot) -> StatsSnapshot:
    return StatsSnapshot(
        epoch_id=stored.epoch_id,
        snapshot_uri=stored.uri,
        snapshot_hash=stored.sha256,
        created_at=wire_time(stored.created_at),
    )


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
