"""The node that each player connected to last."""

from collections.abc import Collection
from typing import Final, NamedTuple

from persistence.database import Database
from persistence.queries import load_queries
from protocol.ids import PlayerId

SQL = load_queries("presence/store")
FORGOTTEN_AT_ONCE: Final = 1000


class ConnectionRow(NamedTuple):
    """Where a player is connected; the newer of two connections has the higher number."""

    player_id: PlayerId
    node: str
    number: int


class PresenceStore:
    """`player_connections` in PostgreSQL, as one node reads and writes it."""

    def __init__(self, database: Database, node: str) -> None:
        self._database = database
        self._node = node

    async def note_here(self, player_ids: Collection[PlayerId]) -> dict[PlayerId, int]:
        """Note that players connected here; gives the number of each who was not erased."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["note_here"], list(player_ids), self._node)
        return {row[0]: row[1] for row in rows}

    async def note_gone(self, player_ids: Collection[PlayerId]) -> None:
        """Forget players who are here no longer, unless another node has noted them since."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["note_gone"], list(player_ids), self._node)

    async def read(self, player_ids: Collection[PlayerId]) -> list[ConnectionRow]:
        """Read where these players are, and who is noted as being here."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["read_connections"], list(player_ids), self._node)
        return [ConnectionRow(*row) for row in rows]

    async def find_elsewhere(self, player_ids: Collection[PlayerId]) -> set[PlayerId]:
        """Say who of these is connected to another node that is alive."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["connected_elsewhere"], list(player_ids), self._node)
        return {row[0] for row in rows}

    async def has_other_nodes(self) -> bool:
        """Say whether another node is alive."""
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["has_other_nodes"], self._node))

    async def forget_dead_nodes(self) -> list[PlayerId]:
        """Forget some of those who were connected to nodes that are gone; says whom."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["forget_dead_nodes"], FORGOTTEN_AT_ONCE)
        return [row[0] for row in rows]

    async def forget_node(self) -> list[PlayerId]:
        """Forget who was here before this node was started; says whom."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["forget_node"], self._node)
        return [row[0] for row in rows]
