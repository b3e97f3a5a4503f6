"""One game on the node that owns it: decide, fold at once, release on commit.

A command is decided against the state as it was decided last, not as the disk has it. What it
causes is folded in at once and handed to the log. The reply and the frames wait for the commit::

    act --> rules decide --> fold --> log.append        one call, without an await
                                          |
    reply, frames <-- _on_committed <-----+             later, in the order of the events

So the next command need not wait for the disk, and yet nothing leaves that a crash could undo. If
the rows cannot be written, the whole object is thrown away: its state is ahead of a log that will
never follow. Whoever wants the game reads the log again.

The states
==========

`TRANSITIONS` is the whole machine. An input that a state does not list raises `IllegalTransition`:
it is a bug of ours, never something that a client, a ruleset or the database can cause. ::

               END_DECIDED           END_COMMITTED
    PLAYING ----------------> ENDING ---------------> COMPLETED
     |   |                      |                         ^
     |   |                      | SUSPEND                 |
     |   |                      v                         |
     |   +----------------> SUSPENDED --------------------+
     |       SUSPEND                    END_COMMITTED
     |
     | RULES_FAILED          ALL_COMMITTED
     +----------------> FAILING ---------------> FAILED

    UNSTORABLE:         from PLAYING, ENDING and SUSPENDED to FAILED
    ROWS_LOST, UNLOAD:  from PLAYING, ENDING and SUSPENDED to UNLOADED; from FAILING to FAILED

    state       a command gets   events on their way   the registry's callback, and when
    PLAYING     carried out      perhaps               settled, whenever all is committed
    ENDING      GameOver         yes                   completed, once all is committed
    SUSPENDED   Overloaded (1)   perhaps               settled or completed, the same
    FAILING     Quarantined      yes                   failed, once all is committed or refused
    COMPLETED   GameOver         no                    completed, just now
    FAILED      Quarantined      no                    failed, or lost to another node
    UNLOADED    Overloaded (1)   perhaps (2)           lost; nothing where it unloaded the game

    (1) GameOver if the end was decided. (2) They may still commit; nobody hears of it.

Invariants
==========

1. `fold.next_index == committed + len(_ahead)`, unless the rules failed half way through a fold.
   The events before `committed` are in the database, and `tail` has the last of them; those from
   there on are in `_ahead`.
2. `_hash` belongs to the event before `committed`, `_recorder.hash` to the last one decided.
   Clients are shown the one that belongs to what they see.
3. `_owed` is in the order of its indexes, as a reply waits for no event that was decided after it.
   So only its front has to be looked at when something commits.
4. `fault` is set exactly in FAILING and FAILED.
5. There is no `await` in this module, and no lock. What a method checks still holds when it acts,
   because nothing else runs in between. Whoever adds an `await` loses that.

A kill needs no handling: at any line, what is in the log is the game, and whatever was sent of it
was sent after its commit. See `persistence.eventlog.writer` for what happens around a commit.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from itertools import chain, islice
from typing import Final

from persistence.eventlog.completion import Completion
from persistence.eventlog.hashchain import InvalidPayload, NotJson, canonical_json
from persistence.eventlog.writer import (
    EventLogWriter,
    EventRow,
    GameLog,
    IllegalTransition,
    OwnerFenced,
    RowsLost,
    ValuesUnstorable,
    to_not_committed,
)
from persistence.hook_points import HookPoint
from protocol.errors import (
    BadIndex,
    CmdNoForgotten,
    CmdNoGap,
    GameMovedOn,
    GameOver,
    InvalidField,
    MoveRefused,
    NotSeated,
    Overloaded,
    PlayhallError,
    Quarantined,
    TooManyMisplays,
    Unavailable,
)
from protocol.ids import GameId, LobbyId, PlayerId
from protocol.limits import INPUT_BYTES_MAX
from server.core.clock import Clock, Moment
from server.core.containment import RAISED_BY_RULES, log_failure
from server.core.rules_watch import CALLING_RULES
from server.core.subscriptions import Topic
from server.domains.play.games.inputs import InputQueue, QueuedInput, Reply
from server.domains.play.games.patches import PatchPublisher
from server.domains.play.games.recorder import Command, EventRecorder, RecordedEvent
from server.domains.play.games.results import build_completion, require_storable
from server.domains.play.games.ruleset_failures import (
    GameFailures,
    Method,
    RulesetFailures,
    RulesFault,
    describe_error,
    describe_fault,
)
from server.domains.play.games.subscribers import (
    TAIL_EVENTS,
    GameFollower,
    Subscribers,
    ViewEncoder,
)
from server.domains.play.games.views import build_snapshot
from server.gamekit.contract import SCORE, WINS, Event, IllegalMove, Payload, Viewer
from server.gamekit.fold import GameFold
from server.gamekit.realtime import tick_event
from server.gamekit.table import (
    MISPLAYS_LOGGED_MAX,
    PASSING,
    TICK,
    TIMER,
    CommandReply,
    TableSeat,
    compute_log_commitment,
    game_completed_event,
    invalid_action_event,
    presence_event,
    require_rules_events,
)

log = logging.getLogger(__name__)

# How many events may wait for the disk before a game takes no more commands.
AHEAD_EVENTS_MAX = 1000
# How many timers may go off before one move, for example after the game was without an owner.
TIMERS_AT_ONCE = 16
# After how long without an event a real-time game logs a tick that took no inputs, so that the
# next owner knows how far its viewers may have seen it.
SILENCE_S: float = 30


class LiveGameState(Enum):
    """What one game takes on, and what becomes of what it has taken on."""

    PLAYING = auto()
    ENDING = auto()  # the last event is decided; its commit is the end
    SUSPENDED = auto()  # the node is going away: nothing new, but what was decided may commit
    FAILING = auto()  # the rules failed; what was decided before is still on its way
    COMPLETED = auto()
    FAILED = auto()
    UNLOADED = auto()  # not the game's state any more, or not kept any longer


class LiveGameInput(Enum):
    """What happens to one game."""

    END_DECIDED = auto()  # the rules say that the game has ended, and the last event is folded
    END_COMMITTED = auto()  # all is committed, and the last event with it
    ALL_COMMITTED = auto()  # all is committed, and the game has not ended
    RULES_FAILED = auto()  # half way through a fold, or at a state from which nothing can be done
    UNSTORABLE = auto()  # the rules decided what no database can store
    ROWS_LOST = auto()  # fenced or refused; or we raised when called with a commit
    SUSPEND = auto()
    UNLOAD = auto()


# Names of the module, as a look-up through the class costs more than the comparison.
PLAYING: Final = LiveGameState.PLAYING
ENDING: Final = LiveGameState.ENDING
SUSPENDED: Final = LiveGameState.SUSPENDED
FAILING: Final = LiveGameState.FAILING
COMPLETED: Final = LiveGameState.COMPLETED
FAILED: Final = LiveGameState.FAILED
UNLOADED: Final = LiveGameState.UNLOADED

TRANSITIONS: Final[Mapping[LiveGameState, Mapping[LiveGameInput, LiveGameState]]] = {
    PLAYING: {
        LiveGameInput.END_DECIDED: ENDING,
        LiveGameInput.RULES_FAILED: FAILING,
        LiveGameInput.UNSTORABLE: FAILED,
        LiveGameInput.ROWS_LOST: UNLOADED,
        LiveGameInput.SUSPEND: SUSPENDED,
        LiveGameInput.UNLOAD: UNLOADED,
    },
    # No RULES_FAILED: once the end is decided, the rules are asked for nothing that counts.
    ENDING: {
        LiveGameInput.END_COMMITTED: COMPLETED,
        LiveGameInput.UNSTORABLE: FAILED,
        LiveGameInput.ROWS_LOST: UNLOADED,
        LiveGameInput.SUSPEND: SUSPENDED,
        LiveGameInput.UNLOAD: UNLOADED,
    },
    # The end may have been on its way when the node began to go.
    SUSPENDED: {
        LiveGameInput.END_COMMITTED: COMPLETED,
        LiveGameInput.ALL_COMMITTED: SUSPENDED,
        LiveGameInput.UNSTORABLE: FAILED,
        LiveGameInput.ROWS_LOST: UNLOADED,
        LiveGameInput.SUSPEND: SUSPENDED,
        LiveGameInput.UNLOAD: UNLOADED,
    },
    # No way back from here, nor to UNLOADED: that would let somebody read the log, and fail again.
    FAILING: {
        LiveGameInput.ALL_COMMITTED: FAILED,
        LiveGameInput.ROWS_LOST: FAILED,
        LiveGameInput.SUSPEND: FAILING,
        LiveGameInput.UNLOAD: FAILED,
    },
    # ROWS_LOST can follow the end only where the registry's callback raised: the log then
    # takes the game for lost, and the registry is called once more.
    COMPLETED: {
        LiveGameInput.ROWS_LOST: COMPLETED,
        LiveGameInput.SUSPEND: COMPLETED,
        LiveGameInput.UNLOAD: COMPLETED,
    },
    FAILED: {
        LiveGameInput.ROWS_LOST: FAILED,
        LiveGameInput.SUSPEND: FAILED,
        LiveGameInput.UNLOAD: FAILED,
    },
    # The log had to forget us before we got here by UNLOAD, and died before by ROWS_LOST.
    UNLOADED: {LiveGameInput.SUSPEND: UNLOADED, LiveGameInput.UNLOAD: UNLOADED},
}


@dataclass(frozen=True, slots=True)
class LiveGameCallbacks:
    """What a game calls when something happened to it."""

    settled: Callable[["LiveGame"], None]  # everything decided so far is committed
    completed: Callable[["LiveGame"], None]
    lost: Callable[["LiveGame", RowsLost], None]
    failed: Callable[["LiveGame"], None]  # the rules failed: `fault` says how


class LiveGame:
    """The owner of one game's state on this node."""

    __slots__ = (
        "_ahead",
        "_callbacks",
        "_clock",
        "_has_room",
        "_hash",
        "_inputs",
        "_log",
        "_may_serve",
        "_owed",
        "_recorder",
        "busy_at",
        "committed",
        "failures",
        "fault",
        "fault_trace",
        "fold",
        "game_id",
        "lobby_id",
        "owner_epoch",
        "patches",
        "state",
        "subscribers",
        "tail",
    )

    def __init__(
        self,
        game_id: GameId,
        recorder: EventRecorder,
        *,
        owner_epoch: int,
        lobby_id: LobbyId | None,
        log: EventLogWriter,
        clock: Clock,
        may_serve: Callable[[], bool],
        faults: RulesetFailures,
        callbacks: LiveGameCallbacks,
        topic: Topic[GameFollower],
    ) -> None:
        self.game_id = game_id
        self.lobby_id = lobby_id
        self.owner_epoch = owner_epoch
        self.fold: GameFold = (
            recorder.fold
        )  # as of the last event decided, perhaps ahead of the disk
        self.state: LiveGameState = COMPLETED if self.fold.table.completed else PLAYING
        self.committed = self.fold.next_index  # how many events are in the database
        self.failures = GameFailures(faults, stop=self._stop_soon)
        self.subscribers = Subscribers(
            ViewEncoder(game_id, self.fold.ruleset, self.failures), topic
        )
        self.tail: deque[RecordedEvent] = deque(maxlen=TAIL_EVENTS)
        # Why the game is FAILING or FAILED. Where the rules failed half way through a fold, `fold`
        # is a state that no log has: only what is on its way to the disk still counts.
        self.fault: str | None = None
        self.fault_trace: str | None = None  # where; None where it was no call of the rules
        self.busy_at = clock.monotonic()
        self._recorder = recorder
        self._hash = recorder.hash  # of the last committed event
        self._clock = clock
        self._callbacks = callbacks
        self._may_serve = may_serve
        self._has_room = log.require_room
        self._log: GameLog = self._open_log(log)
        self._ahead: deque[RecordedEvent] = deque()  # decided, not committed
        # Of a real-time game: what waits for the next tick, and what viewers are sent.
        rules = self.fold.realtime
        self._inputs = None if rules is None else InputQueue(len(self.fold.table.seats))
        self.patches: PatchPublisher | None = None
        if rules is not None:
            self.patches = PatchPublisher(
                game_id,
                self.fold,
                rules,
                subscribers=self.subscribers,
                when_committed=self._call_in_order,
                faults=self.failures,
            )
        # Replies that wait: the event that must be committed first, whom to call, with what.
        self._owed: deque[tuple[int, Reply, int | PlayhallError]] = deque()

    def _open_log(self, log: EventLogWriter) -> GameLog:
        committed, lost = COMMITTING.around, LOSING.around
        return log.open_game(
            self.game_id,
            self.owner_epoch,
            committed=self._on_committed if committed is None else partial(committed, self),
            failed=self._on_lost if lost is None else partial(lost, self),
        )

    # ------------------------------------------------------------------ what is asked

    @property
    def head(self) -> int:
        """The index of the last committed event."""
        return self.committed - 1

    @property
    def is_settled(self) -> bool:
        """Whether all that was decided is committed."""
        return not self._ahead

    @property
    def status(self) -> str:
        """The game's status as of its head."""
        return "completed" if self.state is COMPLETED else "in_progress"

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken on here; not while an end is on its way to its commit."""
        return self.state not in (PLAYING, ENDING)

    @property
    def is_lost(self) -> bool:
        """Whether this is not the game's state any more, and nothing will come of it."""
        return self.state not in (PLAYING, ENDING, COMPLETED)

    @property
    def spectator_delay_s(self) -> float:
        """How long after the players spectators see this game."""
        return self.fold.origin.config.spectator_delay_s

    def seat_of(self, player_id: PlayerId) -> int | None:
        """Find a player's seat."""
        return self.fold.table.seat_by_player.get(player_id)

    @property
    def commitment(self) -> str:
        """What the head commits to: see docs/explanation/fairness.md."""
        return compute_log_commitment(self.fold.origin.seed, self._hash)

    def snapshot(self, viewer: Viewer) -> dict[str, object]:
        """Draw the whole snapshot of the state as it was decided, perhaps ahead of the disk."""
        self.require_sound()
        try:
            with CALLING_RULES:
                snapshot = build_snapshot(self.fold, viewer)
        except RAISED_BY_RULES as error:
            raise self._refusal("view", error) from error
        return {
            **snapshot,
            "commitment": compute_log_commitment(self.fold.origin.seed, self._recorder.hash),
        }

    def require_sound(self) -> None:
        """Raise `Quarantined` where the rules failed."""
        if self.state is FAILING or self.state is FAILED:
            raise Quarantined

    def call_when_committed(self, reply: Reply) -> None:
        """Call back once everything decided so far is committed."""
        self.require_sound()
        self._call_in_order(reply)

    # ------------------------------------------------------------------ what is done

    def act(
        self,
        seat: int,
        cmd_no: int,
        move: Payload,
        reply: Reply,
        *,
        expected_head: int | None = None,
    ) -> None:
        """Carry out a player's move; `reply` is called when its fate is committed.

        With `expected_head`, only if nothing that counts has happened since that event.
        """
        if (observed := ACTING.around) is None:
            self._act(seat, cmd_no, move, reply, expected_head)
        else:
            observed(self, seat, cmd_no, move, reply, expected_head)

    def _act(
        self, seat: int, cmd_no: int, move: Payload, reply: Reply, expected_head: int | None
    ) -> None:
        if self.state is not PLAYING:
            self.require_sound()  # first: this state may remember answers that were never written
        occupant = self.fold.table.seats[seat]
        # Before anything that may refuse: a command that was carried out gets its answer also from
        # a game that has ended or is closed, and acts once.
        if cmd_no <= occupant.cmd_no:
            self._repeat(occupant, cmd_no, reply)
            return
        inputs = self._inputs
        if inputs is not None and (queued := inputs.find(seat, cmd_no)) is not None:
            queued.replies.append(reply)
            return
        self._check_open()  # first: who may not serve does not know which number is next
        last_no = occupant.cmd_no
        if inputs is not None:
            last_no = max(last_no, inputs.last_no(seat))
        if cmd_no != last_no + 1:
            raise CmdNoGap(f"Your next command in this game is number {last_no + 1}, not {cmd_no}.")
        if not occupant.present:
            raise NotSeated("You have left this game; use game.resume to take your seat again.")
        if inputs is not None:
            inputs.add(self._parse_input(seat, cmd_no, move, reply))
            return
        if self.fold.timer is not None:
            self._fire_due_timers()
            self._check_open()  # a timer may have ended the game
        if expected_head is not None and self._has_moved_on(expected_head):
            last = self.fold.next_index - 1
            self._owe(last, reply, GameMovedOn(expected=expected_head, head=last))
            return
        try:
            events = self._decide(seat, move)
        except IllegalMove as illegal:
            self._misplay(seat, cmd_no, illegal, reply)
            return
        index = self._extend(events, Command(seat, cmd_no))
        self._owe(self.fold.next_index - 1, reply, index)

    def take_bot_input(self, seat: int, move: Payload, *, size: int) -> None:
        """Have what a bot does wait for the next tick; raise `Overloaded` if too much does."""
        if self._inputs is not None and size <= INPUT_BYTES_MAX:
            self._inputs.add(QueuedInput(seat, None, move, size))

    def pass_tick(self) -> None:
        """Let one tick of a real-time game pass, with the inputs that wait for it.

        It is logged if it took inputs, or if nothing was for a while. Where it cannot be now,
        raise what `act` does, and let nothing pass.
        """
        inputs = self._inputs
        assert inputs is not None
        self._check_open()
        taken = inputs.take()
        is_silent = self._clock.now_ms() - self.fold.at_ms >= SILENCE_S * 1000
        if taken or is_silent:
            self._log_tick(taken)
        else:
            self._pass_empty_tick()
        for item in inputs.take_refusals() if self.state is PLAYING else ():
            assert item.cmd_no is not None
            assert item.refusal is not None
            self._refuse_input(item, item.cmd_no, item.refusal)

    def fire_timer(self) -> None:
        """Carry out what the timer that goes off next causes."""
        timer = self.fold.timer
        assert timer is not None
        self._check_open()
        ruleset = self.fold.ruleset
        try:
            with CALLING_RULES:
                events = ruleset.decide_timer(self.fold.state, timer)
            require_rules_events(events)
            events[0].payload[TIMER] = list(timer)
        except RAISED_BY_RULES as error:
            # Where a timer causes nothing, it stays due for ever.
            self.stop_for_fault("timer", error)
            raise Quarantined from error
        self._extend(events)
        if self.fold.timer == timer:
            self.stop_for_fault("timer", ValueError(f"{timer.name} is still due after it went off"))
            raise Quarantined

    def play_for_seat(self, seat: int, move: Payload) -> None:
        """Carry out a move that the server itself makes for a seat."""
        self._check_open()
        self._extend(self._decide(seat, move))

    def record_presence(self, kind: str, seat: int, reply: Reply | None = None) -> None:
        """Log that a player came or went."""
        self._check_open()
        index = self._extend([presence_event(kind, self.fold.table, seat)])
        if reply is not None:
            self._owe(index, reply, index)

    def unload(self, why: PlayhallError | None = None) -> None:
        """Close, and hold on to nothing: what is over shall not wait for the garbage collector.

        With `why`, whoever waits for a reply gets that: nobody will play this game any more.
        """
        # The state and the log first: what follows calls others, who must not find a game that
        # still takes commands, nor have a commit publish a half of it.
        self._move(LiveGameInput.UNLOAD)
        self._drop_inputs(why or Overloaded())
        self._log.detach_owner()
        self.tail.clear()
        self.subscribers.close()
        if why is not None:
            owed, self._owed = self._owed, deque()
            for _, reply, _ in owed:
                _give(reply, why)

    def close(self) -> None:
        """Take part in nothing more; the log has what was committed."""
        self._move(LiveGameInput.SUSPEND)
        self._drop_inputs(Overloaded())

    # ------------------------------------------------------------------ deciding

    def _fire_due_timers(self) -> None:
        """Carry out the timers that are due, so that no later move comes before them."""
        for _ in range(TIMERS_AT_ONCE):
            timer = self.fold.timer
            if timer is None or timer.at_ms > self._clock.now_ms():
                return
            self.fire_timer()
        raise Overloaded("The game is catching up with its timers; try again in a moment.")

    def stop_for_fault(self, method: Method, error: BaseException) -> None:
        """Play no more: the rules failed where the state, or the way on, depends on them.

        What was decided before goes its way to the disk, and to those who follow, first. Where
        nothing is played any more, the failure is only counted.
        """
        self.failures.all.count(self.fold.ruleset.name, method, error)
        self._stop(method, describe_fault(error))

    def _stop_soon(self, method: Method, fault: RulesFault) -> None:
        """Stop once whoever called the rules is done: perhaps with the events of a commit."""
        asyncio.get_running_loop().call_soon(self._stop, method, fault)

    def _stop(self, method: Method, fault: RulesFault) -> None:
        if self.state is not PLAYING:
            return
        self._move(LiveGameInput.RULES_FAILED)
        self.fault = f"{self.fold.ruleset.name} failed in {method}: {fault.what}"
        self.fault_trace = fault.trace
        self._drop_inputs(Quarantined())
        # Otherwise `_on_committed` or `_on_lost` does this. The registry unloads the game when it
        # is called, and what is on its way would commit with nobody to hear of it.
        if self.is_settled:
            self._move(LiveGameInput.ALL_COMMITTED)
            self._callbacks.failed(self)

    def _check_open(self) -> None:
        # In the order of what is final: a client that gets `Overloaded` or `Unavailable` sends
        # the same command again, for nothing if the game is over or set aside.
        if self.state is not PLAYING:
            self.require_sound()
            if self.fold.table.completed:
                raise GameOver
        if not self._may_serve():
            raise Unavailable
        if (
            self.state is not PLAYING
            or len(self._ahead) >= AHEAD_EVENTS_MAX
            or not self._has_room()
        ):
            raise Overloaded

    def _decide(self, seat: int, raw: Payload) -> list[Event]:
        """Ask the rules. Whatever they raise but `IllegalMove` is a fault of theirs."""
        ruleset = self.fold.ruleset
        try:
            with CALLING_RULES:
                events = ruleset.decide(self.fold.state, seat, ruleset.read_move(raw))
            return require_rules_events(events)
        except IllegalMove:
            raise
        except RAISED_BY_RULES as error:
            raise self._refusal("decide", error) from error

    def _refusal(self, method: Method, error: BaseException) -> PlayhallError:
        """Count a failure that left the state as it was."""
        self.failures.count(self.fold.ruleset.name, method, error)
        return PlayhallError(
            "The rules of this game failed; nothing was changed and the failure was logged."
        )

    def _has_moved_on(self, expected: int) -> bool:
        """Say whether an event that counts came after this one, committed or not.

        Looks only at what is at hand: who is further behind than that has missed something.
        """
        behind = self.fold.next_index - 1 - expected
        if behind < 0:
            raise BadIndex(
                f"expected_head: the game's last event is {self.fold.next_index - 1}.",
                field="expected_head",
            )
        if behind > len(self.tail) + len(self._ahead):
            return True
        since = islice(chain(reversed(self._ahead), reversed(self.tail)), behind)
        return any(recorded.event.type not in PASSING for recorded in since)

    def _parse_input(self, seat: int, cmd_no: int, move: Payload, reply: Reply) -> QueuedInput:
        """Check an input as far as it can be without the state that it will meet."""
        try:
            size = len(canonical_json(move))
        except InvalidPayload as bad:
            raise InvalidField(f"move: {bad}.", field="move") from None
        if size > INPUT_BYTES_MAX:
            raise InvalidField(
                f"move: {size} bytes are more than the {INPUT_BYTES_MAX} of an input.", field="move"
            )
        refusal: IllegalMove | None = None
        try:
            with CALLING_RULES:
                self.fold.ruleset.read_move(move)
        except IllegalMove as illegal:
            if self.fold.table.seats[seat].misplays >= MISPLAYS_LOGGED_MAX:
                raise _too_many_misplays(illegal) from None
            refusal = illegal
        except RAISED_BY_RULES as error:
            raise self._refusal("decide", error) from error
        return QueuedInput(seat, cmd_no, move, size, refusal, [reply])

    def _log_tick(self, taken: Sequence[QueuedInput]) -> None:
        event = tick_event([(item.seat, item.cmd_no, item.move) for item in taken])
        try:
            index = self._extend([event])
        except PlayhallError as error:
            for item in taken:
                _give_all(item.replies, error)
            raise
        for item in taken:
            for reply in item.replies:
                self._owe(index, reply, index)

    def _pass_empty_tick(self) -> None:
        method: Method = "step"
        try:
            with CALLING_RULES:
                self.fold.advance_to(self.fold.tick + 1)
                method = "outcome"
                if self.fold.outcome() is None:
                    return
        except RAISED_BY_RULES as error:
            self.stop_for_fault(method, error)
            raise Quarantined from error
        self._end_without_move()

    def _refuse_input(self, item: QueuedInput, cmd_no: int, illegal: IllegalMove) -> None:
        for reply in item.replies:
            try:
                self._misplay(item.seat, cmd_no, illegal, reply)
            except PlayhallError as error:
                _give(reply, error)

    def _drop_inputs(self, error: PlayhallError) -> None:
        """Answer the inputs that no tick will take."""
        for item in self._inputs.take_all() if self._inputs is not None else ():
            _give_all(item.replies, error)

    def _misplay(self, seat: int, cmd_no: int, illegal: IllegalMove, reply: Reply) -> None:
        """Log a refused move, so that its number is used up and statistics have it."""
        if self.fold.table.seats[seat].misplays >= MISPLAYS_LOGGED_MAX:
            raise _too_many_misplays(illegal)
        refused = invalid_action_event(self.fold.table, seat, illegal.code, illegal.message)
        index = self._extend([refused], Command(seat, cmd_no))
        self._owe(index, reply, reply_from_log(CommandReply(index, illegal.code, illegal.message)))

    def _repeat(self, occupant: TableSeat, cmd_no: int, reply: Reply) -> None:
        """Give a command that came again its first reply, not before that is committed."""
        answer = occupant.answers.get(cmd_no)
        if answer is None:
            raise CmdNoForgotten
        self._owe(max(answer.event_index, self.fold.next_index - 1), reply, reply_from_log(answer))

    def _extend(self, events: list[Event], command: Command | None = None) -> int:
        """Fold new events, hand them to the log; returns the first one's index.

        Everything that can be refused is refused before `write`, which changes the fold. After
        it there are two ways out: the rows are with the log, or the game is FAILING.
        """
        moment = self._recorder.latest(self._clock.moment())
        first = self.fold.next_index
        if not events:
            raise self._refusal("decide", ValueError("a move must cause at least one event"))
        try:
            payloads = self._recorder.prepare(events, moment=moment, command=command)
        except InvalidPayload as bad:
            if isinstance(bad, NotJson):
                raise self._refusal("decide", bad) from None
            raise InvalidField(f"move: {bad}.", field="move") from None
        except RAISED_BY_RULES as error:  # what was decided are no events
            raise self._refusal("decide", error) from error
        method: Method = "evolve"
        try:
            with CALLING_RULES:
                rows, recorded = self._recorder.write(events, moment=moment, payloads=payloads)
                method = "outcome"
                completion = self._complete(rows, recorded, moment)
        except RAISED_BY_RULES as error:
            # A fold that stops half way is a state that no log has, and reading the log again
            # would only lead back here: the next move of the same kind fails again.
            self.stop_for_fault(method, error)
            raise Quarantined from error
        if completion is not None:
            self._move(LiveGameInput.END_DECIDED)
        # Before the log has the rows: for each of them that it commits, `_on_committed` takes one.
        self._ahead.extend(recorded)
        self._log.append(rows, completion)
        return first

    def _end_without_move(self) -> None:
        """Log the end of a game that came to it by time alone."""
        moment = self._recorder.latest(self._clock.moment())
        rows: list[EventRow] = []
        recorded: list[RecordedEvent] = []
        try:
            with CALLING_RULES:
                completion = self._complete(rows, recorded, moment)
        except RAISED_BY_RULES as error:
            self.stop_for_fault("outcome", error)
            raise Quarantined from error
        assert completion is not None
        self._move(LiveGameInput.END_DECIDED)
        self._ahead.extend(recorded)
        self._log.append(rows, completion)

    def _complete(
        self, rows: list[EventRow], recorded: list[RecordedEvent], moment: Moment
    ) -> Completion | None:
        """Add the game's last event if the rules say that it has ended.

        It joins the rows of the move that ended the game, so that no crash can come between the
        two and leave an ended game without its result.
        """
        outcome = self.fold.outcome()
        if outcome is None or self.fold.table.completed:
            return None
        require_storable(
            outcome,
            seats=len(self.fold.table.seats),
            statistics=self.fold.ruleset.declared_statistics().keys() - {SCORE, WINS},
        )
        last = game_completed_event(self.fold.table, outcome, self.fold.origin.seed)
        completion = build_completion(self.fold, outcome, moment.at)
        more_rows, more_recorded = self._recorder.write([last], moment=moment)
        rows += more_rows
        recorded += more_recorded
        return completion

    # ------------------------------------------------------------------ releasing

    def _owe(self, index: int, reply: Reply, what: int | PlayhallError) -> None:
        if index < self.committed:
            reply(what)
        else:
            self._owed.append((index, reply, what))

    def _call_in_order(self, reply: Reply) -> None:
        """Call back once everything decided so far is committed, whatever becomes of the game."""
        self._owe(self.fold.next_index - 1, reply, self.fold.next_index - 1)

    def _on_committed(self, rows: list[EventRow]) -> None:
        # First what this game says of itself. Those who are notified next may ask for its head, its
        # commitment or its status, and must get what goes with the events that they were sent.
        recorded = [self._ahead.popleft() for _ in rows]
        self.committed += len(recorded)
        self._hash = rows[-1].hash
        self.busy_at = self._clock.monotonic()
        self.tail.extend(recorded)
        if self.state is not PLAYING and not self._ahead:
            is_end = self.fold.table.completed and self.state is not FAILING
            self._move(LiveGameInput.END_COMMITTED if is_end else LiveGameInput.ALL_COMMITTED)
            self._drop_inputs(GameOver() if is_end else Quarantined())
        # Then the events, then the replies: a client that reads `ok` has seen what it caused.
        # Of ticks, viewers are sent what has changed.
        if self.patches is not None:
            recorded = [each for each in recorded if each.event.type != TICK]
        self.subscribers.publish(recorded, self._hash)
        while self._owed and self._owed[0][0] < self.committed:
            _, reply, what = self._owed.popleft()
            _give(reply, what)
        if self._ahead:
            return
        # The registry last. It may unload the game, and there is nobody left to notify after that;
        # or have the next bot move, which must come after all that the last move caused.
        if self.state is FAILED:
            self._callbacks.failed(self)
        elif self.state is COMPLETED:
            self._callbacks.completed(self)
        else:
            self._callbacks.settled(self)

    def _on_lost(self, lost: RowsLost) -> None:
        # `fold` and `_ahead` stay as they are, ahead of the log: nothing is asked of them any more.
        if isinstance(lost, ValuesUnstorable) and self.fault is None:
            self._move(LiveGameInput.UNSTORABLE)
            self.fault = (
                f"{self.fold.ruleset.name} decided what cannot be stored: {describe_error(lost)}"
            )
        else:
            self._move(LiveGameInput.ROWS_LOST)
        # Who was fenced has no say: another node plays the game, and sets it aside if it must.
        is_failed = self.state is FAILED and not isinstance(lost, OwnerFenced)
        error = Quarantined() if is_failed else to_not_committed(lost)
        # Before the registry is called: it hangs up on followers, and a reply would not reach them.
        self._drop_inputs(error)
        owed, self._owed = self._owed, deque()
        for _, reply, _ in owed:
            _give(reply, error)
        if is_failed:
            self._callbacks.failed(self)
        else:
            self._callbacks.lost(self, lost)

    def _move(self, event: LiveGameInput) -> None:
        after = TRANSITIONS[self.state].get(event)
        if after is None:
            raise IllegalTransition(self.state, event)
        self.state = after


ACTING: Final = HookPoint(LiveGame._act)
# Observed only by those who began before the game was opened.
COMMITTING: Final = HookPoint(LiveGame._on_committed)
LOSING: Final = HookPoint(LiveGame._on_lost)


def _too_many_misplays(illegal: IllegalMove) -> TooManyMisplays:
    return TooManyMisplays(f"{illegal.message} (You have made too many illegal moves.)")


def _give_all(replies: Sequence[Reply], what: int | PlayhallError) -> None:
    for reply in replies:
        _give(reply, what)


def _give(reply: Reply, what: int | PlayhallError) -> None:
    """Give a reply; one that cannot be given keeps no other back."""
    try:
        reply(what)
    except Exception:
        log_failure("a reply")


def reply_from_log(answer: CommandReply) -> int | MoveRefused:
    """Turn what the log has for a command into the reply that it got."""
    if answer.code is None:
        return answer.event_index
    return MoveRefused(answer.message, rule=answer.code, event_index=answer.event_index)
