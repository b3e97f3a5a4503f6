"""Lobbies of matches that were found: everybody has a seat, and the game starts at once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from persistence.lobbies.model import Lobby, Member, QuickPlayCriteria
from persistence.lobbies.store import LobbyStore
from protocol.errors import LobbyClosed, NotReady
from protocol.ids import GameId, LobbyId, PlayerId
from server.core.clock import Clock
from server.domains.interfaces import MatchPlan
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import (
    RulesetCatalog,
    draft_quick_play_lobby,
    quick_play_seats,
    validate_config,
    validate_seats,
)
from server.domains.play.lobbies.changes import (
    LobbyChanges,
    LobbyGameStarter,
    add_with_code,
    require_found,
)

# If the node dies before the game starts, the sweep that fills lobbies starts it.
STARTED_BY_SWEEP_S: Final = 5.0


class MatchedLobbies:
    """Opens lobbies for matches, and says who is a party."""

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

    def plan_match(self, ruleset: str, seats: int | None, config: dict[str, Any]) -> MatchPlan:
        """Complete what somebody wishes to play, or refuse."""
        rules_of = self._catalog.ruleset(ruleset)
        count = quick_play_seats(rules_of) if seats is None else validate_seats(rules_of, seats)
        return MatchPlan(count, validate_config(rules_of, config))

    async def read_party(self, lobby_id: LobbyId, host: PlayerId) -> Sequence[PlayerId]:
        """List the people of an open lobby, whose host asks; raise `NotTheHost` or `NotReady`."""
        lobby = require_found(await self._store.read(lobby_id))
        if lobby.has_tables:
            raise NotReady("A lobby with several tables is no party; create one with one table.")
        rules.require_all_ready(lobby, host)
        return [player.player_id for player in lobby.human_players]

    async def open_match(
        self,
        lobby_id: LobbyId,
        ruleset: str,
        config: dict[str, Any],
        seats: Sequence[PlayerId | None],
        *,
        region: str | None,
    ) -> GameId:
        """Open a lobby with all its players and start its game; a repeat gives the same game."""
        lobby = await self._store.read(lobby_id)
        if lobby is None:
            lobby = await self._opened(lobby_id, ruleset, config, seats, region)
        if lobby.game_id is None:
            lobby = await self._starter.start(lobby_id, rules.require_full)
        if lobby.game_id is None:
            raise LobbyClosed
        return lobby.game_id

    async def _opened(
        self,
        lobby_id: LobbyId,
        ruleset: str,
        config: dict[str, Any],
        seats: Sequence[PlayerId | None],
        region: str | None,
    ) -> Lobby:
        rules_of, now = self._catalog.ruleset(ruleset), self._clock.now()
        people = [player for player in seats if player is not None]
        draft = replace(
            draft_quick_play_lobby(
                QuickPlayCriteria(ruleset, config, len(seats)),
                rules_of,
                created_at=now,
                fill_at=now + timedelta(seconds=STARTED_BY_SWEEP_S),
            ),
            lobby_id=lobby_id,
            region=region,
        )
        async with self._store.transaction() as transaction:
            names = await transaction.read_names(people)
            if len(names) < len(people):
                raise NotReady("Somebody who was to play is gone.")
            members = tuple(
                Member(player, names[player], "player", seat, ready=True, bot=None)
                for seat, player in enumerate(seats)
                if player is not None
            )
            seated = replace(draft, members=members)
            bots = list(rules_of.bots)
            lobby = await add_with_code(transaction, rules.fill_seats_with_bots(seated, bots))
        self._changes.publish(lobby, "created")
        return lobby
