"""A day once more, over HTTP: is it what its watchers saw, and what was replied to who acted?"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from loadtest.epochs.actors import AcknowledgedCommand, find_event_fault
from loadtest.epochs.stream_check import (
    DayState,
    DayStream,
    StreamCheck,
    apply_events,
    first_difference,
)
from loadtest.measure import Checks
from playhall import Json
from playhall.http import HttpClient
from protocol.epochs import EVENTS_MAX as PAGE_MAX

ORDER: Final = "every watcher saw every change once and in order, as the others did"
STATE: Final = "every watcher ended in the state that HTTP shows"
LOG: Final = "every event is the one that HTTP shows"
KEPT: Final = "every acknowledged claim and vote is in the stream"

CATCH_UP_S: Final = 30.0
LOOK_EVERY_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class FinalDay:
    """What HTTP shows of a day: its state at a version."""

    version: int
    state: DayState


async def read_final_day(http: HttpClient, epoch_id: str) -> FinalDay:
    """Read the state that watchers must come to."""
    slots = await http.get(f"/v1/epochs/{epoch_id}/slots")
    return FinalDay(slots["version"], DayState.from_snapshot(slots))


async def wait_until_caught_up(stream_checks: Sequence[StreamCheck], version: int) -> None:
    """Wait until everybody has a version, or for so long that they will never."""
    until = time.monotonic() + CATCH_UP_S
    while time.monotonic() < until:
        if all(stream_check.version >= version for stream_check in stream_checks):
            return
        await asyncio.sleep(LOOK_EVERY_S)


def check_streams(
    stream_checks: Sequence[StreamCheck], stream: DayStream, end: FinalDay, checks: Checks
) -> None:
    """Check the order of what each watcher saw, and the state that it makes."""
    states: dict[tuple[int, int], str | None] = {}
    for number, stream_check in enumerate(stream_checks):
        late = f"the last was version {stream_check.version}, but there is {end.version}"
        fault = stream_check.fault or (late if stream_check.version < end.version else None)
        checks.note_check(ORDER, fault and f"watcher {number}: {fault}")
        key = (id(stream_check.state), stream_check.start)  # few snapshots, many watchers
        if key not in states:
            states[key] = _fault_of_state(stream_check, stream, end)
        wrong = fault or states[key]
        checks.note_check(STATE, wrong and f"watcher {number}: {wrong}")


def _fault_of_state(stream_check: StreamCheck, stream: DayStream, end: FinalDay) -> str | None:
    if stream_check.state is None:
        return "it was shown no snapshot"
    return first_difference(
        apply_events(stream_check.state, stream.events(stream_check.start, end.version)), end.state
    )


async def check_log(
    http: HttpClient, epoch_id: str, stream: DayStream, checks: Checks, *, after: int, end: FinalDay
) -> None:
    """Check every event after a version against the same one over HTTP."""
    while after < end.version:
        page = await http.get(f"/v1/epochs/{epoch_id}/events?after={after}&limit={PAGE_MAX}")
        for event in page["events"]:
            after += 1
            checks.note_check(LOG, _fault_of_event(stream, after, event))
        if not page["events"]:
            checks.note_check(LOG, f"version {after + 1} is missing over HTTP")
            return


def _fault_of_event(stream: DayStream, version: int, event: Json) -> str | None:
    if event["version"] != version:
        return f"version {event['version']} comes over HTTP where {version} is due"
    frame = stream.frames.get(version)
    if frame is None:
        return f"version {version} was seen by no watcher"
    seen: Json = orjson.loads(frame)
    if {**event, "type": seen["type"]} != seen:
        return f"version {version} was shown as {seen}, over HTTP it is {event}"
    return None


def check_acknowledged(
    done: Sequence[AcknowledgedCommand], stream: DayStream, checks: Checks
) -> None:
    """Check that what was acknowledged came to the watchers of this process."""
    for each in done:
        frame = stream.frames.get(each.version)
        if frame is None:
            fault: str | None = f"{each.act.command} was acknowledged, but no watcher saw it"
        else:
            fault = find_event_fault(each.act, orjson.loads(frame))
        checks.note_check(KEPT, fault and f"version {each.version}: {fault}")
