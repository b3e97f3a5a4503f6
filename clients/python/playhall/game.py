"""One followed game, without I/O: which event comes next, and which moves are under way.

`GameStream` takes events and insists on their order: each has the index after the last one's,
or the stream fails with `EventOutOfOrder`. A stream outlives its connections; the next one resumes
it after the last index that it took.

`MoveQueue` numbers the player's moves 1, 2, 3, … and repeats them until their fate is known, so
that a move acts once however often it was sent. A number is used up once the move's fate is in the
log: by an `ok`, or by a refusal that carries an `event_index`. Any other refusal leaves the number
free, and the moves behind it, which the server then refused as a gap, move up.

A real-time game comes as one view and what changes of it. Its ticks are in the log and are not
sent, so the indexes of its events have gaps; `LiveView` sees to it that no change is missed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from playhall.errors import ClientError, ConnectionLost, EventOutOfOrder, Json, RequestRefused

# How many moves may be under way at once, and how often one is sent.
PENDING_MOVES_MAX: Final = 64
TRIES_MAX: Final = 40

GAME_COMPLETED: Final = "game_completed"
INVALID_ACTION: Final = "invalid_action"
# The key, in an event's payload, of the command that caused it: [seat, cmd_no].
CAUSE: Final = "_cmd"
# Codes of refused moves.
_GAP: Final = "cmd_no_gap"
_OVER: Final = "game_over"

# What became of a move: the reply, or why there is none; and the seconds since it was first sent.
OnDone = Callable[[Json | ClientError, float], None]
OnReply = Callable[[Json | ClientError], None]
# Sends one `game.act` with these fields; the callback gets the reply, or the loss of it.
Send = Callable[[Json, OnReply], None]


@dataclass(slots=True, eq=False)
class PendingMove:
    """A move whose fate is not known yet."""

    cmd_no: int
    move: Json
    expected_head: int | None
    on_done: OnDone
    began: float
    tries: int = 0
    asked: bool = False  # an answer is due on the present connection
    logged: Json | None = None  # the answer, as the game's log implies it


class MoveQueue:
    """The moves of one player in one game.

    `later(tries, action)` runs an action after a pause that grows with the tries.
    """

    __slots__ = ("_later", "_send", "is_open", "under_way", "used")

    def __init__(self, send: Send, later: Callable[[int, Callable[[], None]], None]) -> None:
        self.used = 0  # the last number that is used up
        self.under_way: list[PendingMove] = []  # by number
        self.is_open = False  # whether there is a connection that follows the game
        self._send = send
        self._later = later

    def send_move(self, move: Json, on_done: OnDone, *, expected_head: int | None = None) -> None:
        """Make a move; it is sent now, or as soon as the game is being followed again.

        With `expected_head`, it is refused if the game is past that event by then.
        """
        if len(self.under_way) >= PENDING_MOVES_MAX:
            raise ConnectionLost(
                f"{PENDING_MOVES_MAX} moves are still unanswered; wait for one of them."
            )
        number = self.used + len(self.under_way) + 1
        item = PendingMove(number, move, expected_head, on_done, time.perf_counter())
        self.under_way.append(item)
        if self.is_open:
            self._send_once(item)

    def on_connected(self, used: int) -> None:
        """Start on a connection; `used` is the last number in the log, as the server says."""
        # With moves under way, the server's number may count moves whose answers got lost. They
        # keep their numbers: the server recognises the repeats and answers what it answered.
        if not self.under_way:
            self.used = used
        self.is_open = True
        self.resend_pending()

    def on_disconnected(self) -> None:
        """Note that the connection is gone: no answer will come on it."""
        self.is_open = False
        for item in self.under_way:
            item.asked = False

    def resend_pending(self) -> None:
        """Send everything that no answer is due for, in order, under the numbers now due.

        While an answer is due, numbers may still change, so everything waits for it.
        """
        if not self.is_open or any(item.asked for item in self.under_way):
            return
        for number, item in enumerate(list(self.under_way), start=self.used + 1):
            item.cmd_no = number
            self._send_once(item)

    def on_logged(self, cmd_no: int, event_index: int, refusal: Json | None) -> None:
        """Note that the log has one of these moves (`refusal` if it was refused).

        A move that ended the game, and whose answer got lost, is refused as too late when it is
        repeated. Its true fate is known from here.
        """
        for item in self.under_way:
            if item.cmd_no == cmd_no:
                verdict = {"type": "ok"} if refusal is None else {"type": "error", **refusal}
                item.logged = {**verdict, "event_index": event_index}

    def fail_all(self, error: ClientError) -> None:
        """Fail every move that waits: no answer will ever come."""
        self.on_disconnected()
        items, self.under_way = self.under_way, []
        for item in items:
            _finish(item, error)

    def _send_once(self, item: PendingMove) -> None:
        item.tries += 1
        item.asked = True
        fields: Json = {"cmd_no": item.cmd_no, "move": item.move}
        if item.expected_head is not None:
            fields["expected_head"] = item.expected_head
        self._send(fields, partial(self._answered, item))

    def _answered(self, item: PendingMove, reply: Json | ClientError) -> None:
        item.asked = False
        if isinstance(reply, ClientError):
            return  # the connection is gone; the next one repeats the move
        if item not in self.under_way:
            return  # the game was given up while the answer was on its way
        if reply["type"] != "ok":
            if reply["code"] == _OVER and item.logged is not None:
                reply = item.logged
            if _may_be_repeated(reply) and item.tries < TRIES_MAX:
                self._repeat_later(item.tries)
                return
        if "event_index" in reply:
            self.used = max(self.used, item.cmd_no)
        self.under_way.remove(item)
        _finish(item, reply)
        self._repeat_later(0)

    def _repeat_later(self, tries: int) -> None:
        for item in self.under_way:
            if item.asked:
                return  # numbers may still change: its answer comes back here
        if self.under_way:
            self._later(tries, self.resend_pending)


def _may_be_repeated(reply: Json) -> bool:
    if reply["type"] == "ok" or "event_index" in reply:
        return False
    return bool(reply.get("retry")) or reply.get("code") == _GAP


def _finish(item: PendingMove, reply: Json | ClientError) -> None:
    item.on_done(reply, time.perf_counter() - item.began)


def event_index_of(reply: Json | ClientError) -> int:
    """Give the index of the first event that a move caused; raise the error it met instead."""
    if isinstance(reply, ClientError):
        raise reply
    if reply["type"] != "ok":
        raise RequestRefused.from_reply(reply)
    index = reply["event_index"]
    assert isinstance(index, int)
    return index


def apply_merge_patch(old: Any, patch: Any) -> Any:
    """Give what a JSON merge patch makes of a value; the value itself stays as it is.

    Source: RFC 7396, section 2.
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply_merge_patch(merged.get(key), value)
    return merged


@dataclass(slots=True)
class LiveView:
    """What a player sees of a real-time game: as of which tick, and up to which own move."""

    tick: int
    view: Json
    ack: int = 0

    def apply(self, patch: Json) -> bool:
        """Apply a patch; returns False if one before it is missing."""
        if patch["since"] > self.tick:
            return False
        if patch["tick"] >= self.tick:
            self.view = apply_merge_patch(self.view, patch["changes"])
            self.tick, self.ack = patch["tick"], patch["ack"]
        return True


class GameStream:
    """A game's events, from the next index on.

    `on_event` gets every event once, in order; `on_failure` gets the error that ended it.
    """

    __slots__ = (
        "as_player",
        "completed",
        "failure",
        "game_id",
        "live",
        "moves",
        "next_index",
        "on_event",
        "on_failure",
        "on_view",
        "paused",
        "seat",
    )

    def __init__(
        self,
        game_id: str,
        moves: MoveQueue,
        *,
        on_event: Callable[[Json], None],
        on_failure: Callable[[ClientError], None],
        on_view: Callable[[], None] = lambda: None,
        as_player: bool = True,
    ) -> None:
        self.game_id = game_id
        self.moves = moves
        self.as_player = as_player
        self.next_index = 0
        self.seat: int | None = None  # None for a spectator
        self.completed = False
        self.paused = False  # what arrives is dropped, until the stream is resumed
        self.failure: ClientError | None = None
        self.live: LiveView | None = None  # of a real-time game
        self.on_event = on_event
        self.on_view = on_view
        self.on_failure = on_failure

    def handle_event(self, message: Json) -> None:
        """Take the next event; any other one fails the stream."""
        if self.paused or self.failure is not None:
            return
        index = message["event_index"]
        if index != self.next_index and not (self.live is not None and index > self.next_index):
            what = "repeated" if index < self.next_index else "missing"
            self.fail(
                EventOutOfOrder(
                    f"game {self.game_id}: expected event {self.next_index}, got {index} ({what})"
                )
            )
            return
        self.count_event(message["event"], message["payload"], index)
        self.on_event(message)

    def handle_state(self, message: Json) -> None:
        """Take a snapshot in place of the events up to it."""
        if self.failure is not None:
            return
        self.next_index = max(self.next_index, message["head"] + 1)
        if message.get("tick") is not None:
            self.live = LiveView(message["tick"], message["view"])
            self.on_view()

    def handle_patch(self, message: Json) -> None:
        """Take what has changed in a real-time game; if a change is missing, the stream pauses."""
        if self.live is None or self.paused or self.failure is not None:
            return  # from before the snapshot that is on its way
        if not self.live.apply(message):
            self.paused = True
        self.next_index = max(self.next_index, message["head"] + 1)
        self.on_view()

    def count_event(self, event: str, payload: Json | None, index: int) -> None:
        """Count one event in; notes what it says about this player's own moves."""
        self.next_index = index + 1
        if event == GAME_COMPLETED:
            self.completed = True
        if payload is None or not self.moves.under_way:
            return
        cause = payload.get(CAUSE)
        if cause is not None and cause[0] == self.seat:
            refusal = None
            if event == INVALID_ACTION:
                refusal = {"code": payload["code"], "message": payload["message"], "retry": False}
            self.moves.on_logged(cause[1], index, refusal)

    def fail(self, error: ClientError) -> None:
        """End the stream; nothing more is taken."""
        if self.failure is None:
            self.failure = error
            self.moves.fail_all(error)
            self.on_failure(error)
