"""Match history, statistics and leaderboards as they are sent, and the cursor of a history.

It names the last match that was sent, so a page stays right when new matches come in.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from persistence.history.store import HistoryPosition, LeaderboardEntry, StoredMatch
from protocol.history import (
    Board,
    Leaderboard,
    LeaderboardRow,
    Match,
    Matches,
    Ruleset,
)
from protocol.ids import MatchId
from server.core.clock import wire_fields
from server.core.cursors import CursorCodec
from server.gamekit.fold import AnyRuleset

# Before the newest match.
START = HistoryPosition(
    datetime.max.replace(tzinfo=UTC), MatchId("00000000-0000-0000-0000-000000000000")
)

CURSOR = CursorCodec("matches", HistoryPosition, datetime, UUID)


def read_cursor(cursor: str | None) -> HistoryPosition:
    """Read where a history goes on; None is the start; raise `InvalidField`."""
    return START if cursor is None else CURSOR.read(cursor)


def ruleset(rules: AnyRuleset) -> Ruleset:
    """Describe a kind of game."""
    return Ruleset(
        name=rules.name,
        title=rules.title,
        version=rules.version,
        seats_min=min(rules.seats),
        seats_max=max(rules.seats),
        bots=sorted(rules.bots),
        rules=rules.rules,
        config_schema=rules.config.model_json_schema(),
    )


def match(stored: StoredMatch) -> Match:
    """Write one match."""
    fields = wire_fields(stored)
    uncounted = fields.pop("uncounted")
    return Match(**fields, counts=uncounted is None, declared=uncounted == "declared")


def page(found: Sequence[StoredMatch], limit: int) -> Matches:
    """Write a page of what was found by asking for one more than `limit`."""
    shown = found[:limit]
    cursor = CURSOR.write(_position(shown[-1])) if len(found) > limit else None
    return Matches(matches=[match(stored) for stored in shown], next=cursor)


def leaderboard(
    board: Board, entries: Sequence[LeaderboardEntry], ruleset: str | None = None
) -> Leaderboard:
    """Write a board that begins with the best; equal values share a rank."""
    values = [entry.value for entry in entries]
    rows = [
        LeaderboardRow(rank=values.index(entry.value) + 1, **entry._asdict()) for entry in entries
    ]
    return Leaderboard(board=board, ruleset=ruleset, rows=rows)


def _position(stored: StoredMatch) -> HistoryPosition:
    assert stored.ended_at is not None, "a match in a history has ended"
    return HistoryPosition(stored.ended_at, stored.match_id)
