"""Games for players who are known beforehand, such as those of a tournament.

The lobby's id is the caller's, so a start that is tried again, here or on another node, finds the
lobby of the first one: there is one game. The database decides it: a lobby is added once, and is
turned into a game once (`create_game`).
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from persistence.lobbies.model import Lobby, Member
from persistence.lobbies.store import LobbyStore
from protocol.errors import LobbyClosed, NotReady
from protocol.ids import GameId
from protocol.lobbies import SPECTATORS_MAX
from server.core.clock import Clock
from server.domains.interfaces import SeatedGame, SeatedPlayer
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import RulesetCatalog, validate_config
from server.domains.play.lobbies.changes import (
    LobbyChanges,
    LobbyGameStarter,
    add_with_code,
    require_found,
)


class LobbySeatedGames:
    """Seats players in a lobby of their own, and starts its game at once."""

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

    def complete_config(self, ruleset: str, config: dict[str, Any]) -> dict[str, Any]:
        """Complete a configuration; raise `UnknownRuleset` or `InvalidField`."""
        return validate_config(self._catalog.ruleset(ruleset), config)

    async def add_bots(self, ruleset: str, bot: str, count: int) -> Sequence[SeatedPlayer]:
        """Make the players that so many bots sit as; raise `UnknownRuleset` or `UnknownBot`."""
        self._catalog.require_bot(ruleset, bot)
        bots = [
            SeatedPlayer(
                rules.bot_player_id(ruleset, bot, number), rules.bot_name(bot, number), bot
            )
            for number in range(1, count + 1)
        ]
        async with self._store.transaction() as transaction:
            await transaction.add_bots([(each.player_id, each.display_name) for each in bots])
        return bots

    async def start_game(self, game: SeatedGame) -> GameId | None:
        """Start a game, or find the one that was; None if the lobby is closed without one."""
        lobby = await self._store.read(game.lobby_id)
        if lobby is None:
            await self._open(game)
        elif lobby.status != "OPEN":
            return lobby.game_id
        try:
            return (await self._starter.start(game.lobby_id)).game_id
        except (LobbyClosed, NotReady):
            # Another node was quicker, or somebody who is not connected was taken out.
            return await self._close(game)

    async def _open(self, game: SeatedGame) -> None:
        members = tuple(
            Member(each.player_id, each.display_name, "player", seat, ready=True, bot=each.bot)
            for seat, each in enumerate(game.players)
        )
        lobby = Lobby(
            lobby_id=game.lobby_id,
            name=game.name,
            mode="server",
            ruleset=game.ruleset,
            config=game.config,
            seats=len(members),
            spectators_max=SPECTATORS_MAX,
            is_public=True,
            created_at=self._clock.now(),
            members=members,
        )
        async with self._store.transaction() as transaction:
            lobby = await add_with_code(transaction, lobby)
        self._changes.publish(lobby, "created")

    async def _close(self, game: SeatedGame) -> GameId | None:
        """Close a lobby whose game cannot start, so that no other node starts it later."""
        with suppress(LobbyClosed):
            await self._changes.apply_rule(game.lobby_id, rules.close_unstarted, "closed")
        return require_found(await self._store.read(game.lobby_id)).game_id
