"""Tickets and found matches as they are stored.

A queue is searched by whichever node holds its row, so no two nodes give a ticket away. A ticket
that is given away is taken only if it still waits.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import GameId, LobbyId, PlayerId
from protocol.matchmaking import AlreadyQueued, MatchStarting, NotQueued

SQL: Final = load_queries("matchmaking/store")
COUNTED_MAX: Final = 100_000


class NewTicket(NamedTuple):
    """A ticket to be added; `config` is complete, `conditions` are those of the protocol."""

    ruleset: str
    seats: int
    config: dict[str, Any]
    region: str | None
    rating: float
    properties: dict[str, Any]
    conditions: list[dict[str, Any]]
    with_bots: bool


class WaitingTicket(NamedTuple):
    """A ticket that waits; `config` is JSON as it is stored, so that equal ones are equal text."""

    ticket_id: str
    seats: int
    config: bytes
    region: str | None
    rating: float
    properties: Mapping[str, Any]
    conditions: Sequence[Mapping[str, Any]]
    with_bots: bool
    waited_s: float
    players: tuple[PlayerId, ...]


class NewMatch(NamedTuple):
    """A match that was found; `seats` are players in their order, None for a bot."""

    match_id: LobbyId
    config: bytes
    seats: Sequence[PlayerId | None]
    region: str | None
    tickets: Sequence[str]


class StartingMatch(NamedTuple):
    """A match to be started; its lobby has the same id."""

    match_id: LobbyId
    ruleset: str
    config: dict[str, Any]
    seats: list[PlayerId | None]
    region: str | None
    attempts: int


class StoredSearch(NamedTuple):
    """How somebody's search is going."""

    player_id: PlayerId
    ruleset: str
    waited_s: float
    usual_s: float
    match_id: LobbyId | None
    state: str | None
    accept_by: datetime | None
    game_id: GameId | None
    seats: list[PlayerId | None] | None
    accepted: int
    players: int


class HeldQueue:
    """A queue that this node searches, within one transaction."""

    def __init__(self, connection: Connection, ruleset: str, waited_s: float) -> None:
        self._connection = connection
        self._ruleset = ruleset
        self.waited_s = waited_s

    async def list_waiting(self, *, seen_s: float, limit: int) -> list[WaitingTicket]:
        """List the tickets whose people were all seen lately, the longest-waiting first."""
        rows = await self._connection.fetch(SQL["waiting_tickets"], self._ruleset, seen_s, limit)
        return [
            WaitingTicket(
                ticket_id=row["ticket_id"],
                seats=row["seats"],
                config=row["config"],
                region=row["region"],
                rating=row["rating"],
                properties=orjson.loads(row["properties"]),
                conditions=orjson.loads(row["conditions"]),
                with_bots=row["with_bots"],
                waited_s=row["waited_s"],
                players=tuple(row["players"]),
            )
            for row in rows
        ]

    async def take(self, match: NewMatch, *, accept_s: float) -> bool:
        """Give tickets to a match; False, and nothing is done, if one of them waits no longer."""
        connection = self._connection
        state = "offered" if accept_s > 0 else "starting"
        about = (self._ruleset, match.config, orjson.dumps(list(match.seats)), match.region)
        await connection.execute(SQL["add_match"], match.match_id, *about, state, accept_s)
        taken = await connection.fetch(SQL["assign_tickets"], match.match_id, list(match.tickets))
        if len(taken) == len(match.tickets):
            return True
        await connection.execute(SQL["release_tickets"], match.match_id)
        await connection.execute(SQL["delete_match"], match.match_id)
        return False

    async def note_wait(self, waited_s: float) -> None:
        """Note how long people waited lately."""
        self.waited_s = waited_s
        await self._connection.execute(SQL["note_wait"], self._ruleset, waited_s)


class MatchStore:
    """Tickets and found matches in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------------ people

    async def add(
        self, ticket: NewTicket, players: Sequence[PlayerId], *, tickets_max: int
    ) -> tuple[str, datetime, float] | None:
        """Add a ticket; None where too many wait; raise `AlreadyQueued`.

        Give its id, when it was added, and how long people waited lately.
        """
        async with self._database.transaction() as connection:
            await connection.execute(SQL["ensure_queue"], ticket.ruleset)
            locked = await connection.fetch(SQL["lock_party"], list(players))
            await connection.execute(SQL["forget_started"], list(players))
            if len(locked) != len(players) or await connection.fetchval(
                SQL["is_queued"], list(players)
            ):
                raise AlreadyQueued
            count = await connection.fetchval(SQL["count_waiting"], ticket.ruleset, tickets_max)
            if count >= tickets_max:
                return None
            row = await connection.fetchrow(
                SQL["add_ticket"],
                ticket.ruleset,
                ticket.seats,
                orjson.dumps(ticket.config),
                ticket.region,
                ticket.rating,
                orjson.dumps(ticket.properties),
                orjson.dumps(ticket.conditions),
                ticket.with_bots,
            )
            assert row is not None
            await connection.execute(SQL["add_ticket_players"], row["ticket_id"], list(players))
        return row["ticket_id"], row["queued_at"], row["usual_s"]

    async def leave(self, player_id: PlayerId) -> None:
        """Delete a person's ticket, or decline; raise `NotQueued` or `MatchStarting`."""
        async with self._database.transaction() as connection:
            if await connection.fetchval(SQL["delete_waiting_ticket"], player_id) is not None:
                return
            await self._decline(connection, player_id, None)

    async def decline(self, player_id: PlayerId, match_id: str) -> None:
        """Decline a match; raise `NotQueued` or `MatchStarting`."""
        async with self._database.transaction() as connection:
            await self._decline(connection, player_id, match_id)

    async def accept(self, player_id: PlayerId, match_id: str) -> None:
        """Accept a match; the last one to do so lets it start. Raise `NotQueued`."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(SQL["lock_match_of"], player_id)
            if row is None or row["match_id"] != match_id:
                raise NotQueued("You are offered no such match.")
            if row["state"] == "offered":
                await connection.execute(SQL["accept"], player_id)
                await connection.execute(SQL["start_if_accepted"], match_id)

    async def _decline(
        self, connection: Connection, player_id: PlayerId, match_id: str | None
    ) -> None:
        row = await connection.fetchrow(SQL["lock_match_of"], player_id)
        if row is None or match_id not in (None, row["match_id"]) or row["state"] == "started":
            raise NotQueued
        if row["state"] == "starting":
            raise MatchStarting
        await connection.execute(SQL["delete_ticket"], row["ticket_id"])
        await _break_up(connection, row["match_id"])

    async def note_seen(self, players: Collection[PlayerId]) -> None:
        """Note that people have a connection."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["note_seen"], list(players))

    async def read_searches(self, players: Collection[PlayerId]) -> list[StoredSearch]:
        """Read how the searches of some people are going."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["searches_of"], list(players))
        found = []
        for row in rows:
            fields = dict(row)
            seats = fields["seats"]
            fields["seats"] = None if seats is None else orjson.loads(seats)
            found.append(StoredSearch(**fields))
        return found

    async def list_party_members(self) -> list[PlayerId]:
        """List those who queued with others."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["party_members"], COUNTED_MAX)
        return [row["player_id"] for row in rows]

    async def count_waiting_people(self) -> dict[str, int]:
        """Count who waits, by ruleset."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["waiting_people"], COUNTED_MAX)
        return {row["ruleset"]: row["people"] for row in rows}

    # ------------------------------------------------------------------ searching

    async def list_busy(self) -> list[str]:
        """List the rulesets for which somebody waits."""
        async with self._database.acquire() as connection:
            return [row["ruleset"] for row in await connection.fetch(SQL["busy_queues"])]

    @asynccontextmanager
    async def hold_queue(self, ruleset: str) -> AsyncIterator[HeldQueue | None]:
        """Hold a queue; None where another node does."""
        async with self._database.transaction() as connection:
            waited_s = await connection.fetchval(SQL["lock_queue"], ruleset)
            yield None if waited_s is None else HeldQueue(connection, ruleset, waited_s)

    # ------------------------------------------------------------------ starting

    async def claim(self, *, lease_s: float, limit: int) -> list[StartingMatch]:
        """Claim some matches that are to start."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["claim_matches"], lease_s, limit)
        return [
            StartingMatch(
                row["match_id"],
                row["ruleset"],
                orjson.loads(row["config"]),
                orjson.loads(row["seats"]),
                row["region"],
                row["attempts"],
            )
            for row in rows
        ]

    async def note_started(self, match_id: LobbyId, game_id: GameId) -> None:
        """Note that the game of a match runs."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["note_started"], match_id, game_id)

    async def give_up(self, match_id: LobbyId) -> None:
        """Delete a match that cannot start, and its tickets."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["delete_match"], match_id)

    # ------------------------------------------------------------------ clearing up

    async def break_up_overdue(self, limit: int) -> int:
        """Break up offers that were not accepted in time; who accepted waits on."""
        async with self._database.acquire() as connection:
            if not await connection.fetchval(SQL["has_overdue"]):
                return 0
        async with self._database.transaction() as connection:
            rows = await connection.fetch(SQL["overdue_offers"], limit)
            for row in rows:
                await connection.execute(SQL["delete_not_accepted"], row["match_id"])
                await _break_up(connection, row["match_id"])
        return len(rows)

    async def delete_absent(self, absent_s: float, *, limit: int) -> int:
        """Delete waiting tickets on which somebody was not seen for this long."""
        async with self._database.acquire() as connection:
            return len(await connection.fetch(SQL["delete_absent"], absent_s, limit))

    async def clear(self, than_s: float, *, limit: int) -> int:
        """Delete some matches that started, or could not start, longer ago than this."""
        async with self._database.acquire() as connection:
            return len(await connection.fetch(SQL["clear_matches"], than_s, limit))


async def _break_up(connection: Connection, match_id: LobbyId) -> None:
    """Delete a match; the tickets that it still has wait on, with the time they have waited."""
    await connection.execute(SQL["reset_accepted"], match_id)
    await connection.execute(SQL["release_tickets"], match_id)
    await connection.execute(SQL["delete_match"], match_id)
