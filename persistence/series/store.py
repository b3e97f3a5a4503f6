"""Series as they are stored. A series changes while its row is held."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import GameId, PlayerId

SQL: Final = load_queries("series/store")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSeries:
    """A series; `seats` are those of the game before it, None for a bot."""

    series_id: str
    after_game: GameId
    ruleset: str
    config: dict[str, Any]
    seats: tuple[PlayerId | None, ...]
    best_of: int
    agreed: tuple[PlayerId, ...] = ()
    state: str = "proposed"
    number: int = 0
    game_id: GameId | None = None
    is_starting: bool = False
    wins: dict[PlayerId, int]
    winner_id: PlayerId | None = None
    version: int = 1

    @property
    def people(self) -> tuple[PlayerId, ...]:
        """Who has to agree."""
        return tuple(player for player in self.seats if player is not None)


class FinishedGame(NamedTuple):
    """What was played, and the `players` of its summary; `at_table`: in a lobby with several."""

    ruleset: str
    config: bytes
    players: list[dict[str, Any]]
    at_table: bool


class SeriesTransaction:
    """One change of a series."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def read_game(self, game_id: GameId) -> FinishedGame | None:
        """Read a finished game of a lobby, and hold it."""
        row = await self._connection.fetchrow(SQL["finished_game"], game_id)
        return None if row is None else FinishedGame(row[0], row[1], orjson.loads(row[2]), row[3])

    async def lock_after(self, game_id: GameId) -> StoredSeries | None:
        """Hold the series that was proposed after a game."""
        row = await self._connection.fetchrow(SQL["lock_series_after"], game_id)
        return None if row is None else _series(row)

    async def lock_of_game(self, game_id: GameId) -> StoredSeries | None:
        """Hold the series whose present game this is."""
        row = await self._connection.fetchrow(SQL["lock_series_of_game"], game_id)
        return None if row is None else _series(row)

    async def add(
        self,
        game_id: GameId,
        ruleset: str,
        config: bytes,
        seats: Sequence[PlayerId | None],
        best_of: int,
    ) -> StoredSeries:
        """Propose a series after a game, which is held."""
        seats_json = orjson.dumps(list(seats))
        row = await self._connection.fetchrow(
            SQL["add_series"], game_id, ruleset, config, seats_json, best_of
        )
        assert row is not None
        return _series(row)

    async def save(self, series: StoredSeries) -> StoredSeries:
        """Write a series that is held, as a new version."""
        row = await self._connection.fetchrow(
            SQL["save_series"],
            series.series_id,
            list(series.agreed),
            series.state,
            series.number,
            series.game_id,
            series.is_starting,
            orjson.dumps(series.wins),
            series.winner_id,
        )
        assert row is not None
        return _series(row)


class SeriesStore:
    """Series in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SeriesTransaction]:
        """Begin a change."""
        async with self._database.transaction() as connection:
            yield SeriesTransaction(connection)

    async def claim(self, *, lease_s: float, limit: int) -> list[StoredSeries]:
        """Claim some series whose next game is to start."""
        return await self._list("claim_starting", lease_s, limit)

    async def list_starting(self, *, limit: int) -> list[StoredSeries]:
        """List some series whose next game is to start."""
        return await self._list("starting", limit)

    async def list_concerned(self, games: Sequence[GameId], *, limit: int) -> list[StoredSeries]:
        """List the series of some games, and some whose next game is to start."""
        return await self._list("concerned", games, limit)

    async def note_started(self, series: StoredSeries, game_id: GameId) -> None:
        """Note that the next game of a series runs."""
        async with self._database.acquire() as connection:
            values = (series.series_id, series.number, game_id)
            await connection.execute(SQL["note_started"], *values)

    async def list_changed(self, within_s: float, *, limit: int) -> list[StoredSeries]:
        """List the series that changed lately."""
        return await self._list("changed_lately", within_s, limit)

    async def expire(self, than_s: float, *, limit: int) -> None:
        """End some proposals that waited longer than this."""
        async with self._database.acquire() as connection:
            await connection.fetch(SQL["expire"], than_s, limit)

    async def delete_old(self, than_s: float, *, limit: int) -> int:
        """Delete some series that have not changed for longer than this."""
        async with self._database.acquire() as connection:
            return len(await connection.fetch(SQL["delete_old"], than_s, limit))

    async def _list(self, query: str, *values: object) -> list[StoredSeries]:
        async with self._database.acquire() as connection:
            return [_series(row) for row in await connection.fetch(SQL[query], *values)]


def _series(row: asyncpg.Record) -> StoredSeries:
    fields = {name: row[name] for name in StoredSeries.__dataclass_fields__}
    for name in ("config", "wins"):
        fields[name] = orjson.loads(fields[name])
    fields["seats"] = tuple(orjson.loads(fields["seats"]))
    fields["agreed"] = tuple(fields["agreed"])
    return StoredSeries(**fields)
