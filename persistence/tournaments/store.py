"""Tournaments in PostgreSQL, and the one way in which they change.

Whoever changes a tournament, its entrants or its pairings holds the tournament's row, so changes of
one tournament come one after the other on whichever nodes, and each counts its version:

    async with store.change(tournament_id) as change:
        …

Two things do not hold it: starting games is claimed pairing by pairing (`claim_ready`), and a
pairing's status decides alone what may still happen to it.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import GameId, LobbyId, PlayerId, UserId
from protocol.tournaments import (
    OPEN_MAX,
    Format,
    NewTournament,
    PairingKind,
    PairingStatus,
    TournamentStatus,
)

SQL: Final = load_queries("tournaments/store")
DUE_MAX: Final = OPEN_MAX


class StoredTournament(NamedTuple):
    """A tournament; `entrants` are those who did not withdraw, `now` is the database's time."""

    tournament_id: str
    title: str
    ruleset: str
    config: dict[str, Any]
    format: Format
    status: TournamentStatus
    version: int
    starts_at: datetime
    entrants_min: int
    entrants_max: int
    round: int
    rounds: int | None
    late_join: bool
    check_in_s: int
    duration_s: int | None
    ends_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    cancel_reason: str | None
    entrants: int
    open_pairings: int
    now: datetime


class StoredEntrant(NamedTuple):
    """Somebody who takes part; `bot` names the ruleset's bot, if it is one."""

    number: int
    player_id: PlayerId
    display_name: str
    bot: str | None
    is_withdrawn: bool


class PairingRow(NamedTuple):
    """A pairing as the rules see it."""

    round: int
    board: int
    first: int
    second: int | None
    kind: PairingKind
    attempt: int
    first_points: int | None
    second_points: int | None


class ShownPairing(NamedTuple):
    """A pairing with names."""

    pairing_id: str
    round: int
    board: int
    attempt: int
    status: PairingStatus
    kind: PairingKind
    ready_by: datetime | None
    lobby_id: LobbyId | None
    game_id: GameId | None
    first: int
    first_player: PlayerId
    first_name: str
    first_points: int | None
    first_ready: bool
    second: int | None
    second_player: PlayerId | None
    second_name: str | None
    second_points: int | None
    second_ready: bool


class ReadyPairing(NamedTuple):
    """A pairing whose game is to be started, and who plays it."""

    pairing_id: str
    tournament_id: str
    lobby_id: LobbyId
    title: str
    round: int
    board: int
    ruleset: str
    config: dict[str, Any]
    first_player: PlayerId
    first_name: str
    first_bot: str | None
    second_player: PlayerId
    second_name: str
    second_bot: str | None


class FreeEntrant(NamedTuple):
    """Who waits in an arena; `last` is the number that they met last."""

    number: int
    points: int
    last: int | None


class TournamentPlace(NamedTuple):
    """Where a page of tournaments ended."""

    starts_at: datetime
    tournament_id: str


class PairingPlace(NamedTuple):
    """Where a page of pairings ended."""

    round: int
    board: int
    attempt: int


class TournamentStore:
    """Reads tournaments, and begins changes of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------------ reading

    async def read(self, tournament_id: str) -> StoredTournament | None:
        """Read a tournament."""
        async with self._database.acquire() as connection:
            return await _read(connection, tournament_id)

    async def list_some(
        self, status: str | None, ruleset: str | None, after: TournamentPlace, limit: int
    ) -> list[StoredTournament]:
        """List tournaments, those that start last first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_tournaments"], status, ruleset, *after, limit)
        return [_tournament(row) for row in rows]

    async def read_versions(self, tournament_ids: Collection[str]) -> dict[str, int]:
        """Read how far tournaments have changed."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["versions"], list(tournament_ids))
        return {row["id"]: row["version"] for row in rows}

    async def read_table(
        self, tournament_id: str
    ) -> tuple[StoredTournament | None, list[StoredEntrant], list[PairingRow]]:
        """Read a tournament, its entrants and all of its pairings, as of one moment."""
        async with self._database.transaction() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            found = await _read(connection, tournament_id)
            entrants = await connection.fetch(SQL["entrants"], tournament_id)
            pairings = await connection.fetch(SQL["pairings_of"], tournament_id)
        return found, [StoredEntrant(*row) for row in entrants], [_pairing(row) for row in pairings]

    async def list_pairings(
        self,
        tournament_id: str,
        *,
        round_: int | None,
        player_id: str | None,
        after: PairingPlace,
        limit: int,
    ) -> list[ShownPairing]:
        """List pairings with names, by round and board."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                SQL["show_pairings"], tournament_id, round_, player_id, *after, limit
            )
        return [ShownPairing(*row) for row in rows]

    async def find_pairing(
        self, tournament_id: str, pairing_id: str, player_id: PlayerId
    ) -> tuple[PairingStatus, bool] | None:
        """Read a pairing's status, and whether it is a player's."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(
                SQL["find_pairing"], tournament_id, pairing_id, player_id
            )
        return None if row is None else (row["status"], row["is_theirs"])

    async def list_due(self) -> list[str]:
        """List the tournaments that may be advanced."""
        return await self._ids("due_tournaments", DUE_MAX)

    async def list_late(self) -> list[str]:
        """List the tournaments in which somebody did not check in in time."""
        return await self._ids("late_tournaments", DUE_MAX)

    async def list_stopped(self, limit: int) -> list[tuple[str, str]]:
        """List the pairings, with their tournaments, whose games will not end."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["stopped_games"], limit)
        return [(row["tournament_id"], row["id"]) for row in rows]

    async def _ids(self, query: str, *values: object) -> list[str]:
        async with self._database.acquire() as connection:
            return [row[0] for row in await connection.fetch(SQL[query], *values)]

    # ------------------------------------------------------------------ starting games

    async def claim_ready(self, limit: int, *, claim_s: float) -> list[ReadyPairing]:
        """Take some pairings whose games are to be started; others leave them for a while."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["claim_ready"], limit, claim_s)
        return [ReadyPairing(**_with_json(row, "pairing_id")) for row in rows]

    async def note_game(self, pairing: ReadyPairing, game_id: GameId) -> int:
        """Note a pairing's game; 0 if it was decided meanwhile, or has it, else the version."""
        async with self.change(pairing.tournament_id) as change:
            values = (pairing.pairing_id, pairing.lobby_id, game_id)
            if await change.connection.fetchval(SQL["note_game"], *values) is None:
                return 0
            return await change.count()

    async def renew_lobby(self, pairing: ReadyPairing) -> None:
        """Have a pairing's game made of another lobby."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["renew_lobby"], pairing.pairing_id, pairing.lobby_id)

    # ------------------------------------------------------------------ changing

    async def add(self, new: NewTournament, config: dict[str, Any], *, actor: UserId) -> str | None:
        """Announce a tournament, on record; None where too many are open."""
        async with self._database.transaction() as connection:
            tournament_id: str | None = await connection.fetchval(
                SQL["add_tournament"],
                new.title,
                new.ruleset,
                orjson.dumps(config),
                new.format,
                new.starts_at,
                new.entrants_min,
                new.entrants_max,
                new.rounds,
                new.late_join,
                new.check_in_s,
                new.duration_s,
                actor,
                OPEN_MAX,
            )
            if tournament_id is not None:
                await record_entry(
                    connection,
                    actor=actor,
                    action="create_tournament",
                    target=tournament_id,
                    after=new.model_dump(mode="json"),
                )
        return tournament_id

    @asynccontextmanager
    async def change(self, tournament_id: str) -> AsyncIterator["TournamentChange"]:
        """Hold a tournament; what is done to it is kept when the block ends, or not at all."""
        async with self._database.transaction() as connection:
            await connection.fetchval(SQL["lock_tournament"], tournament_id)
            yield TournamentChange(connection, tournament_id)

    @asynccontextmanager
    async def change_if_free(self, tournament_id: str) -> AsyncIterator["TournamentChange | None"]:
        """Hold a tournament unless somebody does: then None, and there is nothing to do."""
        async with self._database.transaction() as connection:
            found = await connection.fetchval(SQL["try_lock_tournament"], tournament_id)
            yield None if found is None else TournamentChange(connection, tournament_id)

    async def find_lobbies(self, lobbies: Collection[LobbyId]) -> set[LobbyId]:
        """Say which of these lobbies are those of pairings."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["lobbies_of_pairings"], list(lobbies))
        return {row["lobby_id"] for row in rows}

    @asynccontextmanager
    async def change_of_lobby(self, lobby_id: LobbyId) -> AsyncIterator["TournamentChange | None"]:
        """Hold the tournament that a lobby's game belongs to; None for any other lobby."""
        async with self._database.transaction() as connection:
            found = await connection.fetchval(SQL["lock_by_lobby"], lobby_id)
            yield None if found is None else TournamentChange(connection, found)


class TournamentChange:
    """A transaction that holds a tournament."""

    def __init__(self, connection: Connection, tournament_id: str) -> None:
        self.connection = connection
        self.tournament_id = tournament_id

    async def read(self) -> StoredTournament | None:
        """Read it."""
        return await _read(self.connection, self.tournament_id)

    async def read_entrants(self) -> list[StoredEntrant]:
        """List who takes part, by number."""
        rows = await self.connection.fetch(SQL["entrants"], self.tournament_id)
        return [StoredEntrant(*row) for row in rows]

    async def read_pairings(self) -> list[PairingRow]:
        """List all pairings."""
        rows = await self.connection.fetch(SQL["pairings_of"], self.tournament_id)
        return [_pairing(row) for row in rows]

    async def find_entrant(self, player_id: PlayerId) -> StoredEntrant | None:
        """Find an entrant."""
        row = await self.connection.fetchrow(SQL["find_entrant"], self.tournament_id, player_id)
        return None if row is None else StoredEntrant(*row)

    async def count(self) -> int:
        """Count a change that has no statement of its own."""
        version: int = await self.connection.fetchval(SQL["count_change"], self.tournament_id)
        return version

    # ------------------------------------------------------------------ entrants

    async def add_entrants(self, players: Sequence[tuple[PlayerId, str | None]]) -> int:
        """Register players with their bots, as many as there is room for; says how many."""
        ids, bots = zip(*players, strict=True)
        rows = await self.connection.fetch(SQL["add_entrants"], self.tournament_id, ids, bots)
        return len(rows)

    async def return_entrant(self, player_id: PlayerId) -> None:
        """Register somebody again who withdrew."""
        await self.connection.execute(SQL["return_entrant"], self.tournament_id, player_id)

    async def remove_entrant(self, player_id: PlayerId) -> bool:
        """Take somebody out before it begins; False if they are not registered."""
        values = (self.tournament_id, player_id)
        return await self.connection.fetchval(SQL["remove_entrant"], *values) is not None

    async def withdraw(self, player_id: PlayerId) -> bool:
        """Let somebody withdraw, and forfeit what has not begun; False if they do not take part."""
        number = await self.connection.fetchval(SQL["withdraw"], self.tournament_id, player_id)
        if number is None:
            return False
        await self.connection.execute(SQL["forfeit_open"], self.tournament_id, number)
        return True

    # ------------------------------------------------------------------ its course

    async def start(self, rounds: int | None) -> None:
        """Let it run."""
        await self.connection.execute(SQL["start_tournament"], self.tournament_id, rounds)

    async def enter_round(self, round_: int) -> None:
        """Let it be in a round."""
        await self.connection.execute(SQL["enter_round"], self.tournament_id, round_)

    async def complete(self) -> None:
        """End it."""
        await self.connection.execute(SQL["complete_tournament"], self.tournament_id)

    async def cancel(self, reason: str, *, actor: UserId | None) -> bool:
        """Call it off, on record if somebody does; False if it is over."""
        done = await self.connection.fetchval(SQL["cancel_tournament"], self.tournament_id, reason)
        if done is None:
            return False
        await self.connection.execute(SQL["void_pairings"], self.tournament_id)
        if actor is not None:
            await self.record(actor, "cancel_tournament", {"reason": reason})
        return True

    async def add_pairings(self, rows: Sequence[PairingRow]) -> None:
        """Write new pairings."""
        rounds, boards, firsts, seconds, kinds, attempts, one, two = zip(*rows, strict=True)
        columns = (rounds, boards, attempts, firsts, seconds, kinds, one, two)
        await self.connection.execute(SQL["add_pairings"], self.tournament_id, *columns)

    async def record(self, actor: UserId, action: str, after: dict[str, object]) -> None:
        """Put an organiser's act on record."""
        await record_entry(
            self.connection, actor=actor, action=action, target=self.tournament_id, after=after
        )

    # ------------------------------------------------------------------ pairings

    async def check_in(self, pairing_id: str, player_id: PlayerId) -> PairingStatus | None:
        """Note that a player is there; None if the pairing does not wait for them."""
        status: PairingStatus | None = await self.connection.fetchval(
            SQL["check_in"], self.tournament_id, pairing_id, player_id
        )
        return status

    async def forfeit_late(self) -> int:
        """Decide what nobody checked in for in time; says how many."""
        return len(await self.connection.fetch(SQL["forfeit_late"], self.tournament_id))

    async def decide(self, pairing_id: str, points: tuple[int, int], kind: PairingKind) -> bool:
        """Decide a pairing; False if it is decided, or there is none."""
        values = (self.tournament_id, pairing_id, *points, kind)
        return await self.connection.fetchval(SQL["decide"], *values) is not None

    async def find_by_lobby(self, lobby_id: LobbyId) -> tuple[str, PlayerId, PlayerId] | None:
        """Find an undecided pairing by its lobby, and who plays."""
        row = await self.connection.fetchrow(SQL["pairing_of_lobby"], lobby_id)
        return None if row is None else (row["id"], row["first_player"], row["second_player"])

    async def record_result(
        self, pairing_id: str, game_id: GameId, points: tuple[int, int]
    ) -> bool:
        """Decide a pairing by its game; False if it is decided."""
        values = (pairing_id, game_id, *points)
        return await self.connection.fetchval(SQL["record_result"], *values) is not None

    # ------------------------------------------------------------------ arenas

    async def list_free(self) -> list[FreeEntrant]:
        """List who waits for an opponent."""
        rows = await self.connection.fetch(SQL["free_in_arena"], self.tournament_id)
        return [FreeEntrant(*row) for row in rows]

    async def read_boards(self) -> tuple[int, dict[int, int]]:
        """Give the last board, and how often each number had the first seat."""
        rows = await self.connection.fetch(SQL["arena_boards"], self.tournament_id)
        last = max((row["last_board"] for row in rows), default=0)
        return last, {row["first"]: row["firsts"] for row in rows}


async def _read(connection: Connection, tournament_id: str) -> StoredTournament | None:
    row = await connection.fetchrow(SQL["read_tournament"], tournament_id)
    return None if row is None else _tournament(row)


def _tournament(row: asyncpg.Record) -> StoredTournament:
    return StoredTournament(**_with_json(row, "tournament_id"))


def _with_json(row: asyncpg.Record, id_: str) -> dict[str, Any]:
    fields = dict(row)
    fields[id_] = fields.pop("id")
    fields["config"] = orjson.loads(fields["config"])
    return fields


def _pairing(row: asyncpg.Record) -> PairingRow:
    return PairingRow(**dict(row))
