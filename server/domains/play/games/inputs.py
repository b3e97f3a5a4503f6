"""Inputs of a real-time game that wait for its next tick. Pure.

Each seat's inputs are taken in the order of their numbers. An input that the rules cannot parse
uses its number up, like a refused move; so it waits for those before it, and those after it wait.
Everything is bounded: a seat's queue, and what one tick takes of a seat and altogether.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from protocol.errors import Overloaded, PlayhallError
from protocol.limits import PAYLOAD_BYTES_MAX
from server.gamekit.contract import IllegalMove, Payload

INPUTS_QUEUED_MAX: Final = 32  # of a seat
INPUTS_PER_TICK_MAX: Final = 8  # of a seat
# Leaves room in the tick's event for seats, numbers and what the server adds.
TICK_BYTES_MAX: Final = PAYLOAD_BYTES_MAX - 4096
INPUT_OVERHEAD_BYTES: Final = 24

# Called once, when a command's fate is committed: an event index, or why not.
Reply = Callable[[int | PlayhallError], None]


@dataclass(slots=True, eq=False)
class QueuedInput:
    """One input: what was sent, who waits for its fate, and why it is refused, if it is."""

    seat: int
    cmd_no: int | None  # None for a bot's
    move: Payload
    size: int
    refusal: IllegalMove | None = None
    replies: list[Reply] = field(default_factory=list)
    arrival: int = 0


class InputQueue:
    """What waits, by seat."""

    __slots__ = ("_arrivals", "_waiting")

    def __init__(self, seats: int) -> None:
        self._waiting: list[deque[QueuedInput]] = [deque() for _ in range(seats)]
        self._arrivals = count()

    def last_no(self, seat: int) -> int:
        """Give the highest number that waits of a seat; 0 for none."""
        numbers = (item.cmd_no for item in reversed(self._waiting[seat]) if item.cmd_no)
        return next(numbers, 0)

    def find(self, seat: int, cmd_no: int) -> QueuedInput | None:
        """Find an input that waits."""
        return next((item for item in self._waiting[seat] if item.cmd_no == cmd_no), None)

    def add(self, item: QueuedInput) -> None:
        """Have an input wait; raise `Overloaded` if its seat has too many."""
        waiting = self._waiting[item.seat]
        if len(waiting) >= INPUTS_QUEUED_MAX:
            raise Overloaded("Your last inputs wait for the game's next ticks; send fewer.")
        item.arrival = next(self._arrivals)
        waiting.append(item)

    def take(self) -> list[QueuedInput]:
        """Take the inputs of one tick, in the order in which they came."""
        ready = [item for waiting in self._waiting for item in _ready(waiting)]
        ready.sort(key=_arrival)
        taken: list[QueuedInput] = []
        room, full = TICK_BYTES_MAX, set[int]()
        for item in ready:
            room -= item.size + INPUT_OVERHEAD_BYTES
            if room < 0 or item.seat in full:
                full.add(item.seat)  # what follows of the seat must not overtake
                continue
            taken.append(self._waiting[item.seat].popleft())
        return taken

    def take_refusals(self) -> list[QueuedInput]:
        """Take the refused inputs before which nothing waits."""
        return [
            waiting.popleft()
            for waiting in self._waiting
            if waiting and waiting[0].refusal is not None
        ]

    def take_all(self) -> list[QueuedInput]:
        """Take everything, for a game that takes no more ticks."""
        taken = [item for waiting in self._waiting for item in waiting]
        for waiting in self._waiting:
            waiting.clear()
        return taken


def _ready(waiting: deque[QueuedInput]) -> Iterator[QueuedInput]:
    for number, item in enumerate(waiting):
        if item.refusal is not None or number == INPUTS_PER_TICK_MAX:
            return
        yield item


def _arrival(item: QueuedInput) -> int:
    return item.arrival
