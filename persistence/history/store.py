"""Reading what is left of finished games: summaries, statistics, history, ranks.

The rows are written by `log` in the transaction that ends a game.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.eventlog.completion import UncountedReason
from persistence.queries import load_queries
from persistence.replica import ReplicaReads
from protocol.history import Board, PlayerStats, Summary
from protocol.ids import GameId, LobbyId, MatchId, PlayerId

SQL = load_queries("history/store")
BOARDS: Mapping[Board, str] = {
    "wins": SQL["leaderboard_wins"],
    "win_rate": SQL["leaderboard_win_rate"],
    "highest_score": SQL["leaderboard_highest_score"],
    "total_tricks": SQL["leaderboard_total_tricks"],
}
# Queries of their own: one query for both tables would not follow an index, but sort every row.
BOARDS_IN_RULESET: Mapping[Board, str] = {
    "wins": SQL["leaderboard_wins_in_ruleset"],
    "win_rate": SQL["leaderboard_win_rate_in_ruleset"],
    "highest_score": SQL["leaderboard_highest_score_in_ruleset"],
    "total_tricks": SQL["leaderboard_total_tricks_in_ruleset"],
}


class HistoryPosition(NamedTuple):
    """A place in a player's history, which runs from the newest match to the oldest."""

    ended_at: datetime
    match_id: MatchId


class StoredMatch(NamedTuple):
    """A match with its players; `ended_at` is when it entered their histories."""

    match_id: MatchId
    game_id: GameId | None
    mode: str
    ruleset: str | None
    started_at: datetime | None
    ended_at: datetime | None
    winner_id: PlayerId | None
    replay_url: str | None
    players: list[dict[str, Any]]
    uncounted: UncountedReason | None


class LeaderboardEntry(NamedTuple):
    """One row of a leaderboard."""

    player_id: PlayerId
    display_name: str
    is_bot: bool
    value: float
    games_played: int


class HistoryStore:
    """Records in PostgreSQL. `viewer` is who asks; private games are for those who played."""

    def __init__(self, database: Database, replica: ReplicaReads | None = None) -> None:
        self._database = database
        self._replica = replica

    async def read_summary(self, game_id: GameId, *, viewer: PlayerId | None) -> Summary | None:
        """Read a finished game's summary."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["game_summary"], game_id, viewer)
        return None if record is None else Summary(**_parsed(record))

    async def read_stats(
        self, player_id: PlayerId, *, ruleset: str | None = None
    ) -> PlayerStats | None:
        """Read a player's statistics: over all games, or in one ruleset."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["player_stats"], player_id, ruleset)
        return None if record is None else PlayerStats(**record)

    async def has_player(self, player_id: PlayerId) -> bool:
        """Say whether there is such a player."""
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["player_exists"], player_id))

    async def list_matches(
        self, player_id: PlayerId, *, viewer: PlayerId | None, after: HistoryPosition, limit: int
    ) -> list[StoredMatch]:
        """Read at most `limit` of a player's matches that come after a position."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(
                SQL["player_matches"], player_id, viewer, *after, limit
            )
        return [StoredMatch(**_parsed(record)) for record in records]

    async def list_lobby_matches(
        self, lobby_id: LobbyId, *, viewer: PlayerId | None, after: HistoryPosition, limit: int
    ) -> list[StoredMatch] | None:
        """Read a page of what was played in a lobby; None for one that the viewer may not see."""
        async with self._database.acquire() as connection:
            if not await connection.fetchval(SQL["lobby_is_visible"], lobby_id, viewer):
                return None
            records = await connection.fetch(SQL["lobby_matches"], lobby_id, *after, limit)
        return [StoredMatch(**_parsed(record)) for record in records]

    async def read_match(self, match_id: MatchId, *, viewer: PlayerId | None) -> StoredMatch | None:
        """Read one match."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["find_match"], match_id, viewer)
        return None if record is None else StoredMatch(**_parsed(record))

    async def list_leaderboard(
        self,
        board: Board,
        *,
        min_games: int,
        bots: bool,
        limit: int,
        ruleset: str | None = None,
        may_be_old: bool = False,
    ) -> list[LeaderboardEntry]:
        """List players from the best; of equal ones, in the order of their ids.

        Over all games, or in one ruleset. `may_be_old`: also from a standby that lags a little.
        """
        query, asked = BOARDS[board], (min_games, bots, limit)

        async def work(connection: Connection) -> list[asyncpg.Record]:
            if ruleset is None:
                return await connection.fetch(query, *asked)
            return await connection.fetch(BOARDS_IN_RULESET[board], *asked, ruleset)

        if may_be_old and self._replica is not None:
            records = await self._replica.read(work)
        else:
            async with self._database.acquire() as connection:
                records = await work(connection)
        return [LeaderboardEntry(*record) for record in records]


def _parsed(record: asyncpg.Record) -> dict[str, Any]:
    return {
        name: orjson.loads(value) if isinstance(value, bytes) else value
        for name, value in record.items()
    }
