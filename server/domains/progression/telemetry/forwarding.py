"""Forwarding: what was stored and may be shared goes to a webhook or a Redis stream, at least once.

A batch waits in the database until its target has it. What is deleted while it waits, since its
account no longer allows it, is not sent; the target hears that it was withdrawn.
"""

import logging
import random
from base64 import b64decode
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

import orjson

from persistence.telemetry.forwards import ForwardedEvent, ForwardStore, QueuedForward, TargetName
from protocol.telemetry import BATCH_EVENTS_MAX
from server.core.clock import Clock, wire_time
from server.core.periodic import repeat_every
from server.domains.contract import Job
from server.domains.interfaces import SignedRequests

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
LEASE_S: Final = 60.0  # longer than any request may take
BATCHES_AT_ONCE: Final = 50
PAUSE_S_MIN: Final = 1.0
PAUSE_S_MAX: Final = 3600.0
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what secrets begin with


class ForwardBatch(NamedTuple):
    """What is sent at once; `seqs` are the numbers of its batches."""

    seqs: list[int]
    events: list[ForwardedEvent]
    withdrawn: list[QueuedForward]


class ForwardFailed(Exception):
    """A target did not take something."""


class ForwardTarget(Protocol):
    """Where events are forwarded to."""

    @property
    def name(self) -> TargetName:
        """What it is called."""

    async def send(self, portion: ForwardBatch) -> None:
        """Send a portion; raise `ForwardFailed`."""

    async def close(self) -> None:
        """Close what is kept open between portions."""


class WebhookTarget:
    """A URL that gets signed requests."""

    name: Final = "webhook"

    def __init__(self, requests: SignedRequests, *, url: str, key: bytes, clock: Clock) -> None:
        self._requests = requests
        self._url = url
        self._key = key
        self._clock = clock

    async def send(self, portion: ForwardBatch) -> None:
        """Send a portion as one request."""
        body = orjson.dumps(
            {
                "type": "telemetry.events",
                "version": 1,
                "timestamp": wire_time(self._clock.now()),
                "data": {
                    "events": [_written(event) for event in portion.events],
                    "withdrawn": [
                        {"account_id": each.account_id, "purpose": each.withdrawn}
                        for each in portion.withdrawn
                    ],
                },
            }
        )
        message_id = f"telemetry-{portion.seqs[0]}-{portion.seqs[-1]}"
        problem = await self._requests.post(
            self._url, body, message_id=message_id, keys=[self._key]
        )
        if problem is not None:
            raise ForwardFailed(problem)

    async def close(self) -> None:
        """Do nothing: no connection is kept."""


class RedisStream(Protocol):
    """A Redis stream (`persistence/telemetry/stream.py`)."""

    async def add(self, entries: Sequence[Sequence[bytes]], /) -> str | None:
        """Add entries; say why it failed, None if it did not."""

    async def close(self) -> None:
        """Close the connection."""


class StreamTarget:
    """A Redis stream that gets an entry for each event."""

    name: Final = "redis"

    def __init__(self, stream: RedisStream) -> None:
        self._stream = stream

    async def send(self, portion: ForwardBatch) -> None:
        """Add the entries of a portion, in one round trip."""
        entries = [
            (b"type", b"telemetry.event", b"event", orjson.dumps(_written(event)))
            for event in portion.events
        ]
        entries += [
            (
                b"type",
                b"telemetry.withdrawn",
                b"withdrawn",
                orjson.dumps({"account_id": each.account_id, "purpose": each.withdrawn}),
            )
            for each in portion.withdrawn
        ]
        if (problem := await self._stream.add(entries)) is not None:
            raise ForwardFailed(problem)

    async def close(self) -> None:
        """Close the connection."""
        await self._stream.close()


class TelemetryForwarder:
    """Sends what waits to each target; every node has one, and one of them is at work."""

    def __init__(self, store: ForwardStore, targets: Sequence[ForwardTarget]) -> None:
        self._store = store
        self._targets = targets
        self.forwarded_total = 0
        self.failures_total = 0
        self.waiting = 0  # batches of all nodes, counted now and then

    async def prepare(self) -> None:
        """Say which targets there are."""
        await self._store.set_targets([target.name for target in self._targets])

    def jobs(self) -> list[Job]:
        """Make a job for each target, so that none waits for another."""
        return [Job("telemetry forwarding", partial(self._run, target)) for target in self._targets]

    async def _run(self, target: ForwardTarget) -> None:
        look = partial(self.send_waiting, target)
        try:
            await repeat_every(LOOK_EVERY_S, look, f"forwarding telemetry to {target.name}")
        finally:
            await target.close()

    async def send_waiting(self, target: ForwardTarget) -> None:
        """Send everything that waits for a target, if it takes it."""
        attempts = await self._store.claim_target(target.name, LEASE_S)
        if attempts is not None:
            await self._send_all(target, attempts)

    async def _send_all(self, target: ForwardTarget, attempts: int) -> None:
        while portion := await self._next(target.name):
            try:
                if portion.events or portion.withdrawn:
                    await target.send(portion)
            except ForwardFailed as error:
                self.failures_total += 1
                if attempts == 0:
                    log.warning("telemetry cannot be forwarded to %s: %s", target.name, error)
                pause_s = _pause_after(attempts)
                await self._store.record_failure(target.name, str(error), pause_s=pause_s)
                return
            self.forwarded_total += len(portion.events)
            attempts = 0
            await self._store.delete_forwarded(target.name, portion.seqs, lease_s=LEASE_S)
        await self._store.release_target(target.name)

    async def _next(self, name: TargetName) -> ForwardBatch | None:
        """Read as many batches as make a full one."""
        portion, wanted = ForwardBatch([], [], []), list[str]()
        for forward in await self._store.list_waiting(name, limit=BATCHES_AT_ONCE):
            if wanted and len(wanted) + len(forward.event_ids) > BATCH_EVENTS_MAX:
                break
            portion.seqs.append(forward.seq)
            wanted += forward.event_ids
            if forward.withdrawn is not None:
                portion.withdrawn.append(forward)
        if not portion.seqs:
            return None
        if wanted:
            portion.events.extend(await self._store.read_events(wanted))
        return portion


def read_secret(secret: str) -> bytes:
    """Read what requests are signed with; raise `ValueError`."""
    key = b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    if not secret.startswith(_SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError("write it as whsec_ and 24 to 64 bytes in base64")
    return key


def _pause_after(attempts: int) -> float:
    pause_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2.0 ** min(attempts, 20))
    return pause_s * (0.8 + 0.4 * random.random())  # noqa: S311 - only spreads


def _written(event: ForwardedEvent) -> dict[str, object]:
    return {
        "event_id": event.event_id,
        "account_id": event.account_id,
        "event_type": event.event_type,
        "schema_version": event.schema_version,
        "timestamp": wire_time(event.timestamp),
        "session": event.session,
        "payload": orjson.Fragment(event.payload),
    }
