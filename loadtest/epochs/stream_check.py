"""The check of what watchers of a day are shown, frame by frame, and of the state it makes. Pure.

The server makes a frame once and sends it to all, so a process parses a version's frame once;
whoever gets the same bytes at the same place needs no second look.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import orjson

from playhall import Json
from playhall.errors import ClientError

CLAIMS = frozenset({"slot_claimed", "slot_overwritten"})


class DayState(NamedTuple):
    """What watchers have of a day at a version: its phase, and its slots by their index."""

    phase: str
    slots: tuple[Json, ...]

    @classmethod
    def from_snapshot(cls, shown: Json) -> "DayState":
        """Read the state from a snapshot, or from what HTTP says of the slots."""
        return cls(shown["phase"], tuple(shown["slots"]))


def apply_events(state: DayState, events: Iterable[Json]) -> DayState:
    """Give the state after events."""
    phase, slots = state.phase, list(state.slots)
    for event in events:
        if event["event"] in CLAIMS:
            slots[event["slot_index"]] = _claimed(slots[event["slot_index"]], event)
        elif event["event"] == "phase_changed":
            phase = event["payload"]["phase"]
    return DayState(phase, tuple(slots))


def first_difference(mine: DayState, theirs: DayState) -> str | None:
    """Say where two states differ first; None if they are the same."""
    if mine.phase != theirs.phase:
        return f"phase {mine.phase}, over HTTP {theirs.phase}"
    if len(mine.slots) != len(theirs.slots):
        return f"{len(mine.slots)} slots, over HTTP {len(theirs.slots)}"
    pairs = zip(mine.slots, theirs.slots, strict=True)
    for here, there in pairs:
        if here != there:
            return f"slot {there['slot_index']}: {here}, over HTTP {there}"
    return None


def _claimed(slot: Json, event: Json) -> Json:
    return {
        **slot,
        "code": event["payload"]["code"],
        "bot_id": event["bot_id"],
        "bot": event["bot"],
        "updated_at": event["at"],
        "version": event["version"],
    }


# ---------------------------------------------------------------------- what one watcher is shown


EVENTS_MAX: Final = 100_000  # whose frames one process keeps, until they are compared
MEASURED_MAX: Final = 20_000  # of these, whose arrivals are told apart
TICK_S: Final = 0.0005  # how exactly an arrival is known
EVENT: Final = "epoch.event"

# Version -> tick of the monotonic clock -> how many watchers had it then.
Arrivals = dict[int, dict[int, int]]


class DayStream:
    """A day's frames by version, as the first watcher of this process got them."""

    def __init__(self, counts: Counter[str], *, now: Callable[[], float] = time.monotonic) -> None:
        self.frames: dict[int, bytes] = {}
        self.arrivals: Arrivals = {}
        self._counts = counts
        self._now = now

    def remember_frame(self, version: int, frame: bytes) -> None:
        """Keep the first frame of a version."""
        if len(self.frames) >= EVENTS_MAX:
            raise ClientError(f"There were more than {EVENTS_MAX} events; test for fewer seconds.")
        self.frames[version] = frame
        if len(self.arrivals) < MEASURED_MAX:
            self.arrivals[version] = {}

    def count_delivery(self, version: int) -> None:
        """Count that one watcher has a version now."""
        self._counts["deliveries"] += 1
        ticks = self.arrivals.get(version)
        if ticks is not None:
            tick = int(self._now() / TICK_S)
            ticks[tick] = ticks.get(tick, 0) + 1

    def events(self, after: int, until: int) -> list[Json]:
        """Read the events after one version and up to another; what is missing is left out."""
        versions = range(after + 1, until + 1)
        return [orjson.loads(self.frames[each]) for each in versions if each in self.frames]


class StreamCheck:
    """What one watcher was shown: a state at a version, then every change after it.

    `fault` is the first thing that was not as it must be.
    """

    __slots__ = ("_stream", "fault", "start", "state", "version")

    def __init__(self, stream: DayStream) -> None:
        self.state: DayState | None = None
        self.start = 0
        self.version = 0
        self.fault: str | None = None
        self._stream = stream

    def start_from(self, snapshot: DayState, version: int) -> None:
        """Take the snapshot that everything else is a change of."""
        self.state, self.start, self.version = snapshot, version, version

    def take_if_same(self, frame: bytes) -> bool:
        """Take a frame if it is, byte for byte, the one that others had in this place."""
        if frame != self._stream.frames.get(self.version + 1):
            return False
        self.version += 1
        self._stream.count_delivery(self.version)
        return True

    def take_event(self, frame: bytes, event: Mapping[str, object]) -> None:
        """Take any other event: the first of its version, or a fault."""
        version = event["version"]
        assert isinstance(version, int)
        if version != self.version + 1:
            self._blame(f"version {version} came where {self.version + 1} was due")
        elif version in self._stream.frames:
            self._blame(f"version {version} is not what another watcher got")
        else:
            self._stream.remember_frame(version, frame)
        self.version = max(self.version, version)
        self._stream.count_delivery(version)

    def _blame(self, fault: str) -> None:
        self.fault = self.fault or fault
