"""Games as operators find them, and the two things that they do to one: end it, or release it.

To end a game is final, and needs nothing of its rules or its log, which may be what failed. The row
says that it was ended and why; the log stays as it is. The owner is fenced in the same statement,
so no event is committed after it.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import GameId, LobbyId, PlayerId

SQL = load_queries("games/administration")


class NoSuchGame(Exception):
    """There is no game with this id."""


class GameHasEnded(Exception):
    """The game has ended, and the message says how."""


class AdministeredGame(NamedTuple):
    """A game in a list. `is_node_alive` is None where no node owns it."""

    game_id: GameId
    ruleset: str
    ruleset_version: int
    status: str
    lobby_id: LobbyId | None
    lobby_name: str | None
    is_public: bool
    node: str | None
    is_node_alive: bool | None
    head: int
    last_event_at: datetime | None
    created_at: datetime
    completed_at: datetime | None
    quarantined_at: datetime | None
    quarantine_reason: str | None
    ended_at: datetime | None
    end_reason: str | None


class GameRecord(NamedTuple):
    """One game, with what is read of it alone."""

    game: AdministeredGame
    quarantine_trace: str | None
    node_address: str | None


class NodeRecord(NamedTuple):
    """A server process; `games` are the running ones that it owns."""

    node: str
    address: str
    started_at: datetime
    lease_until: datetime
    is_alive: bool
    games: int


class StoppedGames(NamedTuple):
    """How many running games no living node has, and how many are quarantined and not ended."""

    orphaned: int
    quarantined: int


class GameFilter(NamedTuple):
    """Which games to list; None for all."""

    state: str | None = None
    ruleset: str | None = None
    silent_s: float | None = None
    node: str | None = None


class GamePosition(NamedTuple):
    """Where a page ended."""

    created_at: datetime
    game_id: GameId


class GameAdministrationStore:
    """Games in PostgreSQL, for operators. `actor` is an account's id, or the console."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_games(
        self, which: GameFilter, after: GamePosition | None, *, limit: int
    ) -> list[AdministeredGame]:
        """List some games, newest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                SQL["list_games"], *which, *(after or (None, None)), limit
            )
        return [AdministeredGame(*row) for row in rows]

    async def read_game(self, game_id: GameId) -> GameRecord:
        """Read a game; raise `NoSuchGame`."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_game"], game_id)
        if row is None:
            raise NoSuchGame(game_id)
        *columns, trace, address = row
        return GameRecord(AdministeredGame(*columns), trace, address)

    async def list_nodes(self) -> list[NodeRecord]:
        """List the nodes of this database, the living first."""
        async with self._database.acquire() as connection:
            return [NodeRecord(*row) for row in await connection.fetch(SQL["list_nodes"])]

    async def count_stopped(self) -> StoppedGames:
        """Count the games that nobody can play."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["count_stopped"])
        assert row is not None
        return StoppedGames(*row)

    async def read_player_names(self, player_ids: Collection[PlayerId]) -> dict[PlayerId, str]:
        """Read what players are called."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["player_names"], list(player_ids))
        return {row["id"]: row["display_name"] for row in rows}

    async def end_game(self, game_id: GameId, reason: str, *, actor: str) -> LobbyId | None:
        """End a game that is not over, and close its lobby; gives the lobby's id.

        Raises `NoSuchGame` or `GameHasEnded`.
        """
        async with self._database.transaction() as connection:
            status, quarantined_at, quarantine_reason, ended_at = await _lock(connection, game_id)
            if status == "completed":
                raise GameHasEnded("The game is over; there is nothing to end.")
            if ended_at is not None:
                raise GameHasEnded("An operator has ended this game already.")
            lobby_id: LobbyId | None = await connection.fetchval(SQL["end_game"], game_id, reason)
            await connection.execute(SQL["close_lobby"], game_id)
            await connection.execute(SQL["unlist_room"], game_id)
            quarantine = {"quarantined_at": quarantined_at, "reason": quarantine_reason}
            await record_entry(
                connection,
                actor=actor,
                action="end_game",
                target=game_id,
                before={"status": status, "quarantine": quarantine if quarantined_at else None},
                after={"status": "ended", "reason": reason},
            )
        return lobby_id

    async def release_game(self, game_id: GameId, reason: str, *, actor: str) -> None:
        """Let a quarantined game be played again; harmless for one that is played.

        Raises `NoSuchGame` or `GameHasEnded`.
        """
        async with self._database.transaction() as connection:
            status, quarantined_at, quarantine_reason, ended_at = await _lock(connection, game_id)
            if ended_at is not None:
                raise GameHasEnded("An operator ended this game; that is final.")
            if status == "completed":
                raise GameHasEnded("The game is over; there is nothing to release.")
            if quarantined_at is None:
                return
            await connection.execute(SQL["release_game"], game_id)
            await record_entry(
                connection,
                actor=actor,
                action="release_game",
                target=game_id,
                before={"quarantined_at": quarantined_at, "reason": quarantine_reason},
                after={"reason": reason},
            )

    async def record_reading(self, game_id: GameId, *, actor: str, after: int) -> None:
        """Put on record that somebody read what players of a running game do not see."""
        async with self._database.transaction() as connection:
            await record_entry(
                connection,
                actor=actor,
                action="read_game_log",
                target=game_id,
                after={"after": after},
            )

    async def read_ended(self, game_ids: Collection[GameId]) -> list[tuple[GameId, str]]:
        """Say which of these games an operator ended, and why."""
        if not game_ids:
            return []
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["read_ended"], list(game_ids))
        return [(row["id"], row["end_reason"]) for row in rows]


async def _lock(
    connection: Connection, game_id: GameId
) -> tuple[str, datetime | None, str | None, datetime | None]:
    row = await connection.fetchrow(SQL["lock_game"], game_id)
    if row is None:
        raise NoSuchGame(game_id)
    status, quarantined_at, reason, ended_at = row
    return status, quarantined_at, reason, ended_at
