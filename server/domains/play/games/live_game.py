"""One game on the node that owns it: decide, fold at once, release on commit."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, islice

from persistence.eventlog.completion import Completion
from persistence.eventlog.hashchain import BadPayload, NotJson
from persistence.eventlog.writer import Fenced, GameLog, Log, Lost, Row, Unstorable, not_committed
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
from server.core.clock import Clock, Moment
from server.core.containment import RAISED_BY_RULES, failed
from server.core.subscriptions import Topic
from server.domains.play.games.recorder import Command, EventRecorder, RecordedEvent, prepared
from server.domains.play.games.results import checked, completion_of
from server.domains.play.games.ruleset_failures import Faults, Method, described
from server.domains.play.games.subscribers import Follower, Subscribers, ViewEncoder
from server.domains.play.games.views import snapshot_of
from server.gamekit.contract import Event, IllegalMove, Payload, Viewer
from server.gamekit.fold import Fold
from server.gamekit.table import (
    MISPLAYS_LOGGED_MAX,
    PASSING,
    Answer,
    Seat,
    commitment,
    game_completed,
    invalid_action,
    presence,
    rules_own,
)

log = logging.getLogger(__name__)

# How many committed events a host keeps at hand for those who come or come back.
TAIL_EVENTS = 64
# How many events may wait for the disk before a game takes no more commands.
AHEAD_EVENTS_MAX = 1000

# Called once, when the command's fate is committed: an event index, or why not.
Reply = Callable[[int | PlayhallError], None]


@dataclass(frozen=True, slots=True)
class LiveGameEvents:
    """Whom a host tells what happened to it."""

    settled: Callable[["LiveGame"], None]  # everything decided so far is committed
    completed: Callable[["LiveGame"], None]
    lost: Callable[["LiveGame", Lost], None]
    failed: Callable[["LiveGame"], None]  # the rules failed: `fault` says how


class LiveGame:
    """The owner of one game's state on this node."""

    __slots__ = (
        "_ahead",
        "_clock",
        "_events",
        "_faults",
        "_hash",
        "_log",
        "_may_serve",
        "_owed",
        "_recorder",
        "_room",
        "busy_at",
        "closed",
        "committed",
        "fault",
        "fold",
        "game_id",
        "lobby_id",
        "owner_epoch",
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
        log: Log,
        clock: Clock,
        may_serve: Callable[[], bool],
        faults: Faults,
        events: LiveGameEvents,
        topic: Topic[Follower],
    ) -> None:
        self.game_id = game_id
        self.lobby_id = lobby_id
        self.owner_epoch = owner_epoch
        self.fold: Fold = recorder.fold
        self.committed = self.fold.next_index
        self.subscribers = Subscribers(ViewEncoder(game_id, self.fold.ruleset, faults), topic)
        self.tail: deque[RecordedEvent] = deque(maxlen=TAIL_EVENTS)
        self.closed = False
        # Why nothing is played here any more: the rules failed half way through a fold, so
        # `fold` is a state that no log has. Only what is on its way to the disk still counts.
        self.fault: str | None = None
        self.busy_at = clock.monotonic()
        self._recorder = recorder
        self._hash = recorder.hash  # of the last committed event
        self._faults = faults
        self._clock = clock
        self._events = events
        self._may_serve = may_serve
        self._room = log.has_room
        self._log: GameLog = log.open(
            game_id, owner_epoch, committed=self._on_committed, failed=self._on_lost
        )
        self._ahead: deque[RecordedEvent] = deque()
        self._owed: deque[tuple[int, Reply, int | PlayhallError]] = deque()

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
        over = self.is_settled and self.fold.table.completed
        return "completed" if over else "in_progress"

    @property
    def is_lost(self) -> bool:
        """Whether this is not the game's state any more, and nothing will come of it."""
        return self.closed and self.status == "in_progress"

    @property
    def spectator_delay_s(self) -> float:
        """How long after the players spectators see this game."""
        return self.fold.origin.config.spectator_delay_s

    def seat_of(self, player_id: PlayerId) -> int | None:
        """Find a player's seat."""
        return self.fold.table.seats.get(player_id)

    @property
    def commitment(self) -> str:
        """What the head commits to: see docs/explanation/fairness.md."""
        return commitment(self.fold.origin.seed, self._hash)

    def snapshot(self, viewer: Viewer) -> dict[str, object]:
        """Draw the whole snapshot of the state as it was decided, perhaps ahead of the disk."""
        self.check_sound()
        try:
            snapshot = snapshot_of(self.fold, viewer)
        except RAISED_BY_RULES as error:
            raise self._refusal("view", error) from error
        return {**snapshot, "commitment": commitment(self.fold.origin.seed, self._recorder.hash)}

    def check_sound(self) -> None:
        """Raise `Quarantined` where the rules failed."""
        if self.fault is not None:
            raise Quarantined

    def when_committed(self, reply: Reply) -> None:
        """Call back once everything decided so far is committed."""
        self.check_sound()
        self._owe(self.fold.next_index - 1, reply, self.fold.next_index - 1)

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
        if self.fault is not None:  # first: this state may remember answers that were never written
            raise Quarantined
        chair = self.fold.table.chairs[seat]
        if cmd_no <= chair.cmd_no:
            self._repeat(chair, cmd_no, reply)
            return
        self._check_open()  # first: who may not serve does not know which number is next
        if cmd_no != chair.cmd_no + 1:
            raise CmdNoGap(
                f"Your next command in this game is number {chair.cmd_no + 1}, not {cmd_no}."
            )
        if not chair.present:
            raise NotSeated("You have left this game; use game.resume to take your seat again.")
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

    def play(self, seat: int, move: Payload) -> None:
        """Carry out a move that the server itself makes for a seat."""
        self._check_open()
        self._extend(self._decide(seat, move))

    def note(self, kind: str, seat: int, reply: Reply | None = None) -> None:
        """Log that a player came or went."""
        self._check_open()
        index = self._extend([presence(kind, self.fold.table, seat)])
        if reply is not None:
            self._owe(index, reply, index)

    def let_go(self) -> None:
        """Close, and hold on to nothing: what is over shall not wait for the garbage collector."""
        self.closed = True
        self._log.forget()
        self.tail.clear()
        self.subscribers.let_go()

    def close(self) -> None:
        """Take part in nothing more; the log has what was committed."""
        self.closed = True

    # ------------------------------------------------------------------ deciding

    def fail(self, method: Method, error: BaseException) -> None:
        """Play no more: the rules failed where the state, or the way on, depends on them.

        What was decided before goes its way to the disk, and to those who follow, first.
        """
        self._faults.note(self.fold.ruleset.name, method, error)
        if self.closed:
            return
        self.closed = True
        self.fault = f"{self.fold.ruleset.name} failed in {method}: {described(error)}"
        if self.is_settled:
            self._events.failed(self)

    def _check_open(self) -> None:
        if self.fault is not None:
            raise Quarantined
        if self.fold.table.completed:
            raise GameOver
        if not self._may_serve():
            raise Unavailable
        if self.closed or len(self._ahead) >= AHEAD_EVENTS_MAX or not self._room():
            raise Overloaded

    def _decide(self, seat: int, raw: Payload) -> list[Event]:
        """Ask the rules. Whatever they raise but `IllegalMove` is a fault of theirs."""
        ruleset = self.fold.ruleset
        try:
            return rules_own(ruleset.decide(self.fold.state, seat, ruleset.read_move(raw)))
        except IllegalMove:
            raise
        except RAISED_BY_RULES as error:
            raise self._refusal("decide", error) from error

    def _refusal(self, method: Method, error: BaseException) -> PlayhallError:
        """Count a failure that left the state as it was."""
        self._faults.note(self.fold.ruleset.name, method, error)
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
        return any(told.event.type not in PASSING for told in since)

    def _misplay(self, seat: int, cmd_no: int, illegal: IllegalMove, reply: Reply) -> None:
        """Log a refused move, so that its number is used up and statistics have it."""
        if self.fold.table.chairs[seat].misplays >= MISPLAYS_LOGGED_MAX:
            raise TooManyMisplays(f"{illegal.message} (You have made too many illegal moves.)")
        refused = invalid_action(self.fold.table, seat, illegal.code, illegal.message)
        index = self._extend([refused], Command(seat, cmd_no))
        self._owe(index, reply, reply_of(Answer(index, illegal.code, illegal.message)))

    def _repeat(self, chair: Seat, cmd_no: int, reply: Reply) -> None:
        """Give a command that came again its first reply, not before that is committed."""
        answer = chair.answers.get(cmd_no)
        if answer is None:
            raise CmdNoForgotten
        self._owe(max(answer.event_index, self.fold.next_index - 1), reply, reply_of(answer))

    def _extend(self, events: list[Event], command: Command | None = None) -> int:
        """Fold new events, hand them to the log; returns the first one's index."""
        moment = self._clock.moment()
        first = self.fold.next_index
        if not events:
            raise self._refusal("decide", ValueError("a move must cause at least one event"))
        try:
            payloads = prepared(events, command)
        except BadPayload as bad:
            if isinstance(bad, NotJson):
                raise self._refusal("decide", bad) from None
            raise InvalidField(f"move: {bad}.", field="move") from None
        except RAISED_BY_RULES as error:  # what was decided are no events
            raise self._refusal("decide", error) from error
        method: Method = "evolve"
        try:
            rows, told = self._recorder.write(events, moment=moment, payloads=payloads)
            method = "outcome"
            completion = self._complete(rows, told, moment)
        except RAISED_BY_RULES as error:
            # A fold that stops half way is a state that no log has, and reading the log again
            # would only lead back here: the next move of the same kind fails again.
            self.fail(method, error)
            raise Quarantined from error
        self._ahead.extend(told)
        self._log.append(rows, completion)
        return first

    def _complete(
        self, rows: list[Row], told: list[RecordedEvent], moment: Moment
    ) -> Completion | None:
        """Add the game's last event if the rules say that it has ended."""
        outcome = self.fold.outcome()
        if outcome is None or self.fold.table.completed:
            return None
        checked(
            outcome,
            seats=len(self.fold.table.chairs),
            statistics=self.fold.ruleset.statistics,
        )
        last = game_completed(self.fold.table, outcome, self.fold.origin.seed)
        completion = completion_of(self.fold, outcome, moment.at)
        more_rows, more_told = self._recorder.write([last], moment=moment)
        rows += more_rows
        told += more_told
        return completion

    # ------------------------------------------------------------------ releasing

    def _owe(self, index: int, reply: Reply, what: int | PlayhallError) -> None:
        if index < self.committed:
            reply(what)
        else:
            self._owed.append((index, reply, what))

    def _on_committed(self, rows: list[Row]) -> None:
        told = [self._ahead.popleft() for _ in rows]
        self.committed += len(told)
        self._hash = rows[-1].hash
        self.busy_at = self._clock.monotonic()
        self.tail.extend(told)
        self.subscribers.tell(told)
        while self._owed and self._owed[0][0] < self.committed:
            _, reply, what = self._owed.popleft()
            _give(reply, what)
        if self._ahead:
            return
        if self.fault is not None:
            self._events.failed(self)
        elif self.fold.table.completed:
            self.closed = True
            self._events.completed(self)
        else:
            self._events.settled(self)

    def _on_lost(self, lost: Lost) -> None:
        self.closed = True
        if isinstance(lost, Unstorable) and self.fault is None:
            self.fault = (
                f"{self.fold.ruleset.name} decided what cannot be stored: {described(lost)}"
            )
        is_failed = self.fault is not None and not isinstance(lost, Fenced)
        error = Quarantined() if is_failed else not_committed(lost)
        owed, self._owed = self._owed, deque()
        for _, reply, _ in owed:
            _give(reply, error)
        if is_failed:
            self._events.failed(self)
        else:
            self._events.lost(self, lost)


def _give(reply: Reply, what: int | PlayhallError) -> None:
    """Give a reply; one that cannot be given keeps no other back."""
    try:
        reply(what)
    except Exception:
        failed("a reply")


def reply_of(answer: Answer) -> int | MoveRefused:
    """Turn what the log has for a command into the reply that it got."""
    if answer.code is None:
        return answer.event_index
    return MoveRefused(answer.message, rule=answer.code, event_index=answer.event_index)
