"""What players achieved. A game is counted once for each player: whoever counts notes the game."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import GameId, PlayerId

SQL: Final = load_queries("achievements/store")
PAGE: Final = 500
NOBODY: Final = "00000000-0000-0000-0000-000000000000"


class StoredAchievement(NamedTuple):
    """How far a player is; `game_id` is the game that reached it."""

    ruleset: str
    key: str
    progress: int
    granted_at: datetime | None
    game_id: GameId | None


class Gain(NamedTuple):
    """What a game adds for a player; `steps` are those of the achievement."""

    player_id: PlayerId
    key: str
    amount: int
    steps: int


class CountedGame(NamedTuple):
    """A game that counts for a player."""

    game_id: GameId
    ruleset: str
    ended_at: datetime


class GainedGame(NamedTuple):
    """What a game brought to those who played it."""

    game: CountedGame
    players: Sequence[PlayerId]
    gains: Sequence[Gain]


class AchievementStore:
    """Achievements of players in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(
        self, player_id: PlayerId, ruleset: str | None
    ) -> list[StoredAchievement] | None:
        """Read what a player achieved; None where there is no such player."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["progress_of"], player_id, ruleset)
            if not rows and not await connection.fetchval(SQL["is_player"], player_id):
                return None
        return [StoredAchievement(*row) for row in rows]

    async def add(self, games: Sequence[GainedGame]) -> int:
        """Add what games brought to those for whom they were not counted; says for how many."""
        played = [(player, game.game.game_id) for game in games for player in game.players]
        if not played:
            return 0
        players, game_ids = zip(*played, strict=True)
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_players"], list(set(players)))
            rows = await connection.fetch(SQL["mark_counted"], players, game_ids)
            new = {(row["game_id"], row["player_id"]) for row in rows}
            due = [
                (gain.player_id, game.ruleset, *gain[1:], game.game_id, game.ended_at)
                for game, _, gains in games
                for gain in gains
                if (game.game_id, gain.player_id) in new
            ]
            if due:
                await connection.execute(SQL["add_progress"], *zip(*due, strict=True))
        return len(new)

    # ------------------------------------------------------------------ counting anew

    async def iterate_players(self, rulesets: Collection[str]) -> AsyncIterator[PlayerId]:
        """List the people who played one of these rulesets, by id."""
        after = NOBODY
        while True:
            async with self._database.acquire() as connection:
                rows = await connection.fetch(SQL["players_after"], after, list(rulesets), PAGE)
            for row in rows:
                after = row["id"]
                yield PlayerId(after)
            if len(rows) < PAGE:
                return

    @asynccontextmanager
    async def look(self, player_id: PlayerId) -> AsyncIterator["PlayerAchievements"]:
        """Read what is counted of a player without keeping anybody from changing it."""
        async with self._database.acquire() as connection:
            yield PlayerAchievements(connection, player_id)

    @asynccontextmanager
    async def hold(self, player_id: PlayerId) -> AsyncIterator["PlayerAchievements"]:
        """Hold what is counted of a player until the block ends."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_players"], [player_id])
            yield PlayerAchievements(connection, player_id)


class PlayerAchievements:
    """What is counted of a player."""

    def __init__(self, connection: Connection, player_id: PlayerId) -> None:
        self._connection = connection
        self._player_id = player_id

    async def read(self) -> list[StoredAchievement]:
        """Read what is stored."""
        rows = await self._connection.fetch(SQL["progress_of"], self._player_id, None)
        return [StoredAchievement(*row) for row in rows]

    async def iterate_games(self, rulesets: Collection[str]) -> AsyncIterator[CountedGame]:
        """List the games that count, in the order in which they ended."""
        after, match_id = datetime.min.replace(tzinfo=UTC), NOBODY
        while True:
            rows = await self._connection.fetch(
                SQL["games_of"], self._player_id, list(rulesets), after, match_id, PAGE
            )
            for row in rows:
                after, match_id = row["ended_at"], row["id"]
                yield CountedGame(row["game_id"], row["ruleset"], after)
            if len(rows) < PAGE:
                return

    async def write(self, counted: Sequence[StoredAchievement], games: Collection[GameId]) -> None:
        """Write what was counted anew in place of what is stored."""
        await self._connection.execute(SQL["clear_progress"], self._player_id)
        if counted:
            columns = zip(*counted, strict=True)
            await self._connection.execute(SQL["write_progress"], self._player_id, *columns)
        await self._connection.execute(SQL["write_games"], self._player_id, list(games))
