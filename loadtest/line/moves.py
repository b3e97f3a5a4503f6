"""A player's moves in one game: numbered 1, 2, 3, … and repeated until their fate is known.

A move's number is used up once its fate is in the log: an `ok`, or a refusal that carries an
`event_index`. Any other refusal leaves the number free, and the moves behind it, which the
server then refused as a gap, move up.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from loadtest.line.errors import ClientError, Lost, Refused
from protocol.game import Json

# How many moves may be under way at once, and how often one is sent.
UNDER_WAY_MAX: Final = 64
TRIES_MAX: Final = 40

_GAP: Final = "cmd_no_gap"
_OVER: Final = "game_over"

# What became of a move: the reply, or why there is none; and the seconds since it was first sent.
Done = Callable[[Json | ClientError, float], None]
OnReply = Callable[[Json | ClientError], None]
# Sends one `game.act` with these fields; the reply, or the loss of it, is told to the callback.
Send = Callable[[Json, OnReply], None]


@dataclass(slots=True, eq=False)
class UnderWay:
    """A move whose fate is not known yet."""

    cmd_no: int
    move: Json
    expected_head: int | None
    done: Done
    began: float
    tries: int = 0
    asked: bool = False  # an answer is due on the present connection
    logged: Json | None = None  # the answer, as the game's log implies it


class Moves:
    """The moves of one player in one game.

    `later(tries, action)` runs an action after a pause that grows with the tries.
    """

    __slots__ = ("_later", "_send", "is_open", "under_way", "used")

    def __init__(self, send: Send, later: Callable[[int, Callable[[], None]], None]) -> None:
        self.used = 0
        self.under_way: list[UnderWay] = []
        self.is_open = False
        self._send = send
        self._later = later

    def make(self, move: Json, done: Done, *, expected_head: int | None = None) -> None:
        """Make a move; it is sent now, or as soon as the game is being followed again.

        With `expected_head`, it is refused if the game is past that event by then.
        """
        if len(self.under_way) >= UNDER_WAY_MAX:
            raise Lost(f"{UNDER_WAY_MAX} moves wait for their answers; wait for one of them.")
        number = self.used + len(self.under_way) + 1
        item = UnderWay(number, move, expected_head, done, time.perf_counter())
        self.under_way.append(item)
        if self.is_open:
            self._go(item)

    def open(self, used: int) -> None:
        """Start on a connection; `used` is the last number in the log, as the server says."""
        if not self.under_way:
            self.used = used
        self.is_open = True
        self.repeat()

    def hang(self) -> None:
        """Take note that the connection is gone: no answer will come on it."""
        self.is_open = False
        for item in self.under_way:
            item.asked = False

    def repeat(self) -> None:
        """Send everything that no answer is due for, in order, under the numbers now due."""
        if not self.is_open or any(item.asked for item in self.under_way):
            return
        for number, item in enumerate(list(self.under_way), start=self.used + 1):
            item.cmd_no = number
            self._go(item)

    def logged(self, cmd_no: int, event_index: int, refusal: Json | None) -> None:
        """Take note that the log has one of these moves (`refusal` if it was refused)."""
        for item in self.under_way:
            if item.cmd_no == cmd_no:
                verdict = {"type": "ok"} if refusal is None else {"type": "error", **refusal}
                item.logged = {**verdict, "event_index": event_index}

    def give_up(self, error: ClientError) -> None:
        """Tell everybody who waits that no answer will ever come."""
        self.hang()
        items, self.under_way = self.under_way, []
        for item in items:
            _tell(item, error)

    def _go(self, item: UnderWay) -> None:
        item.tries += 1
        item.asked = True
        fields: Json = {"cmd_no": item.cmd_no, "move": item.move}
        if item.expected_head is not None:
            fields["expected_head"] = item.expected_head
        self._send(fields, lambda reply: self._answered(item, reply))

    def _answered(self, item: UnderWay, reply: Json | ClientError) -> None:
        item.asked = False
        if isinstance(reply, ClientError):
            return  # the connection is gone; the next one repeats it
        if reply.get("code") == _OVER and item.logged is not None:
            reply = item.logged
        if _may_be_repeated(reply) and item.tries < TRIES_MAX:
            self._repeat_later(item.tries)
            return
        if "event_index" in reply:
            self.used = max(self.used, item.cmd_no)
        self.under_way.remove(item)
        _tell(item, reply)
        self._repeat_later(0)

    def _repeat_later(self, tries: int) -> None:
        waiting = [item for item in self.under_way if not item.asked]
        if waiting and len(waiting) == len(self.under_way):
            self._later(tries, self.repeat)


def _may_be_repeated(reply: Json) -> bool:
    if reply["type"] == "ok" or "event_index" in reply:
        return False
    return bool(reply.get("retry")) or reply.get("code") == _GAP


def _tell(item: UnderWay, reply: Json | ClientError) -> None:
    item.done(reply, time.perf_counter() - item.began)


def event_index_of(reply: Json | ClientError) -> int:
    """Give the index of the first event that a move caused; raise what it met instead."""
    if isinstance(reply, ClientError):
        raise reply
    if reply["type"] != "ok":
        raise Refused.of(reply)
    index = reply["event_index"]
    assert isinstance(index, int)
    return index
