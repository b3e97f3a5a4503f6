"""From what is stored to what is sent. Pure."""

from collections.abc import Sequence

from persistence.records import Entry, Position, StoredMatch, StoredStats, StoredSummary
from protocol.record import (
    Board,
    Leaderboard,
    LeaderboardRow,
    Match,
    Matches,
    PlayerStats,
    Ruleset,
    Summary,
)
from server.domains.records.rules import write_cursor
from server.gamekit.fold import AnyRuleset
from server.kernel.clock import wire_time, wire_time_or_none


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
