"""What the reports read of stored telemetry: how many players came how far, and took how long."""

from typing import Final, NamedTuple, TypeAlias

from persistence.database import Database
from persistence.queries import load_queries

SQL = load_queries("telemetry/reports")

ROWS_MAX: Final = 1000

Cell: TypeAlias = str | int | float | None


class IdRange(NamedTuple):
    """Events whose ids, which begin with their time, are from one and below another."""

    first: str
    end: str


class ReportStore:
    """Reads reports; a row's values are in the order of the report's columns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_funnel(self, ids: IdRange, quest: str | None) -> list[list[Cell]]:
        """Read how many players reached each step."""
        return await self._rows("funnel", *ids, quest, ROWS_MAX)

    async def read_stops(self, ids: IdRange, quest: str | None, idle_id: str) -> list[list[Cell]]:
        """Read at which step players stopped who sent nothing after an id's time."""
        return await self._rows("stops", *ids, quest, ROWS_MAX, idle_id)

    async def read_pacing(self, ids: IdRange) -> list[list[Cell]]:
        """Read how long chapters took."""
        return await self._rows("pacing", *ids, ROWS_MAX)

    async def read_choices(self, ids: IdRange) -> list[list[Cell]]:
        """Read the share of each option."""
        return await self._rows("choices", *ids, ROWS_MAX)

    async def _rows(self, name: str, *values: object) -> list[list[Cell]]:
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL[name], *values)
        return [[_cell(value) for value in row] for row in rows]


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, str | int):
        return value
    return round(float(value), 4)  # type: ignore[arg-type]  # a float or a numeric
