"""From what is stored to what is sent, and the cursors of lists. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from persistence.bots.avatars import StoredAvatar
from persistence.bots.store import (
    NEWEST,
    BotOwnership,
    BotStatsSnapshot,
    SnapshotPosition,
    StoredBot,
)
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
from server.core.clock import wire_fields, wire_time
from server.core.cursors import CursorCodec

_BOTS: Final = CursorCodec("bots", str, str)
_SNAPSHOTS: Final = CursorCodec("snapshots", SnapshotPosition, datetime, UUID)


def bot(stored: StoredBot) -> Bot:
    """Write a bot."""
    return Bot(**wire_fields(stored))


def bots(page: Sequence[StoredBot], limit: int) -> Bots:
    """Write a page of bots; where it is full, another may follow."""
    more = _BOTS.after_page(page, limit, lambda last: last.slug)
    return Bots(bots=[bot(stored) for stored in page], next=more)


def read_cursor(cursor: str | None) -> str:
    """Read after which slug a list of bots goes on; None is the start."""
    return "" if cursor is None else _BOTS.read(cursor)


def token(stored: StoredToken) -> BotToken:
    """Write a token without its secret."""
    return BotToken(**wire_fields(stored))


def token_with_secret(stored: StoredToken, secret: str) -> MadeBotToken:
    """Write a token with its secret, once."""
    return MadeBotToken(**wire_fields(stored), token=secret)


def tokens(stored: Sequence[StoredToken]) -> BotTokens:
    """Write a list of tokens."""
    return BotTokens(tokens=[token(each) for each in stored])


def owners(history: Sequence[BotOwnership]) -> BotOwners:
    """Write who owned a bot when."""
    return BotOwners(owners=[BotOwner(**wire_fields(each)) for each in history])


def avatar(stored: StoredAvatar) -> Avatar:
    """Write an avatar."""
    return Avatar(**wire_fields(stored))


def avatars(stored: Sequence[StoredAvatar]) -> Avatars:
    """Write a list of avatars."""
    return Avatars(avatars=[avatar(each) for each in stored])


def snapshots(page: Sequence[BotStatsSnapshot], limit: int) -> StatsSnapshots:
    """Write a page of snapshots; where it is full, another may follow."""
    older = _SNAPSHOTS.after_page(
        page, limit, lambda last: SnapshotPosition(last.created_at, last.id)
    )
    return StatsSnapshots(snapshots=[_snapshot(each) for each in page], next=older)


def read_snapshot_cursor(cursor: str | None) -> SnapshotPosition:
    """Read where a list of snapshots goes on; None is the start."""
    return NEWEST if cursor is None else _SNAPSHOTS.read(cursor)


def _snapshot(stored: BotStatsSnapshot) -> StatsSnapshot:
    return StatsSnapshot(
        epoch_id=stored.epoch_id,
        snapshot_uri=stored.uri,
        snapshot_hash=stored.sha256,
        created_at=wire_time(stored.created_at),
    )
