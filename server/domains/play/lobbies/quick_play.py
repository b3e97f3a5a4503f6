"""Quick play: sit down with whoever is there; bots come for those who are not."""

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from persistence.lobbies.model import Lobby, QuickPlayCriteria
from persistence.lobbies.store import LobbyStore
from protocol import lobbies as wire
from protocol.errors import (
    Kicked,
    LobbyClosed,
    LobbyFull,
    LobbyNotFound,
    NotReady,
    Overloaded,
)
from protocol.ids import LobbyId, PlayerId
from server.core.clock import Clock
from server.core.tasks import Tasks
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import (
    RulesetCatalog,
    draft_quick_play_lobby,
    validate_config,
    validate_seats,
)
from server.domains.play.lobbies.changes import (
    LobbyChanges,
    LobbyGameStarter,
    add_with_code,
    require_found,
)

log = logging.getLogger(__name__)

LOOKS_MAX: Final = 8
POSTPONED_S_MIN: Final = 5.0

# Somebody was quicker: the lobby is full, or gone, or its game has begun.
TOO_LATE: Final = (LobbyFull, LobbyClosed, LobbyNotFound, Kicked)


class QuickPlay:
    """Seats players in the fullest lobby that fits, and starts what is full or due."""

    def __init__(
        self,
        *,
        store: LobbyStore,
        changes: LobbyChanges,
        starter: LobbyGameStarter,
        catalog: RulesetCatalog,
        clock: Clock,
        tasks: Tasks,
        wait_s: float,
    ) -> None:
        self._store = store
        self._changes = changes
        self._starter = starter
        self._catalog = catalog
        self._clock = clock
        self._tasks = tasks
        self._wait_s = wait_s

    async def seat_player(self, player_id: PlayerId, wish: wire.QuickPlay) -> Lobby:
        """Seat a player; the game of a lobby that is full now is about to start."""
        ruleset = self._catalog.ruleset(wish.ruleset)
        seats = None if wish.seats is None else validate_seats(ruleset, wish.seats)
        fit = QuickPlayCriteria(ruleset.name, validate_config(ruleset, wish.config), seats)
        # One after the other, or a crowd would open a lobby each.
        async with self._changes.turns.hold(f"quick_play:{ruleset.name}"):
            lobby = await self._seated(player_id, fit)
        if rules.is_full(lobby):
            self._tasks.start_work(self._start_full(lobby.lobby_id), name="start of quick play")
        return lobby

    async def fill_with_bots(self, lobby_id: LobbyId) -> None:
        """Give the free seats of a lobby to bots and start its game."""
        lobby = require_found(await self._store.read(lobby_id))
        bots = list(self._catalog.ruleset(lobby.ruleset).bots)
        try:
            await self._changes.apply_rule(
                lobby_id, partial(rules.fill_seats_with_bots, bots=bots), "filled"
            )
            await self._starter.start(lobby_id)
        except LobbyClosed:
            log.info("lobby %s was started or closed by another node", lobby_id)
        except NotReady:
            await self.postpone(lobby_id)

    async def postpone(self, lobby_id: LobbyId) -> None:
        """Let bots come later, since the game cannot start yet."""
        later = self._after(max(self._wait_s, POSTPONED_S_MIN))
        await self._changes.apply_rule(
            lobby_id, partial(rules.postpone_bots, fill_at=later), "postponed"
        )

    async def _seated(self, player_id: PlayerId, fit: QuickPlayCriteria) -> Lobby:
        for _ in range(LOOKS_MAX):
            lobby_id = await self._store.find_quick_play(player_id, fit)
            if lobby_id is None:
                lobby = await self._opened(player_id, fit)
            else:
                lobby = await self._entered(lobby_id, player_id)
            if lobby is not None:
                return lobby
        raise Overloaded

    async def _entered(self, lobby_id: LobbyId, player_id: PlayerId) -> Lobby | None:
        try:
            return await self._changes.enter_lobby(lobby_id, player_id, "player")
        except TOO_LATE:
            return None

    async def _opened(self, player_id: PlayerId, fit: QuickPlayCriteria) -> Lobby | None:
        """Open a lobby, unless another node has just opened one that fits."""
        ruleset = self._catalog.ruleset(fit.ruleset)
        now, fill_at = self._clock.now(), self._after(self._wait_s)
        draft = draft_quick_play_lobby(fit, ruleset, created_at=now, fill_at=fill_at)
        async with self._store.transaction() as transaction:
            joiner = await transaction.lock_player(player_id)
            await transaction.lock_quick_play(fit.ruleset)
            if await transaction.find_quick_play(player_id, fit) is not None:
                return None
            lobby = await add_with_code(transaction, rules.join_lobby(draft, joiner, "player"))
        self._changes.publish(lobby, "created", player_id)
        return lobby

    async def _start_full(self, lobby_id: LobbyId) -> None:
        try:
            await self._starter.start(lobby_id, rules.require_full)
        except (LobbyClosed, NotReady) as reason:
            log.info("lobby %s was not started: %s", lobby_id, reason.message)

    def _after(self, pause_s: float) -> datetime:
        return self._clock.now() + timedelta(seconds=pause_s)
