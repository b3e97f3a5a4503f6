"""Lobbies with several tables: the game of a table has a lobby of its own.

That lobby has the players of the table, and leads to the lobby with the tables (`table_of`). So a
game has one lobby, whatever it came from: how it is stored, moved to another node, recovered, ended
and counted does not depend on tables. The lobby with the tables stays open. What is played at which
table follows from the lobbies that lead to it; the database counts their start and their end as
changes of it, and keeps a table from having two games.
"""

from contextlib import suppress
from datetime import timedelta
from typing import Final

from persistence.lobbies.model import Lobby
from persistence.lobbies.store import LobbyStore
from protocol.errors import LobbyClosed
from protocol.ids import LobbyId, PlayerId, new_id
from server.core.clock import Clock
from server.core.containment import contain_failures
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import RulesetCatalog
from server.domains.play.lobbies.changes import (
    LobbyChanges,
    LobbyGameStarter,
    add_with_code,
    require_found,
)

# If the node dies before the game starts, the sweep that fills lobbies starts it.
STARTED_BY_SWEEP_S: Final = 5.0


class TableGames:
    """Starts the games of tables."""

    def __init__(
        self,
        *,
        store: LobbyStore,
        changes: LobbyChanges,
        starter: LobbyGameStarter,
        catalog: RulesetCatalog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._changes = changes
        self._starter = starter
        self._catalog = catalog
        self._clock = clock

    async def start(self, who: PlayerId, lobby_id: LobbyId, table: int | None) -> Lobby:
        """Start the game of a table; gives the lobby with the tables."""
        table_lobby_id = await self._open(who, lobby_id, table)
        try:
            await self._starter.start(table_lobby_id, host=who)
        except LobbyClosed:
            pass  # the sweep of another node was quicker
        except Exception:
            # Nothing is played; the table is free again.
            with contain_failures(f"closing lobby {table_lobby_id}"), suppress(LobbyClosed):
                await self._changes.apply_rule(table_lobby_id, rules.close_unstarted, "closed")
            raise
        return require_found(await self._store.read(lobby_id))

    async def _open(self, who: PlayerId, lobby_id: LobbyId, table: int | None) -> LobbyId:
        """Open the lobby of a table's game; whoever is late finds the table playing."""
        async with self._changes.turns.hold(lobby_id), self._store.transaction() as transaction:
            lobby = require_found(await transaction.lock_lobby(lobby_id))
            at = rules.require_table_ready(lobby, who, table)
            ruleset, now = self._catalog.ruleset(lobby.ruleset), self._clock.now()
            rules.require_player_count(len(lobby.players_at(at)), ruleset.seats)
            draft = rules.draft_table_lobby(
                lobby,
                at,
                lobby_id=LobbyId(new_id()),
                title=ruleset.title,
                at=now,
                fill_at=now + timedelta(seconds=STARTED_BY_SWEEP_S),
            )
            return (await add_with_code(transaction, draft)).lobby_id
