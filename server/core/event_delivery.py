"""Durable domain events: who listens to them, and their delivery at least once.

Domains do not import each other; what one needs to know of another is an event. A durable one is
in the outbox, written in the transaction that caused it (`persistence/event_outbox.py`,
`protocol/domain_events.py`). Its listeners are a table, and each is called until it returns:

    DurableListener("webhooks", {GameCompleted: queue, UserErased: queue})

A listener may be called again for the same event: after it failed, after its node died, and when it
took longer than the lease. It can see that by `event_id`. Listeners do not hold each other up: one
that fails gets the event again later, alone. An event is given up after `ATTEMPTS_MAX` attempts,
which takes almost two hours; it is kept, and counted in `playhall_events_dead`.

There is no order among events. Each is delivered soon after its commit, and `occurred_at` says
which came first.

Of the events that are due at once, a listener with a batch handler gets all of a kind in one call.
It returns those that it is done with: many of them counted in one statement, or those that do not
concern it, which one statement tells as well. The others are delivered to it one by one, and so are
all of them if the call failed, so one bad event holds up no other.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from persistence.event_outbox import ClaimedEvent, EventOutbox, OutboxBacklog
from protocol.domain_events import DURABLE_EVENTS, DurableEvent
from server.core.containment import FAILURES, contain_failures
from server.core.periodic import AWAY, repeat_every

log = logging.getLogger(__name__)

POLL_EVERY_S: Final = 1.0
BATCH_EVENTS: Final = 100
AT_ONCE_MAX: Final = 25  # of a batch handler's call, which must not hold up the event loop
BATCHES_MAX: Final = 10  # of a look, so a node delivers at most 1000 events a second
LISTENER_TIMEOUT_S: Final = 10.0
LEASE_S: Final = 60.0
# A batch stops here, so that even its last listener's time ends within the lease.
BATCH_S_MAX: Final = LEASE_S - 2 * LISTENER_TIMEOUT_S
# Of it for batch handlers: the last of them ends with time left, so some events are always tried.
AT_ONCE_S_MAX: Final = BATCH_S_MAX / 2
ATTEMPTS_MAX: Final = 16
PAUSE_S_MAX: Final = 900.0
COUNT_EVERY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """An event as a listener gets it; a second delivery has the same `event_id`."""

    event_id: str
    occurred_at: datetime
    event: DurableEvent


BatchHandler = Callable[[Sequence[EventDelivery]], Awaitable[Collection[str]]]


@dataclass(frozen=True, slots=True)
class DurableListener:
    """Who listens to which events. The name is stored with each delivery: never change it.

    An event that was done before a listener was added does not come again.
    """

    name: str
    handlers: Mapping[type[DurableEvent], Callable[[EventDelivery], Awaitable[None]]]
    # Given all events of a kind that are due, return the ids of those that need no handler.
    batch_handlers: Mapping[type[DurableEvent], BatchHandler] = field(default_factory=dict)


class _DueEvent:
    """A claimed event and the listeners that have it; its payload is parsed once for all."""

    __slots__ = ("_delivery", "claimed", "has_it", "model")

    def __init__(self, claimed: ClaimedEvent) -> None:
        self.claimed = claimed
        self.model = DURABLE_EVENTS[claimed.name]
        self.has_it = list(claimed.delivered_to)
        self._delivery: EventDelivery | None = None

    def read(self) -> EventDelivery:
        """Parse it; raise `ValueError` for one that this node does not understand."""
        if self._delivery is None:
            claimed = self.claimed
            if claimed.version != self.model.version:
                raise ValueError(f"version {claimed.version} of {claimed.name} is not known here")
            event = self.model.model_validate_json(claimed.payload)
            self._delivery = EventDelivery(claimed.event_id, claimed.occurred_at, event)
        return self._delivery


def retry_delay(attempts: int, chance: float) -> float:
    """Say for how long an event rests after so many attempts; `chance` is from 0 to 1."""
    return float(min(2**attempts, PAUSE_S_MAX)) * (0.75 + 0.5 * chance)


class OutboxDeliverer:
    """Delivers the events of the outbox; every node has one, and they share the work.

    `now` gives monotonic seconds.
    """

    def __init__(
        self,
        outbox: EventOutbox,
        listeners: Sequence[DurableListener],
        *,
        now: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._listeners = listeners
        self._now = now
        self._counted_at = now()
        self.collector = EventMetricsCollector(self)
        self.backlog = OutboxBacklog()
        self.delivered_total = 0
        self.failed_total = 0

    async def run(self) -> None:
        """Deliver what is due, until cancelled."""
        await repeat_every(POLL_EVERY_S, self.poll, "delivering events")

    async def poll(self) -> None:
        """Deliver what is due, up to a bound, and now and then count what waits."""
        for _ in range(BATCHES_MAX):
            claimed = await self._outbox.claim(DURABLE_EVENTS, limit=BATCH_EVENTS, lease_s=LEASE_S)
            if claimed:
                await self._deliver(claimed)
            if len(claimed) < BATCH_EVENTS:
                break
        if self._now() - self._counted_at >= COUNT_EVERY_S:
            self._counted_at = self._now()
            self.backlog = await self._outbox.count_backlog()

    async def _deliver(self, claimed: Sequence[ClaimedEvent]) -> None:
        """Deliver a batch; what there is no time for is given back untried."""
        began_at = self._now()
        ends_at = began_at + BATCH_S_MAX
        due = [_DueEvent(each) for each in claimed]
        for listener in self._listeners:
            for handle, some in _handed_at_once(due, listener):
                if self._now() > began_at + AT_ONCE_S_MAX:
                    break
                if not await self._deliver_at_once(listener, handle, some):
                    break  # its next would most likely fail too, and a time-out costs the others
        done: list[ClaimedEvent] = []
        for place, event in enumerate(due):
            if self._now() > ends_at:
                await self._outbox.release(claimed[place:])
                break
            if await self._reaches_all(event):
                done.append(event.claimed)
        await self._outbox.finish(done, [listener.name for listener in self._listeners])
        self.delivered_total += len(done)

    async def _deliver_at_once(
        self, listener: DurableListener, handle: BatchHandler, due: Sequence[_DueEvent]
    ) -> bool:
        """Have a listener handle many events; False if that failed.

        What it is not done with is delivered one by one.
        """
        what = f"listener {listener.name}, {len(due)} events at once"
        with contain_failures(what, passed=AWAY):
            async with asyncio.timeout(LISTENER_TIMEOUT_S):
                done = await handle([event.read() for event in due])
            for event in due:
                if event.claimed.event_id in done:
                    event.has_it.append(listener.name)
            return True
        return False

    async def _reaches_all(self, due: _DueEvent) -> bool:
        """Call the listeners that do not have an event yet; False if one of them failed."""
        claimed, has_it, errors = due.claimed, due.has_it, []
        for listener in self._listeners:
            if listener.name in has_it:
                continue
            try:
                await self._call(listener, due)
            except AWAY:
                raise  # no listener's fault: the sweep waits, and the event comes again
            except Exception as error:
                errors.append(f"{listener.name}: {error!r}")
                self._note_failure(claimed, listener)
            else:
                has_it.append(listener.name)
        if errors:
            await self._outbox.postpone(
                claimed,
                delivered_to=has_it,
                error="; ".join(errors),
                pause_s=retry_delay(claimed.attempts, random.random()),  # noqa: S311 - only spreads
                is_dead=claimed.attempts >= ATTEMPTS_MAX,
            )
        return not errors

    async def _call(self, listener: DurableListener, due: _DueEvent) -> None:
        if (handle := listener.handlers.get(due.model)) is None:
            return
        async with asyncio.timeout(LISTENER_TIMEOUT_S):
            await handle(due.read())

    def _note_failure(self, claimed: ClaimedEvent, listener: DurableListener) -> None:
        self.failed_total += 1
        FAILURES.total += 1
        if claimed.attempts in (1, ATTEMPTS_MAX):  # at length the first time and the last
            log.exception(
                "event %s (%s), attempt %d of %d: listener %s failed",
                *(claimed.event_id, claimed.name, claimed.attempts, ATTEMPTS_MAX, listener.name),
            )


def _handed_at_once(
    due: Sequence[_DueEvent], listener: DurableListener
) -> Iterator[tuple[BatchHandler, Sequence[_DueEvent]]]:
    """Give a listener's batch handlers, each with some of the events that wait for it."""
    for model, handle in listener.batch_handlers.items():
        waiting = _waiting(due, listener, model)
        for first in range(0, len(waiting), AT_ONCE_MAX):
            yield handle, waiting[first : first + AT_ONCE_MAX]


def _waiting(
    due: Sequence[_DueEvent], listener: DurableListener, model: type[DurableEvent]
) -> list[_DueEvent]:
    """List the events of a kind that a listener does not have, and that this node understands."""
    return [
        event
        for event in due
        if event.model is model
        and event.claimed.version == model.version
        and listener.name not in event.has_it
    ]


class EventMetricsCollector(Collector):
    """What a node does for durable events, as Prometheus reads it."""

    def __init__(self, deliverer: OutboxDeliverer) -> None:
        self._deliverer = deliverer

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        backlog = self._deliverer.backlog
        for name, meaning, value in (
            ("pending", "Events that wait for a listener, in the whole outbox.", backlog.pending),
            ("dead", "Events that were given up, in the whole outbox.", backlog.dead),
            ("oldest_seconds", "For how long the oldest event has waited.", backlog.oldest_s),
        ):
            yield GaugeMetricFamily(f"playhall_events_{name}", meaning, value=value)
        for name, meaning, total in (
            ("delivered", "Events that every listener has.", self._deliverer.delivered_total),
            ("failures", "Calls of listeners that failed.", self._deliverer.failed_total),
        ):
            yield CounterMetricFamily(f"playhall_events_{name}", meaning, value=total)
