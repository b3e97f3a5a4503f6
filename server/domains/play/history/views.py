"""Match history, statistics and leaderboards as they are sent, and the cursor of a history.

It names the last match that was sent, so a page stays right when new matches come in. It
reads `<microseconds since 1970>.<match id>`, in base64 so that nobody builds on that.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from persistence.history.store import Entry, Position, StoredMatch, StoredStats, StoredSummary
from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.history import (
    Board,
    Leaderboard,
    LeaderboardRow,
    Match,
    Matches,
    MatchPath,
    PlayerStats,
    Ruleset,
    Summary,
)
from protocol.ids import MatchId
from server.core.clock import wire_time, wire_time_or_none
from server.gamekit.fold import AnyRuleset

# Before the newest match.
START = Position(datetime.max.replace(tzinfo=UTC), MatchId("00000000-0000-0000-0000-000000000000"))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def write_cursor(position: Position) -> str:
    """Write a position as text for a client to give back."""
    text = f"{(position.ended_at - _EPOCH) // _MICROSECOND}.{position.match_id}"
    return urlsafe_b64encode(text.encode()).decode()


def read_cursor(cursor: str | None) -> Position:
    """Read what `write_cursor` wrote; None is the start; raise `InvalidField`."""
    if cursor is None:
        return START
    try:
        microseconds, _, match_id = urlsafe_b64decode(cursor).decode("ascii").partition(".")
        ended_at = _EPOCH + int(microseconds) * _MICROSECOND
        path = validate(MatchPath, {"match_id": match_id})
    except (ValueError, OverflowError, InvalidField):
        raise InvalidField(
            "cursor: send the `next` of the previous page.", field="cursor"
        ) from None
    return Position(ended_at, path.match_id)


def ruleset(rules: AnyRuleset) -> Ruleset:
    """Describe a kind of game."""
    return Ruleset(
        name=rules.name,
        title=rules.title,
        version=rules.version,
        seats_min=min(rules.seats),
        seats_max=max(rules.seats),
        bots=sorted(rules.bots),
        config_schema=rules.config.model_json_schema(),
    )


def summary(stored: StoredSummary) -> Summary:
    """Write a finished game's summary."""
    return Summary(**{**stored._asdict(), "created_at": wire_time(stored.created_at)})


def stats(stored: StoredStats, ruleset: str | None) -> PlayerStats:
    """Write a player's statistics, over all games or in a ruleset."""
    last_game_at = wire_time_or_none(stored.last_game_at)
    return PlayerStats(**{**stored._asdict(), "last_game_at": last_game_at}, ruleset=ruleset)


def match(stored: StoredMatch) -> Match:
    """Write one match."""
    fields = stored._asdict()
    uncounted = fields.pop("uncounted")
    shown = {
        "started_at": wire_time_or_none(stored.started_at),
        "ended_at": wire_time_or_none(stored.ended_at),
        "counts": uncounted is None,
        "declared": uncounted == "declared",
    }
    return Match(**{**fields, **shown})


def page(found: Sequence[StoredMatch], limit: int) -> Matches:
    """Write a page of what was found by asking for one more than `limit`."""
    shown = found[:limit]
    cursor = write_cursor(_position(shown[-1])) if len(found) > limit else None
    return Matches(matches=[match(stored) for stored in shown], next=cursor)


def leaderboard(board: Board, entries: Sequence[Entry], ruleset: str | None = None) -> Leaderboard:
    """Write a board that begins with the best; equal values share a rank."""
    values = [entry.value for entry in entries]
    rows = [
        LeaderboardRow(rank=values.index(entry.value) + 1, **entry._asdict()) for entry in entries
    ]
    return Leaderboard(board=board, ruleset=ruleset, rows=rows)


def _position(stored: StoredMatch) -> Position:
    assert stored.ended_at is not None, "a match in a history has ended"
    return Position(stored.ended_at, stored.match_id)
