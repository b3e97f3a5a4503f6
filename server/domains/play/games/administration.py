"""What operators see of games and do to them, on whichever node a game is.

What is shown of a running game is what any spectator would see: operators play as well. The log
with all that it hides is for admins, and each reading of it is put on record.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from persistence.eventlog.writer import EventRow
from persistence.games.administration import (
    AdministeredGame,
    GameAdministrationStore,
    GameFilter,
    GameHasEnded,
    GamePosition,
    GameRecord,
    NoSuchGame,
)
from persistence.games.store import GameStore
from protocol.errors import GameNotFound, GameOver, PlayhallError
from protocol.ids import GameId, PlayerId
from server.core.containment import RAISED_BY_RULES
from server.core.events import LobbyGameCompleted, LocalEventBus
from server.core.subscriptions import AnnouncedSweep, PollPolicy, Subscriptions
from server.domains.play.games.live_game import LiveGame
from server.domains.play.games.recovery import CorruptLog, recover_game
from server.domains.play.games.registry import GameRegistry
from server.domains.play.games.ruleset_failures import describe_error
from server.domains.play.games.views import build_snapshot
from server.gamekit.fold import AnyRuleset

log = logging.getLogger(__name__)

ENDED_POLL: Final = PollPolicy(live_s=10.0, alone_s=5.0)
ENDED_AT_ONCE: Final = 1000
# Of a longer log, the state is shown only by the node that has it in memory.
FOLDED_EVENTS_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class InspectedGame:
    """A game with what its rules show; `snapshot` is None where they are not to be called."""

    record: GameRecord
    problem: str | None
    snapshot: Mapping[str, Any] | None
    names: Mapping[PlayerId, str]
    live: LiveGame | None


class GameAdministration:
    """Finds games, ends them, and has those of this node stopped that were ended elsewhere."""

    def __init__(
        self,
        *,
        store: GameAdministrationStore,
        games: GameStore,
        registry: GameRegistry,
        rulesets: Mapping[str, AnyRuleset],
        subscriptions: Subscriptions,
        events: LocalEventBus,
    ) -> None:
        self._store = store
        self._games = games
        self._registry = registry
        self._rulesets = rulesets
        self._events = events
        self._sweep = AnnouncedSweep(subscriptions, "ended-games", self.stop_ended, poll=ENDED_POLL)

    async def list_games(
        self, which: GameFilter, after: GamePosition | None, *, limit: int
    ) -> Sequence[AdministeredGame]:
        """List some games, newest first."""
        return await self._store.list_games(which, after, limit=limit)

    async def inspect(self, game_id: GameId) -> InspectedGame:
        """Read a game and what it shows; raise `GameNotFound`."""
        record = await self._read(game_id)
        live = self._registry.find_loaded(game_id)
        problem, snapshot = self.find_problem(record.game), None
        if problem is None:
            try:
                snapshot = await self._snapshot(record.game, live)
            except PlayhallError as error:
                problem = error.message
            except CorruptLog as corrupt:
                problem = f"Its log cannot be folded: {corrupt}."
        seats = () if snapshot is None else snapshot["players"]
        names = await self._store.read_player_names([seat["player_id"] for seat in seats])
        return InspectedGame(record, problem, snapshot, names, live)

    def find_problem(self, game: AdministeredGame) -> str | None:
        """Say why a game does not go on, as far as its row says it."""
        if game.end_reason is not None:
            return f"An operator ended it: {game.end_reason}"
        if game.quarantine_reason is not None:
            return f"It is quarantined: {game.quarantine_reason}"
        if game.status != "in_progress" or game.is_node_alive:
            return None
        return (
            "No living node has it; one that has the ruleset "
            f"{game.ruleset} of version {game.ruleset_version} takes it over."
        )

    async def read_log(
        self, game_id: GameId, *, after: int | None, limit: int, actor: str
    ) -> tuple[int, Sequence[EventRow]]:
        """Read part of a log as it is, and put that on record; gives the head as well."""
        head = (await self._read(game_id)).game.head
        first = max(-1, head - limit) if after is None else after
        await self._store.record_reading(game_id, actor=actor, after=first)
        return head, await self._games.read_events(game_id, after=first, limit=limit)

    async def end(self, game_id: GameId, reason: str, *, actor: str) -> None:
        """End a game for good; raise `GameNotFound` or `GameOver`."""
        try:
            lobby_id = await self._store.end_game(game_id, reason, actor=actor)
        except NoSuchGame:
            raise GameNotFound from None
        except GameHasEnded as why:
            raise GameOver(str(why)) from None
        self._registry.stop_ended([(game_id, reason)])
        self._sweep.announce_sweep()
        if lobby_id is not None:
            self._events.publish(LobbyGameCompleted(lobby_id))

    async def release(self, game_id: GameId, reason: str, *, actor: str) -> None:
        """Let a quarantined game be played again; raise `GameNotFound` or `GameOver`."""
        try:
            await self._store.release_game(game_id, reason, actor=actor)
        except NoSuchGame:
            raise GameNotFound from None
        except GameHasEnded as why:
            raise GameOver(str(why)) from None

    async def stop_ended(self) -> None:
        """Stop the games of this node that an operator ended on another one."""
        here = self._registry.list_live_ids()
        for first in range(0, len(here), ENDED_AT_ONCE):
            some = here[first : first + ENDED_AT_ONCE]
            self._registry.stop_ended(await self._store.read_ended(some))

    async def _read(self, game_id: GameId) -> GameRecord:
        try:
            return await self._store.read_game(game_id)
        except NoSuchGame:
            raise GameNotFound from None

    async def _snapshot(
        self, game: AdministeredGame, live: LiveGame | None
    ) -> Mapping[str, Any] | None:
        """Draw what a spectator sees of a running game, by its log if it is elsewhere."""
        if live is not None:
            return live.snapshot(None)
        if game.status != "in_progress" or game.head >= FOLDED_EVENTS_MAX:
            return None
        stored = await self._games.find(game.game_id)
        rows = await self._games.read_log(game.game_id)
        if stored is None or len(rows) != stored.next_event_index:
            return None  # it went on meanwhile; whoever asks again gets it
        recorder = recover_game(stored, rows, self._rulesets.get(stored.ruleset))
        try:
            return build_snapshot(recorder.fold, None)
        except RAISED_BY_RULES as error:
            raise CorruptLog(describe_error(error)) from error
