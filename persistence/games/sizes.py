"""What games take in the database, measured on those that ended last."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from persistence.database import Database
from persistence.queries import load_queries

SQL = load_queries("games/sizes")

LINE_POINTER_BYTES: Final = 4  # of a row, on its page
SAMPLE_GAMES: Final = 200


class RulesetSize(NamedTuple):
    """A ruleset's games: how many were measured, and on average of one, its events and bytes."""

    ruleset: str
    games: int
    events: float
    event_bytes: float


class GameSizes(NamedTuple):
    """Sizes by ruleset; what a game takes in other tables; and how many ended within a week.

    `archived` is the average size of an archived log in the store, by ruleset.
    """

    rulesets: Sequence[RulesetSize]
    other_bytes: float
    archived: Mapping[str, float]
    games_a_week: int


async def measure_games(database: Database, *, sample: int = SAMPLE_GAMES) -> GameSizes:
    """Measure at most `sample` of the newest games of each ruleset, with their share of indexes."""
    async with database.acquire() as connection:
        indexes = await connection.fetchrow(SQL["indexes_of_events"])
        others = await connection.fetchrow(SQL["beside_events"])
        recent = await connection.fetch(SQL["recent_games"], sample)
        archived = await connection.fetch(SQL["archived_games"])
        pace: int = await connection.fetchval(SQL["pace"])
    assert indexes is not None
    assert others is not None
    beside = LINE_POINTER_BYTES + _share(indexes["bytes"], indexes["events"])
    return GameSizes(
        [
            RulesetSize(
                row["ruleset"],
                row["games"],
                row["events"] / row["games"],
                (row["row_bytes"] + row["events"] * beside) / row["games"],
            )
            for row in recent
            if row["events"]
        ],
        _share(others["bytes"], others["games"]),
        {row["ruleset"]: row["object_bytes"] / row["games"] for row in archived},
        pace,
    )


def _share(total: int, parts: int) -> float:
    return total / parts if parts else 0.0
