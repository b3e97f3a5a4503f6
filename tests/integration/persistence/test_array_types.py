"""Arrays that the driver need not look up are what PostgreSQL says they are."""

from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pytest

from persistence.array_types import BUILT_IN
from persistence.database import Database

VALUES = {
    "_bool": [True, None],
    "_bytea": [b"\x00\xff", b""],
    "_int2": [-1, 2],
    "_int4": [[1, 2], [3, 4]],
    "_int8": [1 << 62],
    "_timestamptz": [datetime(2026, 11, 20, tzinfo=UTC)],
    "_numeric": [Decimal("1.50")],
    "_uuid": ["0b54d0b8-5d5e-4a8e-9a60-3f1a0f6d6a55"],
    "_jsonb": [b'{"a": 1}'],
}


async def test_numbers_are_those_of_the_server(database: Database) -> None:
    async with database.acquire() as connection:
        found = await connection.fetch(
            "SELECT oid, typname::text, typelem FROM pg_type "
            "WHERE oid = ANY ($1::oid[]) AND typdelim = ',' AND typtype = 'b'",
            list(BUILT_IN),
        )
    assert {row["oid"]: (row["typname"], row["typelem"]) for row in found} == BUILT_IN


@pytest.mark.parametrize("name", VALUES)
async def test_value_goes_there_and_back_in_one_statement(database: Database, name: str) -> None:
    asked: list[str] = []

    def note(query: asyncpg.connection.LoggedQuery) -> None:
        asked.append(query.query)

    connection = await database.open_unpooled_connection()
    connection.add_query_logger(note)
    try:
        value = await connection.fetchval(f"SELECT $1::{name}", VALUES[name])
    finally:
        await connection.close()
    assert value == VALUES[name]
    assert asked == [f"SELECT $1::{name}"]


async def test_other_types_are_looked_up(database: Database) -> None:
    async with database.acquire() as connection:
        both = await connection.fetchrow("SELECT $1::inet[] AS i, $2::uuid[] AS u", [], [])
    assert both is not None
    assert tuple(both) == ([], [])


def test_every_one_of_them_is_tried() -> None:
    assert {name for name, _ in BUILT_IN.values()} == VALUES.keys()
