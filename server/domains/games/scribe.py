"""From decided events to rows of the log: canonical, indexed, chained, folded."""

from collections.abc import Sequence
from typing import NamedTuple

from persistence.chain import canonical, link
from persistence.log import Row
from server.gamekit.contract import Event
from server.gamekit.fold import Fold
from server.gamekit.table import CMD
from server.kernel.clock import Moment


class Told(NamedTuple):
    """An event as it is told: its index, itself, its payload and time as bytes."""

    event_index: int
    event: Event
    payload: bytes
    at: bytes


class Command(NamedTuple):
    """Which command of which seat caused some events."""

    seat: int
    cmd_no: int


def prepared(events: Sequence[Event], command: Command | None = None) -> list[bytes]:
    """Name the command on the first event, and write every payload canonically.

    Raises `BadPayload`, or anything at all for what are no events; nothing is folded yet.
    """
    if command is not None:
        events[0].payload[CMD] = list(command)
    return [canonical(event.payload) for event in events]


class Scribe:
    """Writes one game's events, in order, and folds each as it is written."""

    __slots__ = ("fold", "hash")

    def __init__(self, fold: Fold, last_hash: bytes) -> None:
        self.fold = fold
        self.hash = last_hash

    def write(
        self, events: Sequence[Event], *, moment: Moment, payloads: Sequence[bytes] | None = None
    ) -> tuple[list[Row], list[Told]]:
        """Write events that were just decided, and fold them.

        `payloads` are what `prepared` gave for them. Whatever this raises, the fold is not
        what the log has any more.
        """
        if payloads is None:
            payloads = prepared(events)
        rows: list[Row] = []
        told: list[Told] = []
        for event, payload in zip(events, payloads, strict=True):
            index = self.fold.next_index
            self.hash = link(self.hash, index, event.type, payload)
            rows.append(Row(index, event.type, payload, moment.at, self.hash))
            told.append(Told(index, event, payload, moment.wire))
            self.fold.apply(event, moment.ms)
        return rows, told
