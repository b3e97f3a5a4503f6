"""Reading a game with all that was ever derived from it, and putting statistics right.

What is read within one `snapshot` belongs together, while games go on being played.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from persistence.archives.reader import ArchivedLogs
from persistence.database import Connection, Database
from persistence.eventlog.writer import EventRow
from persistence.games.model import StoredGame
from persistence.objects import ObjectStorage
from persistence.queries import load_queries
from protocol.history import GameSummary
from protocol.ids import GameId, LobbyId, PlayerId

SQL = load_queries("audit/store")

PAGE_ROWS: Final = 500
# Whoever goes through a cursor folds games in between, and must come back for more before
# the transaction counts as idle.
CURSOR_ROWS: Final = 100
_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"


class AuditedMatch(NamedTuple):
    """A game's history record."""

    mode: str
    ruleset: str | None
    lobby_id: LobbyId | None
    started_at: datetime | None
    ended_at: datetime | None
    winner_id: PlayerId | None
    uncounted: str | None = None


class MatchPlayer(NamedTuple):
    """How a match went for one player."""

    player_id: PlayerId
    seat: int | None
    score: int | None
    is_winner: bool
    ended_at: datetime
    forfeited: bool = False


class CountedGame(NamedTuple):
    """A game in a player's history; `seq` grows in the order in which games were counted.

    The score is None for a player who left before the end.
    """

    seq: int
    game_id: GameId
    ruleset: str
    score: int | None
    tricks_won: int | None
    is_winner: bool
    ended_at: datetime


class LifetimeStats(NamedTuple):
    """A player's statistics, over all games or in one ruleset; the defaults are a new player's."""

    games_played: int = 0
    games_won: int = 0
    highest_score: int | None = None
    lowest_score: int | None = None
    total_points: int = 0
    total_tricks_won: int = 0
    most_consecutive_wins: int = 0
    most_consecutive_losses: int = 0
    current_win_streak: int = 0
    current_loss_streak: int = 0
    last_game_at: datetime | None = None


class StoredXp(NamedTuple):
    """A player's XP, as it is stored and as their matches add up."""

    stored: int
    earned: int


class SetAside(NamedTuple):
    """Why a game was quarantined, and why an operator ended it, which is no fault of its log."""

    quarantine_reason: str | None
    end_reason: str | None


NOT_ASIDE: Final = SetAside(None, None)


class AuditReader:
    """What is stored about games and players, as one transaction sees it."""

    def __init__(self, connection: Connection, archived: ArchivedLogs) -> None:
        self._connection = connection
        self._archived = archived

    async def read_game(self, game_id: GameId) -> tuple[StoredGame, SetAside] | None:
        """Read a game's row, and why it goes on no more if it does not."""
        record = await self._connection.fetchrow(SQL["audited_game"], game_id)
        if record is None:
            return None
        fields = _parsed(record)
        aside = SetAside(fields.pop("quarantine_reason"), fields.pop("end_reason"))
        return StoredGame.parse_columns(fields), aside

    async def read_events(self, game_id: GameId) -> list[EventRow]:
        """Read a game's whole log; raise `ArchiveDamaged`."""
        records = self._connection.cursor(SQL["audited_events"], game_id, prefetch=PAGE_ROWS)
        rows = [EventRow(*record) async for record in records]
        if not rows and (archive := await self._archived.find(self._connection, game_id)):
            rows = [row async for row in self._archived.iterate_rows(archive)]
        return rows

    async def read_summary(self, game_id: GameId) -> GameSummary | None:
        """Read a game's summary as it is, right or wrong; its players have their names."""
        record = await self._connection.fetchrow(SQL["audited_summary"], game_id)
        return None if record is None else GameSummary.model_construct(**_parsed(record))

    async def read_match(self, game_id: GameId) -> AuditedMatch | None:
        """Read a game's history record."""
        record = await self._connection.fetchrow(SQL["audited_match"], game_id)
        return None if record is None else AuditedMatch(*record)

    async def read_match_players(self, game_id: GameId) -> list[MatchPlayer]:
        """Read who took part in a game, by its history record, in the order of seats."""
        records = await self._connection.fetch(SQL["audited_match_players"], game_id)
        return [MatchPlayer(*record) for record in records]

    async def list_players_newest_here(self, game_id: GameId) -> list[PlayerId]:
        """List the players of a game who have finished no other since."""
        records = await self._connection.fetch(SQL["newest_here"], game_id)
        return [record["player_id"] for record in records]

    async def iterate_counted_games(
        self, player_id: PlayerId, *, after: int = 0
    ) -> AsyncIterator[CountedGame]:
        """Go through a player's finished games in the order in which they were counted."""
        query = SQL["counted_games"]
        async for record in self._connection.cursor(query, player_id, after, prefetch=CURSOR_ROWS):
            yield CountedGame(*record)

    async def read_lifetime_stats(self, player_id: PlayerId) -> LifetimeStats | None:
        """Read a player's lifetime statistics."""
        record = await self._connection.fetchrow(SQL["lifetime"], player_id)
        return None if record is None else LifetimeStats(*record)

    async def write_lifetime_stats(self, player_id: PlayerId, lifetime: LifetimeStats) -> None:
        """Put a player's lifetime statistics right; they must be locked."""
        await self._connection.execute(SQL["write_lifetime"], player_id, *lifetime)

    async def read_ruleset_stats(self, player_id: PlayerId) -> dict[str, LifetimeStats]:
        """Read a player's statistics by ruleset."""
        records = await self._connection.fetch(SQL["ruleset_stats"], player_id)
        return {ruleset: LifetimeStats(*columns) for ruleset, *columns in records}

    async def write_ruleset_stats(
        self, player_id: PlayerId, ruleset: str, lifetime: LifetimeStats
    ) -> None:
        """Put a player's statistics in a ruleset right; those over all games must be locked."""
        await self._connection.execute(SQL["write_ruleset_stats"], player_id, ruleset, *lifetime)

    async def read_xp(self, player_id: PlayerId) -> StoredXp | None:
        """Read a player's XP; None for one without an account."""
        record = await self._connection.fetchrow(SQL["xp"], player_id)
        return None if record is None else StoredXp(*record)

    async def write_xp(self, player_id: PlayerId, xp: int) -> None:
        """Put a player's XP right; their statistics must be locked."""
        await self._connection.execute(SQL["write_xp"], player_id, xp)


class AuditStore:
    """The whole database, as an audit reads it."""

    def __init__(self, database: Database, objects: ObjectStorage | None = None) -> None:
        self._database = database
        self._archived = ArchivedLogs(objects)

    @asynccontextmanager
    async def read_snapshot(self) -> AsyncIterator[AuditReader]:
        """Read as of one moment; nobody is kept waiting."""
        async with (
            self._database.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield AuditReader(connection, self._archived)

    @asynccontextmanager
    async def lock_player_stats(self, player_id: PlayerId) -> AsyncIterator[AuditReader]:
        """Hold a player's statistics, as the end of a game does, until the block commits.

        Meanwhile no game of this player can end, and all that have ended are visible.
        """
        async with self._database.transaction() as connection:
            await connection.execute(SQL["ensure_stats"], [player_id])
            await connection.execute(SQL["lock_stats"], [player_id])
            yield AuditReader(connection, self._archived)

    async def iterate_games_since(self, since: datetime) -> AsyncIterator[GameId]:
        """Go through the games made since a time, oldest first."""
        position: tuple[datetime, str] = (since, _FIRST_ID)
        while page := await self._page("games_since", *position):
            for record in page:
                yield record["id"]
            position = (page[-1]["created_at"], page[-1]["id"])

    async def iterate_players(self) -> AsyncIterator[PlayerId]:
        """Go through everybody who has statistics or has finished a game, in id order."""
        last = _FIRST_ID
        while page := await self._page("players_with_records", last):
            for record in page:
                yield record["id"]
            last = page[-1]["id"]

    async def _page(self, query: str, *position: object) -> list[asyncpg.Record]:
        async with self._database.acquire() as connection:
            return await connection.fetch(SQL[query], *position, PAGE_ROWS)


def _parsed(record: asyncpg.Record) -> dict[str, Any]:
    return {
        name: orjson.loads(value) if isinstance(value, bytes) else value
        for name, value in record.items()
    }
