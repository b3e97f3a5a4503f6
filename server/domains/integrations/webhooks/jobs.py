"""Sending: what is due goes out, several at once, and none waits for a slow receiver.

A delivery is claimed for longer than a request may take. So a node that dies while it sends leaves
it to another, and a receiver may get it twice, with the same `webhook-id`.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from persistence.sealing import Seal, Unsealable
from persistence.webhooks.store import (
    ClaimedDelivery,
    DeliveryFailure,
    QueuedEvent,
    WebhookBacklog,
    WebhookStore,
)
from server.core.clock import Clock
from server.core.event_delivery import EventDelivery
from server.core.periodic import AWAY, repeat_every
from server.core.tasks import Tasks
from server.domains.integrations.webhooks.rules import (
    FAILING_S_MAX,
    build_body,
    retry_delay,
    signed_headers,
)
from server.domains.integrations.webhooks.sender import TIMEOUT_S, WebhookSender
from server.domains.integrations.webhooks.service import secret_context

log = logging.getLogger(__name__)

POLL_EVERY_S: Final = 1.0
LEASE_S: Final = 3 * TIMEOUT_S
AT_ONCE_EACH: Final = 8  # requests under way to one webhook, after which it gets no more
AT_ONCE_MAX: Final = 200  # of this node, to all webhooks
TEND_EVERY_S: Final = 60.0


class WebhookDeliverer:
    """Queues events as deliveries, and sends what is due; every node does both."""

    def __init__(
        self,
        *,
        store: WebhookStore,
        seal: Seal,
        clock: Clock,
        tasks: Tasks,
        may_be_private: bool,
    ) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock
        self._tasks = tasks
        self._may_be_private = may_be_private
        self._under_way: Counter[str] = Counter()  # by webhook
        self._ended = asyncio.Event()  # some request has
        self._tended_at = clock.monotonic()
        self.backlog = WebhookBacklog()
        self.delivered_total = 0
        self.failed_total = 0
        self.dead_total = 0

    @property
    def in_flight(self) -> int:
        """How many requests of this node are under way."""
        return self._under_way.total()

    async def queue(self, delivery: EventDelivery) -> None:
        """Queue an event for every webhook that wants it: a listener of durable events."""
        await self.queue_all([delivery])

    async def queue_all(self, deliveries: Sequence[EventDelivery]) -> list[str]:
        """Queue many events at once; give their ids."""
        events = [
            QueuedEvent(
                delivery.event_id,
                delivery.event.name,
                delivery.event.version,
                delivery.event.model_dump_json().encode(),
                delivery.occurred_at,
            )
            for delivery in deliveries
        ]
        await self._store.queue_events(events)
        return [delivery.event_id for delivery in deliveries]

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        async with WebhookSender.opened(may_be_private=self._may_be_private) as sender:
            await repeat_every(POLL_EVERY_S, lambda: self.poll(sender), "sending webhooks")

    async def poll(self, sender: WebhookSender) -> None:
        """Send everything that is due now; requests may still be under way at the end."""
        while await self._start_some(sender):
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_EVERY_S):
                    await self._ended.wait()
            await self._tend_sometimes()
        await self._tend_sometimes()

    async def maintain(self) -> None:
        """Count what waits."""
        self.backlog = await self._store.count_backlog()

    async def _tend_sometimes(self) -> None:
        if self._clock.monotonic() - self._tended_at >= TEND_EVERY_S:
            self._tended_at = self._clock.monotonic()
            await self.maintain()

    async def _start_some(self, sender: WebhookSender) -> bool:
        """Begin to send what is due and has room; False if nothing is due or waits for room."""
        self._ended.clear()
        busy = [each for each, count in self._under_way.items() if count >= AT_ONCE_EACH]
        claimed = await self._store.claim_due(
            busy=busy,
            limit_each=AT_ONCE_EACH,
            limit=AT_ONCE_MAX - self.in_flight,
            lease_s=LEASE_S,
        )
        for delivery in claimed:
            self._under_way[delivery.endpoint_id] += 1
            self._tasks.start_work(self._deliver(sender, delivery), name="webhook delivery")
        return bool(claimed or busy)

    async def _deliver(self, sender: WebhookSender, delivery: ClaimedDelivery) -> None:
        try:
            outcome = await self._send(sender, delivery)
            if isinstance(outcome, DeliveryFailure):
                await self._failed(delivery, outcome)
            else:
                self.delivered_total += 1
                await self._store.record_delivered(delivery, outcome)
        except AWAY as error:  # how it went is not noted, so it is sent again after its lease
            log.warning("a delivery to webhook %s: %s", delivery.endpoint_id, error.message)
        finally:
            self._under_way[delivery.endpoint_id] -= 1
            self._under_way += Counter()  # drops those that are at zero
            self._ended.set()

    async def _send(
        self, sender: WebhookSender, delivery: ClaimedDelivery
    ) -> int | DeliveryFailure:
        if not (keys := self._keys_of(delivery)):
            return DeliveryFailure(None, "its secret cannot be opened any more; rotate it")
        body = build_body(delivery.name, delivery.version, delivery.payload, delivery.occurred_at)
        headers = signed_headers(
            body,
            event_id=delivery.event_id,
            timestamp_s=self._clock.now_ms() // 1000,
            keys=keys,
        )
        return await sender.send(delivery.url, body, headers)

    def _keys_of(self, delivery: ClaimedDelivery) -> list[bytes]:
        """Open what a delivery is signed with; a secret whose key is lost is left out."""
        keys, about = [], secret_context(delivery.endpoint_id)
        for sealed in (delivery.secret, delivery.previous_secret):
            if sealed is not None:
                with suppress(Unsealable):
                    keys.append(self._seal.open(sealed, about=about))
        return keys

    async def _failed(self, delivery: ClaimedDelivery, failure: DeliveryFailure) -> None:
        chance = random.random()  # noqa: S311 - only spreads
        pause_s = None if failure.is_gone else retry_delay(delivery.attempts, chance)
        self.failed_total += 1
        self.dead_total += pause_s is None
        disabled = await self._store.record_failure(
            delivery,
            failure,
            pause_s=pause_s or 0.0,
            is_dead=pause_s is None,
            failing_s_max=FAILING_S_MAX,
        )
        if disabled is not None:
            log.warning("webhook %s is disabled: %s", delivery.endpoint_id, disabled)
