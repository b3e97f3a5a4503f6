"""The games of this node: made, found, recovered, let go."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from persistence.eventlog.writer import EventLogWriter, OwnerFenced, RowsLost
from persistence.games.model import NewGame, StoredGame
from persistence.games.store import GameStore
from protocol.errors import (
    CloseReason,
    GameNotFound,
    GameOver,
    GoingAway,
    Overloaded,
    PlayhallError,
    Quarantined,
    Unavailable,
    UnknownRuleset,
    WrongNode,
)
from protocol.ids import GameId, LobbyId, PlayerId
from server.core.clock import Clock
from server.core.containment import RAISED_BY_RULES, contain_failures, log_failure
from server.core.events import LobbyGameCompleted, LocalEventBus
from server.core.node_calls import NodeCalls
from server.core.periodic import repeat_every
from server.core.rules_watch import CALLING_RULES
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.play.games.elsewhere import INTEREST_S, RemoteGames
from server.domains.play.games.live_game import LiveGame, LiveGameCallbacks
from server.domains.play.games.placement import Placement
from server.domains.play.games.recorder import EventRecorder, draw_seed, prepare_game
from server.domains.play.games.recovery import CorruptLog, recover_game
from server.domains.play.games.ruleset_failures import RulesetFailures
from server.domains.play.games.subscribers import encode_stopped_frame
from server.domains.play.games.tick_loop import TickLoop
from server.domains.play.games.turn_timer import TurnTimer
from server.gamekit.fold import AnyRuleset, GameFold
from server.gamekit.realtime import RealtimeRuleset

log = logging.getLogger(__name__)

SeatsChanged = Callable[[LiveGame], None]

GAMES_MAX = 20_000
FIRST_EPOCH = 1
SET_ASIDE_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class GameRegistryConfig:
    """How this node plays games."""

    node: str
    bot_pause_s: float
    idle_game_s: float


def ended_by_operator(reason: str) -> Quarantined:
    """Say to a player that an operator ended their game."""
    return Quarantined(f"An operator ended this game: {reason}")


class GameRegistry:
    """The live games of this node, by id.

    `seats_changed` is called when somebody left a seat of a game or took it again, and that is
    committed.
    """

    def __init__(
        self,
        *,
        config: GameRegistryConfig,
        store: GameStore,
        log: EventLogWriter,
        clock: Clock,
        tasks: Tasks,
        rulesets: Mapping[str, AnyRuleset],
        may_serve: Callable[[], bool],
        subscriptions: Subscriptions,
        events: LocalEventBus,
        seats_changed: SeatsChanged,
        calls: NodeCalls | None = None,
        placement: Placement | None = None,
        on_completed: Callable[[GameId, GameFold], None] | None = None,
    ) -> None:
        self._config = config
        self._may_serve = may_serve
        self._store = store
        self._log = log
        self._clock = clock
        self._tasks = tasks
        self._rulesets = rulesets
        self._events = events
        self.seats_changed = seats_changed
        self._live: dict[GameId, LiveGame] = {}
        self._turns: dict[GameId, TurnTimer | TickLoop] = {}
        self._loading: dict[GameId, asyncio.Future[LiveGame]] = {}
        self._games_of: dict[PlayerId, set[GameId]] = {}
        self._has_reclaimed = False
        # Games whose rules failed, until the database has it: they must not be read again.
        self._failing: set[GameId] = set()
        # Running games that left memory and whose rules were loaded again since, by their code.
        self._old_rules: dict[GameId, AnyRuleset] = {}
        self.faults = RulesetFailures(clock.monotonic)
        # The games of other nodes that connections of this one follow.
        self.elsewhere = RemoteGames(
            store, rulesets=rulesets, subscriptions=subscriptions, calls=calls, faults=self.faults
        )
        self._callbacks = LiveGameCallbacks(
            self._settled, self._completed, self._lost, self._failed
        )
        self.draining = False
        self._placement = placement
        self._on_completed = on_completed

    def __len__(self) -> int:
        return len(self._live)

    def now(self) -> float:
        """Give the time of the loop's clock."""
        return asyncio.get_running_loop().time()

    # ------------------------------------------------------------------ finding

    def find_loaded(self, game_id: GameId) -> LiveGame | None:
        """Find a game that is in memory on this node."""
        return self._live.get(game_id)

    def games_by_lobby(self) -> dict[LobbyId, GameId]:
        """List the games that are played or followed here by the lobbies that they came from."""
        here = [(game.lobby_id, game.game_id) for game in self._live.values()]
        followed = [(game.lobby_id, game.game_id) for game in self.elsewhere.games()]
        return {lobby_id: game_id for lobby_id, game_id in here + followed if lobby_id is not None}

    def games(self) -> list[LiveGame]:
        """List the games in memory."""
        return list(self._live.values())

    def games_of_player(self, player_id: PlayerId) -> list[LiveGame]:
        """List the games in memory in which a player has a seat."""
        return [self._live[game_id] for game_id in self._games_of.get(player_id, ())]

    async def is_quarantined(self, game_id: GameId) -> bool:
        """Say whether a game was set aside, here or on another node."""
        if game_id in self._failing or game_id in self._live:
            return game_id in self._failing
        stored = await self._store.find(game_id)
        return stored is not None and stored.quarantined

    async def find(self, game_id: GameId) -> LiveGame:
        """Find a running game, from the log if it is not in memory.

        Raises `GameNotFound`, `GameOver`, `Quarantined`, or `WrongNode` with the address
        of the node that has it.
        """
        self._check_serving()
        if game_id in self._failing:
            raise Quarantined
        if (game := self._live.get(game_id)) is not None:
            game.require_sound()
            return game
        loading = self._loading.get(game_id)
        if loading is None:
            loading = self._loading[game_id] = asyncio.get_running_loop().create_future()
            self._tasks.start_work(self._load_into(loading, game_id), name="recovery of a game")
        return await asyncio.shield(loading)

    async def _load_into(self, loading: asyncio.Future[LiveGame], game_id: GameId) -> None:
        """Load a game once for all who ask for it meanwhile."""
        try:
            loading.set_result(await self._load(game_id))
        except Exception as error:
            loading.set_exception(error)
            loading.exception()  # whoever asked may be gone
        finally:
            loading.cancel()
            del self._loading[game_id]

    async def _load(self, game_id: GameId) -> LiveGame:
        stored = await self._store.find(game_id)
        if stored is None:
            raise GameNotFound
        if stored.end_reason is not None:
            raise ended_by_operator(stored.end_reason)
        if stored.quarantined:
            raise Quarantined
        if stored.status == "completed":
            raise GameOver
        if self._ruleset_of(stored) is None:
            raise Unavailable(
                f"This server does not have {stored.ruleset} {stored.ruleset_version}."
            )
        return await self._take(game_id)

    async def _take(self, game_id: GameId) -> LiveGame:
        """Own a game: raise its epoch, read its log, fold it."""
        claim = await self._store.claim_game(game_id)
        if claim is None:
            owner = await self._store.find_live_owner(game_id)
            raise WrongNode(address=owner and owner.address)
        stored = await self._store.find(game_id)
        assert stored is not None
        rows = await self._store.read_log(game_id)
        try:
            recorder = recover_game(stored, rows, self._ruleset_of(stored))
        except CorruptLog as corrupt:
            log.exception("game %s is quarantined", game_id, extra={"game_id": game_id})
            await self._store.quarantine(game_id, str(corrupt), owner_epoch=claim.owner_epoch)
            self.faults.quarantined += 1
            raise Quarantined from corrupt
        game = self._admit(stored.id, recorder, claim.owner_epoch, lobby_id=stored.lobby_id)
        self.elsewhere.hand_over(game_id, rows)
        if self.elsewhere.is_possible and game.patches is None:
            # Nodes that followed it at its last owner do not know yet whom to tell that they do.
            game.subscribers.share("", INTEREST_S)
        game.require_sound()
        self.seats_changed(game)  # what the last owner had not written of it is lost
        return game

    def _ruleset_of(self, stored: StoredGame) -> AnyRuleset | None:
        """Find a game's rules, in the version that it began with."""
        ruleset = self._old_rules.get(stored.id) or self._rulesets.get(stored.ruleset)
        return ruleset and ruleset.of_version(stored.ruleset_version)

    def _check_serving(self) -> None:
        if self.draining:
            raise GoingAway
        if not self._may_serve():
            raise Unavailable("This server lost its database connection; try again in a moment.")

    # ------------------------------------------------------------------ making

    async def create(self, new: NewGame) -> GameId:
        """Make a game and its first events, and start its lobby with it, all or nothing.

        It may be another node's from the start. That node takes it when it is told, or when the
        first player asks for it.
        """
        self._check_serving()
        if len(self._live) >= GAMES_MAX or not self._log.require_room():
            raise Overloaded
        ruleset = self._rulesets.get(new.ruleset)
        if ruleset is None:
            raise UnknownRuleset
        node = self._config.node
        if self._placement is not None and not isinstance(ruleset, RealtimeRuleset):
            node = await self._placement.choose()
        try:
            moment, seed = self._clock.moment(), draw_seed()
            with CALLING_RULES:
                made = prepare_game(new, ruleset, node=node, moment=moment, seed=seed)
        except RAISED_BY_RULES as error:
            self.faults.count(ruleset.name, "setup", error)
            raise PlayhallError(
                "The rules could not start a game; the failure was logged."
            ) from error
        await self._log.create_game(made.row, made.first_rows)
        if self._placement is not None and node != self._config.node:
            work = self._placement.hand_over(node, made.row.id)
            self._tasks.start_work(work, name="a new game for another node")
            return made.row.id
        game = self._admit(made.row.id, made.recorder, FIRST_EPOCH, lobby_id=new.lobby_id)
        game.tail.extend(made.first_recorded)
        return made.row.id

    # ------------------------------------------------------------------ keeping

    def _admit(
        self,
        game_id: GameId,
        recorder: EventRecorder,
        owner_epoch: int,
        *,
        lobby_id: LobbyId | None,
    ) -> LiveGame:
        game = LiveGame(
            game_id,
            recorder,
            owner_epoch=owner_epoch,
            lobby_id=lobby_id,
            log=self._log,
            clock=self._clock,
            may_serve=self._may_serve,
            faults=self.faults,
            callbacks=self._callbacks,
            topic=self.elsewhere.topics.hold(game_id, owned=True),
        )
        self._live[game_id] = game
        for player_id in game.fold.table.seat_by_player:
            self._games_of.setdefault(player_id, set()).add(game_id)
        self._turns[game_id] = turns = self._make_timer(game)
        turns.restart()
        return game

    def _make_timer(self, game: LiveGame) -> TurnTimer | TickLoop:
        rules = game.fold.realtime
        if rules is not None:
            return TickLoop(game, rules, clock=self._clock)
        pause_s = self._config.bot_pause_s
        return TurnTimer(game, clock=self._clock, bot_pause_s=pause_s)

    def _drop(self, game: LiveGame, why: PlayhallError | None = None) -> None:
        game.unload(why)
        if self._live.get(game.game_id) is not game:
            return
        del self._live[game.game_id]
        self._keep_old_rules(game)
        self._turns.pop(game.game_id).stop()
        for player_id in game.fold.table.seat_by_player:
            game_ids = self._games_of[player_id]
            game_ids.discard(game.game_id)
            if not game_ids:
                del self._games_of[player_id]

    def _keep_old_rules(self, game: LiveGame) -> None:
        """Keep the code of a running game if that of its name has been loaded again meanwhile."""
        rules = game.fold.ruleset
        newest = self._rulesets.get(rules.name)
        is_old = newest is None or newest.of_version(rules.version) is not rules
        if is_old and game.fault is None and not game.fold.table.completed:
            self._old_rules[game.game_id] = rules
        else:
            self._old_rules.pop(game.game_id, None)

    def _settled(self, game: LiveGame) -> None:
        if (turns := self._turns.get(game.game_id)) is not None:
            turns.restart()

    def _completed(self, game: LiveGame) -> None:
        self._drop(game)  # first: a listener must not find a game that is over
        if self._on_completed is not None:
            self._on_completed(game.game_id, game.fold)
        if game.lobby_id is not None:
            self._events.publish(LobbyGameCompleted(game.lobby_id))

    def _lost(self, game: LiveGame, lost: RowsLost) -> None:
        """Forget a state that the log does not have; those who follow come back for it."""
        log.warning("game %s: %s", game.game_id, lost, extra={"game_id": game.game_id})
        why = CloseReason.WRONG_NODE if isinstance(lost, OwnerFenced) else CloseReason.OVERLOADED
        for follower in game.subscribers.followers:
            with contain_failures("disconnecting a follower"):
                follower.disconnect(why)
        self._drop(game)

    def _failed(self, game: LiveGame) -> None:
        """Set a game aside whose rules failed; notify its followers once, so none retries."""
        assert game.fault is not None
        log.error(
            "game %s is quarantined: %s", game.game_id, game.fault, extra={"game_id": game.game_id}
        )
        self.faults.quarantined += 1
        self._failing.add(game.game_id)
        game.subscribers.publish_frame(encode_stopped_frame(game.game_id))
        self._drop(game)
        work = self._set_aside(
            game.game_id, game.fault, owner_epoch=game.owner_epoch, trace=game.fault_trace
        )
        self._tasks.start_work(work, name="quarantine of a game")

    async def _set_aside(
        self, game_id: GameId, reason: str, *, owner_epoch: int, trace: str | None
    ) -> None:
        """Keep in the database that a game is quarantined; tried until it is done."""
        while True:
            try:
                await self._store.quarantine(game_id, reason, owner_epoch=owner_epoch, trace=trace)
            except Exception:  # until then `_failing` has it, and this node plays it no more
                log.exception(
                    "game %s: its quarantine could not be stored yet",
                    game_id,
                    extra={"game_id": game_id},
                )
                await asyncio.sleep(SET_ASIDE_AGAIN_S)
            else:
                self._failing.discard(game_id)
                return

    def stop_ended(self, ended: Iterable[tuple[GameId, str]]) -> None:
        """Stop the games of this node that an operator ended, on whichever node; tell followers."""
        for game_id, reason in ended:
            if (game := self._live.get(game_id)) is None:
                continue
            with contain_failures(f"stopping game {game_id}"):
                why = ended_by_operator(reason)
                log.warning(
                    "game %s was ended by an operator: %s",
                    game_id,
                    reason,
                    extra={"game_id": game_id},
                )
                game.subscribers.publish_frame(encode_stopped_frame(game_id, why))
                self._drop(game, why)
                self._old_rules.pop(game_id, None)

    def list_live_ids(self) -> list[GameId]:
        """List the games in memory."""
        return list(self._live)

    # ------------------------------------------------------------------ owning

    async def adopt_orphaned(self) -> int:
        """Take the running games that no live node owns; returns how many."""
        return await self._take_all(await self._store.list_orphaned(self._played_here()))

    async def reclaim_own(self) -> int:
        """Take the running games that this node had when it was killed; returns how many."""
        return await self._take_all(await self._store.list_held(self._played_here()))

    def _played_here(self) -> list[tuple[str, int]]:
        """Say which rulesets, in which versions, this node can play."""
        return [
            (ruleset.name, rules.version)
            for ruleset in self._rulesets.values()
            for rules in (ruleset, *ruleset.earlier)
        ]

    async def _take_all(self, games: list[GameId]) -> int:
        taken = 0
        for game_id in games:
            if self.draining or game_id in self._live:
                continue
            try:
                await self.find(game_id)
                taken += 1
            except PlayhallError as gone:
                log.info("game %s was not adopted: %s", game_id, gone, extra={"game_id": game_id})
            except Exception:  # one game's failure touches no other
                log_failure(f"adopting game {game_id}")
        return taken

    async def unload_lost(self) -> None:
        """Drop the games that another node took while this one had no good lease."""
        owned = {game.game_id: game.owner_epoch for game in self._live.values()}
        kept = await self._store.find_still_owned(owned)
        for game in list(self._live.values()):
            if game.game_id in owned and game.game_id not in kept:
                with contain_failures(f"dropping game {game.game_id}"):
                    self._lost(game, OwnerFenced("another node took it over"))

    async def keep_adopting(self, *, every_s: float) -> None:
        """Take back what was this node's, then adopt orphaned games, until cancelled."""
        await repeat_every(every_s, self._adopt_more, "adopting games", at_once=True)

    async def keep_unloading_idle(self, *, every_s: float) -> None:
        """Let idle games leave memory, until cancelled; they come back when somebody asks."""
        await repeat_every(every_s, self._drop_idle, "dropping idle games")

    async def _adopt_more(self) -> None:
        take = self.adopt_orphaned if self._has_reclaimed else self.reclaim_own
        if adopted := await take():
            log.info("adopted %d games", adopted)
        self._has_reclaimed = True

    async def _drop_idle(self) -> None:
        before = self._clock.monotonic() - self._config.idle_game_s
        for game in list(self._live.values()):
            with contain_failures(f"dropping game {game.game_id}"):
                fold = game.fold
                waits = fold.turn is not None or fold.timer is not None or fold.realtime is not None
                followed = len(game.subscribers) or game.subscribers.is_shared
                idle = game.is_settled and not followed and not waits
                if idle and game.busy_at < before:
                    self._drop(game)

    def stop_accepting(self) -> None:
        """Take nothing more on: the node is going away."""
        self.draining = True
        for turns in self._turns.values():
            turns.stop()
        for game in self._live.values():
            game.close()
