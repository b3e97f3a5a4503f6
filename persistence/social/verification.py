"""Counters of the social platform, counted again from the rows, and repaired where asked."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from persistence.database import Database
from persistence.queries import load_queries

SQL: Final = load_queries("social/verification")
CHECKED_AT_ONCE: Final = 500
_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"


class CounterDifference(NamedTuple):
    """A counter that is not what it counts; of a creation, `listed` is 1 for what lists show.

    `wrong_days` are days of a creation that are not what they count.
    """

    table: str
    id: str
    counter: str
    stored: int
    counted: int


class CheckedRows(NamedTuple):
    """What was checked of some rows of a table."""

    rows: int
    differences: list[CounterDifference]


class _Counted(NamedTuple):
    """How the counters of a table are read, checked and repaired."""

    table: str
    listing: str
    check: str
    lock: str
    repairs: Sequence[str]


_TABLES: Final = (
    _Counted(
        "profiles",
        SQL["list_profiles"],
        SQL["check_profiles"],
        SQL["lock_profile"],
        (SQL["repair_profile"],),
    ),
    _Counted(
        "creations",
        SQL["list_creations"],
        SQL["check_creations"],
        SQL["lock_creation"],
        (SQL["repair_creation"], SQL["forget_days"], SQL["repair_days"], SQL["list_again"]),
    ),
    _Counted(
        "comments",
        SQL["list_comments"],
        SQL["check_comments"],
        SQL["lock_comment"],
        (SQL["repair_comment"],),
    ),
    _Counted(
        "luminor_conversations",
        SQL["list_conversations"],
        SQL["check_conversations"],
        SQL["lock_conversation"],
        (SQL["repair_conversation"],),
    ),
    # Before companions, which count what was said in their bonds.
    _Counted(
        "luminor_relationships",
        SQL["list_bonds"],
        SQL["check_bonds"],
        SQL["lock_bond"],
        (SQL["repair_bond"], SQL["raise_bond"]),
    ),
    _Counted(
        "luminors",
        SQL["list_luminors"],
        SQL["check_luminors"],
        SQL["lock_luminor"],
        (SQL["repair_luminor"],),
    ),
)


class SocialVerification:
    """Compares counters with what they count, while people go on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check_counters(self, *, repair: bool) -> AsyncIterator[CheckedRows]:
        """Check all counters, some rows at a time; `repair` those that differ."""
        for counted in _TABLES:
            last = _FIRST_ID
            while True:
                async with self._database.acquire() as connection:
                    rows = await connection.fetch(counted.listing, last, CHECKED_AT_ONCE)
                    ids = [row["id"] for row in rows]
                    # One statement sees one moment, in which counters and rows agree.
                    found = await connection.fetch(counted.check, ids)
                if not ids:
                    break
                differences = [CounterDifference(counted.table, *row) for row in found]
                if repair:
                    for wrong in dict.fromkeys(each.id for each in differences):
                        await self._repair(counted, wrong)
                yield CheckedRows(len(ids), differences)
                last = ids[-1]

    async def _repair(self, counted: _Counted, id_: str) -> None:
        """Count anew while the row is locked: whoever changes the counter later adds to it."""
        async with self._database.transaction() as connection:
            await connection.execute(counted.lock, id_)
            for repair in counted.repairs:
                await connection.execute(repair, id_)
