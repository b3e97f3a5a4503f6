"""Finished games, written as rows, and the room of records that reads them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import aiohttp
import asyncpg
import orjson
import pytest

from persistence.database import Database
from persistence.history.store import HistoryStore
from protocol.errors import BadToken
from protocol.ids import PlayerId, SessionId, UserId, new_id
from server.domains.play.history.http import HistoryRoutes
from server.gateway.session.identity import Identity
from server.rulesets import find_rulesets
from tests.fixtures.http import served
from tests.fixtures.postgres import TEMPLATE, Databases

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Finished(NamedTuple):
    """A finished game and its match."""

    game_id: str
    match_id: str


@dataclass
class Archive:
    """Writes rows as the transaction that ends a game does."""

    dsn: str
    database: Database

    async def player(self, name: str, *, is_bot: bool = False, **stats: object) -> str:
        player_id = new_id()
        async with self.database.acquire() as connection:
            await connection.execute(
                "INSERT INTO players (id, display_name, avatar_seed, color, is_bot)"
                " VALUES ($1, $2, '', '', $3)",
                player_id,
                name,
                is_bot,
            )
        if stats:
            await self._stats("player_lifetime_stats", player_id, stats)
        return player_id

    async def in_ruleset(self, player_id: str, ruleset: str, **stats: object) -> None:
        await self._stats("player_ruleset_stats", player_id, {"ruleset": ruleset, **stats})

    async def game(
        self, players: Sequence[str], *, is_public: bool = True, at: datetime = AT
    ) -> Finished:
        """Write a completed game in which the first player won."""
        ids = Finished(new_id(), new_id())
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO games (id, session_seed, config, status, ruleset, ruleset_version,"
                " is_public, started_at, completed_at, next_event_index)"
                " VALUES ($1, 's', '{}', 'completed', 'el_dorado', 1, $2, $3, $3, 1)",
                ids.game_id,
                is_public,
                at,
            )
            await connection.execute(
                "INSERT INTO game_summaries (game_id, players, rounds, final_scores, highest_score)"
                " VALUES ($1, $2, $3, $4, 42)",
                ids.game_id,
                orjson.dumps([{"player_id": player} for player in players]),
                orjson.dumps([{"cards": 10}]),
                orjson.dumps(dict.fromkeys(players, 42)),
            )
            await connection.execute(
                "INSERT INTO matches (id, game_id, mode, ruleset, started_at, ended_at, winner_id)"
                " VALUES ($1, $2, 'server', 'el_dorado', $3, $3, $4)",
                *reversed(ids),
                at,
                players[0],
            )
            for seat, player in enumerate(players):
                await connection.execute(
                    "INSERT INTO match_players VALUES ($1, $2, $3, $4, $5, $6)",
                    ids.match_id,
                    player,
                    seat,
                    10 - seat,
                    seat == 0,
                    at,
                )
        return ids

    async def owner(self) -> asyncpg.Connection:
        """Connect as the owner of the tables."""
        return await asyncpg.connect(self.dsn)

    async def _stats(self, table: str, player_id: str, stats: dict[str, object]) -> None:
        columns = ", ".join(stats)
        values = ", ".join(f"${n}" for n in range(2, len(stats) + 2))
        async with self.database.acquire() as connection:
            await connection.execute(
                f"INSERT INTO {table} (player_id, {columns}) VALUES ($1, {values})",
                player_id,
                *stats.values(),
            )


@pytest.fixture(scope="module")
async def archive(databases: Databases) -> AsyncIterator[Archive]:
    """One database for a file: its tests look at players of their own, or clear the ranks."""
    dsn = databases.create(template=TEMPLATE)
    database = await Database.open(dsn, embedded=True)
    yield Archive(dsn, database)
    await database.close()
    databases.drop(dsn)


async def by_player_id(token: str) -> Identity:
    """Take the token for a player's id."""
    if len(token) != 36:
        raise BadToken
    return Identity(UserId(token), PlayerId(token), SessionId(token), "", 0.0)


@pytest.fixture
async def client(archive: Archive) -> AsyncIterator[aiohttp.ClientSession]:
    routes = HistoryRoutes(store=HistoryStore(archive.database), rulesets=find_rulesets())
    async with served(routes.endpoints(), by_player_id) as client:
        yield client
