"""Lobbies as they are stored, and the two ways in which they change.

A change is a transaction that locks the lobby's row, reads it whole, and writes the
difference to what it shall be:

    async with store.transaction() as transaction:
        before = await transaction.lock_lobby(lobby_id)
        after = await transaction.save(before, decide(before))

Of a lobby that is known already, the difference is decided first and written together with
those of other lobbies, if the lobby still has the version that it was decided on:

    after = await store.change(before, decide(before), open_max=...)

Where that gives None, nothing was written, and a transaction says what is wrong.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime

import asyncpg
import orjson

from persistence.accounts.audit_log import record_entry
from persistence.batched_reads import BatchedReads
from persistence.database import Connection, Database
from persistence.group_commit import GroupCommit
from persistence.lobbies.model import (
    AdministeredLobby,
    JoiningPlayer,
    Lobby,
    LobbyCard,
    LobbyListPosition,
    Member,
    PeerMatch,
    QuickPlayCriteria,
    TableGame,
)
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.errors import Unavailable
from protocol.ids import LobbyId, MatchId, PlayerId
from protocol.lobbies import ListQuery

log = logging.getLogger(__name__)

SQL = load_queries("lobbies/store")

SWEPT_MAX = 100


class LobbyStore:
    """Lobbies in PostgreSQL."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls
        self._lobbies = BatchedReads[LobbyId, Lobby](self._read_lobbies)
        self._openings = GroupCommit[bytes, asyncpg.Record | None](self._open_together)
        self._changes = GroupCommit[bytes, asyncpg.Record | None](self._change_together)

    async def run(self) -> None:
        """Write what is opened and changed, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._openings.run(), name="opening lobbies")
            group.create_task(self._changes.run(), name="changing lobbies")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["LobbyTransaction"]:
        """Begin a change; it is kept as a whole when the block ends, or not at all."""
        async with self._database.transaction() as connection:
            yield LobbyTransaction(connection)

    async def read(self, lobby_id: LobbyId) -> Lobby | None:
        """Read a lobby."""
        return await self._lobbies.read(lobby_id)

    async def open(self, lobby: Lobby, *, open_max: int) -> Lobby | None:
        """Add a lobby with its host alone, together with those of others.

        None, and nothing is written, if its join code is taken, or if the host is in `open_max`
        open lobbies or about to enter one: a transaction says what is wrong then.
        """
        host = lobby.host_player_id
        row = await self._openings.commit(_opening(lobby, open_max))
        return None if row is None else _named(lobby, host, row["host_name"])

    async def change(
        self, before: Lobby, after: Lobby, *, joiner: PlayerId | None = None, open_max: int
    ) -> Lobby | None:
        """Write the difference and return the lobby with its new version; together with others.

        None, and nothing is written, if the stored lobby has another version than `before` or is
        locked, or if the `joiner` is in `open_max` open lobbies or about to enter one: a
        transaction says what is wrong then.
        """
        row = await self._changes.commit(_change(before, after, joiner, open_max))
        if row is None:
            return None
        return replace(_named(after, joiner, row["joiner_name"]), version=row["new_version"])

    async def _read_lobbies(self, lobby_ids: Collection[LobbyId]) -> dict[LobbyId, Lobby]:
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["read_lobbies"], lobby_ids)
        return {record["lobby_id"]: _lobby(record) for record in records}

    async def _open_together(self, openings: Sequence[bytes]) -> list[asyncpg.Record | None]:
        return await self._write_together("open_lobbies", openings)

    async def _change_together(self, changes: Sequence[bytes]) -> list[asyncpg.Record | None]:
        return await self._write_together("change_lobbies", changes)

    async def _write_together(
        self, query: str, changes: Sequence[bytes]
    ) -> list[asyncpg.Record | None]:
        """Write many in one statement; gives None for each that was not written."""
        written: list[asyncpg.Record | None] = [None] * len(changes)
        is_lent = False
        try:
            async with self._database.acquire() as connection:
                is_lent = True
                rows = await connection.fetch(SQL[query], b"[" + b",".join(changes) + b"]")
        except Unavailable:  # the answer is lost, so nobody knows
            raise
        except Exception as error:  # of one of them, or a bug: each of them meets its own alone
            if not is_lent:
                raise  # each of them would wait for the same pool
            log.warning("%s of %d lobbies: %r; one by one", query, len(changes), error)
            return written
        for row in rows:
            written[row["nth"] - 1] = row
        return written

    async def close_as(self, requester: Requester, lobby_id: LobbyId) -> bool:
        """Close an open lobby in the name of whoever asks; the database lets only its host."""
        async with self._rls.as_user(requester) as connection:
            closed = await connection.fetchval(SQL["close_lobby"], lobby_id)
        return closed is not None

    async def find_by_code(self, code: str) -> LobbyId | None:
        """Find the lobby, not closed, that a code leads to."""
        async with self._database.acquire() as connection:
            found: LobbyId | None = await connection.fetchval(SQL["lobby_of_code"], code)
        return found

    async def list_public(
        self, query: ListQuery, after: LobbyListPosition | None
    ) -> list[LobbyCard]:
        """List at most `query.limit` public lobbies, newest first."""
        filters = (query.status, query.ruleset, query.mode, query.free_seats, query.text)
        region_and_limit = (query.region, query.limit)
        place = after or (None, None)
        async with self._database.acquire() as connection:
            records = await connection.fetch(
                SQL["list_lobbies"], *filters, *place, *region_and_limit
            )
        return [LobbyCard(*record) for record in records]

    async def list_for_operators(
        self, *, status: str | None, text: str, after: LobbyListPosition | None, limit: int
    ) -> list[AdministeredLobby]:
        """List some lobbies of any kind, newest first."""
        place = after or (None, None)
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_for_operators"], status, text, *place, limit)
        return [AdministeredLobby(*row) for row in rows]

    async def find_quick_play(self, player_id: PlayerId, fit: QuickPlayCriteria) -> LobbyId | None:
        """Find the quick-play lobby for a player: their own, else the fullest."""
        async with self._database.acquire() as connection:
            return await _fitting(connection, player_id, fit)

    async def list_due_for_bots(self, now: datetime) -> list[LobbyId]:
        """List some lobbies whose free seats bots are to get by now."""
        return await self._ids("due_lobbies", now, SWEPT_MAX)

    async def list_silent(self, than_s: float) -> list[LobbyId]:
        """List some open lobbies that have shown no life for longer than this."""
        return await self._ids("silent_lobbies", than_s, SWEPT_MAX)

    async def list_silent_hosts(self, than_s: float) -> list[tuple[LobbyId, PlayerId]]:
        """List some peer lobbies whose host has shown no life for longer than this."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["silent_hosts"], than_s, SWEPT_MAX)
        return [(record["id"], record["host_player_id"]) for record in records]

    async def refresh_host(self, lobby_id: LobbyId, host: PlayerId) -> bool:
        """Show life for the host of a peer lobby; False if they are not that."""
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["host_beat"], lobby_id, host))

    async def find_peer_members(
        self, claimed: Collection[tuple[str, str, str]]
    ) -> list[tuple[str, str, str]]:
        """Say which of these (lobby, player, session) are members of an open peer lobby."""
        if not claimed:
            return []
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["peer_members"], *zip(*claimed, strict=True))
        return [(lobby, player, session) for lobby, player, session in records]

    async def read_peer_node(self, lobby_id: LobbyId) -> str | None:
        """Say at which node's address a lobby's peers meet; None if no node has a good lease."""
        async with self._database.acquire() as connection:
            address: str | None = await connection.fetchval(SQL["peers_meet_at"], lobby_id)
        return address

    async def find_meeting_nodes(self, lobby_ids: Collection[str]) -> dict[str, str]:
        """Say on which node the peers of lobbies meet; under `""`, those of no lobby."""
        async with self._database.acquire() as connection:
            lobbies = [each for each in lobby_ids if each]
            rows = await connection.fetch(SQL["meeting_nodes"], lobbies) if lobbies else []
            found = {row[0]: row[1] for row in rows}
            if "" in lobby_ids and (oldest := await connection.fetchval(SQL["oldest_node"])):
                found[""] = oldest
        return found

    async def find_live_nodes(self, nodes: Collection[str]) -> set[str]:
        """Say which nodes have a lease."""
        async with self._database.acquire() as connection:
            return {row[0] for row in await connection.fetch(SQL["live_nodes"], list(nodes))}

    async def read_versions(self, lobby_ids: Collection[LobbyId]) -> dict[LobbyId, int]:
        """Read the versions of lobbies."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["lobby_versions"], list(lobby_ids))
        return {record["id"]: record["version"] for record in records}

    async def read_listed_versions(self, limit: int) -> dict[LobbyId, int]:
        """Read the versions of the newest lobbies in the public list."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["listed_versions"], limit)
        return {record["id"]: record["version"] for record in records}

    async def read_bans(self, lobby_ids: Collection[LobbyId]) -> list[tuple[LobbyId, PlayerId]]:
        """Read who may not come back into lobbies."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["lobby_bans"], list(lobby_ids))
        return [(lobby_id, player_id) for lobby_id, player_id in records]

    async def delete_closed(self, than_s: float, *, limit: int) -> int:
        """Delete some lobbies closed for longer than this that nothing refers to."""
        return len(await self._ids("clear_closed", than_s, limit))

    async def is_reporter(self, match_id: MatchId, player_id: PlayerId) -> bool:
        """Say whether this player reported this match between peers."""
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["is_reporter"], match_id, player_id))

    async def list_open_of_player(self, player_id: PlayerId) -> list[LobbyId]:
        """List the lobbies of a player that can be left: open, or between peers."""
        return await self._ids("open_lobbies_of", player_id)

    async def refresh_players(self, player_ids: Collection[PlayerId]) -> None:
        """Show life for the open lobbies of these players."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["beat"], list(player_ids))

    async def _ids(self, query: str, *values: object) -> list[LobbyId]:
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL[query], *values)
        return [record[0] for record in records]


class LobbyTransaction:
    """One transaction. Lock a player before a lobby, and no two of either."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock_player(self, player_id: PlayerId) -> JoiningPlayer:
        """Lock a player who wants to enter a lobby."""
        name = await self._connection.fetchval(SQL["lock_player"], player_id)
        count = await self._connection.fetchval(SQL["count_open_lobbies"], player_id)
        return JoiningPlayer(player_id, name, count)

    async def read_names(self, player_ids: Collection[PlayerId]) -> dict[PlayerId, str]:
        """Read the names of players; who was erased is left out."""
        records = await self._connection.fetch(SQL["player_names"], list(player_ids))
        return {record["id"]: record["display_name"] for record in records}

    async def lock_lobby(self, lobby_id: LobbyId) -> Lobby | None:
        """Lock a lobby and read it."""
        await self._connection.execute(SQL["lock_lobby"], lobby_id)
        return await _read(self._connection, lobby_id)

    async def lock_quick_play(self, ruleset: str) -> None:
        """Wait until no other node is about to open a quick-play lobby of this ruleset."""
        await self._connection.execute(SQL["lock_quick_play"], ruleset)

    async def find_quick_play(self, player_id: PlayerId, fit: QuickPlayCriteria) -> LobbyId | None:
        """Find the quick-play lobby for a player: their own, else the fullest."""
        return await _fitting(self._connection, player_id, fit)

    async def add(self, lobby: Lobby) -> bool:
        """Add a new lobby with its members; False if its join code is taken."""
        added = await self._connection.fetchval(SQL["add_lobby"], *_columns(lobby))
        if added is None:
            return False
        await self._add_members(lobby.lobby_id, lobby.members)
        return True

    async def add_bots(self, bots: Sequence[tuple[PlayerId, str]]) -> None:
        """Make the players that bots sit as, with their names, where they are new."""
        await self._connection.execute(SQL["add_bots"], *zip(*bots, strict=True))

    async def record_closing(self, before: Lobby, reason: str, *, actor: str) -> None:
        """Put on record that an operator closes a lobby, and why."""
        await record_entry(
            self._connection,
            actor=actor,
            action="close_lobby",
            target=before.lobby_id,
            before={"status": before.status, "name": before.name},
            after={"status": "CLOSED", "reason": reason},
        )

    async def save(self, before: Lobby, after: Lobby) -> Lobby:
        """Write the difference and return the lobby with its new version.

        Nothing is written, and the version stays, where there is no difference.
        """
        if after == before:
            return before
        await self._save_members(before, after)
        if banned := after.bans - before.bans:
            await self._connection.execute(SQL["add_bans"], after.lobby_id, list(banned))
        version = await self._connection.fetchval(
            SQL["save_lobby"], after.lobby_id, *_changed_columns(after), after.tables
        )
        return replace(after, version=version)

    async def has_match(self, lobby_id: LobbyId, match_id: MatchId) -> bool:
        """Say whether a lobby's session was reported."""
        return bool(await self._connection.fetchval(SQL["has_match"], match_id, lobby_id))

    async def add_match(self, match: PeerMatch) -> None:
        """Write the history record of a session between peers; the statistics stay."""
        lobby = match.lobby
        about = (lobby.lobby_id, lobby.ruleset, lobby.started_at, match.ended_at)
        result = (match.winner_id, match.reported_by)
        await self._connection.execute(SQL["add_match"], match.match_id, *about, *result)
        seats = (list(match.scores), list(match.scores.values()))
        how = (match.winner_id, match.ended_at)
        await self._connection.execute(SQL["add_match_players"], match.match_id, *seats, *how)

    async def _save_members(self, before: Lobby, after: Lobby) -> None:
        removed, changed, added = _member_changes(before, after)
        if removed:
            await self._connection.execute(SQL["remove_members"], after.lobby_id, removed)
        if changed:
            ids, roles, seats, readies, _, tables = _member_columns(changed)
            columns = (ids, roles, seats, readies, tables)
            await self._connection.execute(SQL["change_members"], after.lobby_id, *columns)
        await self._add_members(after.lobby_id, added)

    async def _add_members(self, lobby_id: LobbyId, members: Sequence[Member]) -> None:
        if not members:
            return
        if bots := [(m.player_id, m.display_name) for m in members if m.bot is not None]:
            await self.add_bots(bots)
        await self._connection.execute(SQL["add_members"], lobby_id, *_member_columns(members))


def _columns(lobby: Lobby) -> tuple[object, ...]:
    """Give the parameters of `add_lobby`."""
    return (
        lobby.lobby_id,
        lobby.name,
        lobby.mode,
        lobby.ruleset,
        orjson.dumps(lobby.config),
        lobby.seats,
        lobby.spectators_max,
        lobby.is_public,
        lobby.join_code,
        lobby.password_hash,
        lobby.quick_play,
        lobby.fill_at,
        lobby.created_at,
        lobby.host_player_id,
        lobby.region,
        lobby.tables,
        lobby.table_of,
        lobby.table_no,
    )


def _changed_columns(lobby: Lobby) -> tuple[object, ...]:
    """Give what a change may write of a lobby."""
    return (
        lobby.name,
        lobby.status,
        orjson.dumps(lobby.config),
        lobby.seats,
        lobby.is_public,
        lobby.fill_at,
        lobby.host_player_id,
        lobby.mode,
        lobby.ruleset,
        lobby.host_peer_id,
        lobby.match_id,
        lobby.started_at,
        list(lobby.lineup),
    )


def _opening(lobby: Lobby, open_max: int) -> bytes:
    """Lay out a new lobby as `open_lobby` takes it."""
    return orjson.dumps(
        {
            "lobby_id": lobby.lobby_id,
            "host": lobby.host_player_id,
            "open_max": open_max,
            "name": lobby.name,
            "mode": lobby.mode,
            "ruleset": lobby.ruleset,
            "config": lobby.config,
            "seats": lobby.seats,
            "spectators_max": lobby.spectators_max,
            "is_public": lobby.is_public,
            "join_code": lobby.join_code,
            "password_hash": lobby.password_hash,
            "quick_play": lobby.quick_play,
            "fill_at": lobby.fill_at,
            "created_at": lobby.created_at,
            "region": lobby.region,
        }
    )


def _change(before: Lobby, after: Lobby, joiner: PlayerId | None, open_max: int) -> bytes:
    """Lay out how a lobby changes as `change_lobby` takes it."""
    removed, changed, added = _member_changes(before, after)
    return orjson.dumps(
        {
            "lobby_id": after.lobby_id,
            "version": before.version,
            "joiner": joiner,
            "open_max": open_max,
            "removed": removed,
            "banned": list(after.bans - before.bans),
            "changed": [
                {"player_id": m.player_id, "role": m.role, "seat": m.seat, "ready": m.ready}
                for m in changed
            ],
            "added": [
                {
                    "nth": nth,
                    "player_id": m.player_id,
                    "role": m.role,
                    "seat": m.seat,
                    "ready": m.ready,
                    "bot": m.bot,
                }
                for nth, m in enumerate(added)
            ],
            "name": after.name,
            "status": after.status,
            "config": after.config,
            "seats": after.seats,
            "is_public": after.is_public,
            "fill_at": after.fill_at,
            "host_player_id": after.host_player_id,
            "mode": after.mode,
            "ruleset": after.ruleset,
            "host_peer_id": after.host_peer_id,
            "match_id": after.match_id,
            "started_at": after.started_at,
            "lineup": after.lineup,
        }
    )


def _member_changes(
    before: Lobby, after: Lobby
) -> tuple[list[PlayerId], list[Member], list[Member]]:
    """Say who goes, who changes and who comes."""
    old = {member.player_id: member for member in before.members}
    new = {member.player_id for member in after.members}
    changed = [m for m in after.members if old.get(m.player_id, m) != m]
    added = [m for m in after.members if m.player_id not in old]
    return list(old.keys() - new), changed, added


def _member_columns(members: Sequence[Member]) -> tuple[Sequence[object], ...]:
    """Lay members out as columns: ids, roles, seats, readies, bots, tables."""
    if not members:
        return [], [], [], [], [], []
    ids, _, roles, seats, readies, bots, tables = zip(*members, strict=True)
    return ids, roles, seats, readies, bots, tables


def _named(lobby: Lobby, player_id: PlayerId | None, name: str | None) -> Lobby:
    """Give a member the name that is stored."""
    if player_id is None or name is None:
        return lobby
    members = tuple(
        m._replace(display_name=name) if m.player_id == player_id else m for m in lobby.members
    )
    return replace(lobby, members=members)


async def _read(connection: Connection, lobby_id: LobbyId) -> Lobby | None:
    record = await connection.fetchrow(SQL["read_lobbies"], [lobby_id])
    return None if record is None else _lobby(record)


async def _fitting(
    connection: Connection, player_id: PlayerId, fit: QuickPlayCriteria
) -> LobbyId | None:
    config = orjson.dumps(fit.config)
    found: LobbyId | None = await connection.fetchval(
        SQL["fitting_lobby"], fit.ruleset, player_id, config, fit.seats
    )
    return found


def _lobby(record: asyncpg.Record) -> Lobby:
    fields = dict(record)
    fields["config"] = orjson.loads(fields["config"])
    fields["members"] = tuple(Member(*values) for values in orjson.loads(fields["members"]))
    fields["table_games"] = tuple(TableGame(*each) for each in orjson.loads(fields["table_games"]))
    fields["lineup"] = tuple(fields["lineup"])
    fields["bans"] = frozenset(fields["bans"])
    return Lobby(**fields)
