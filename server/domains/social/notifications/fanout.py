"""Notifying many people of one thing: followers of a creation, everybody of an announcement.

A durable event only begins it, since its listeners have little time and may be called again. The
job works through people in batches, on whichever node is free.
"""

import asyncio
from typing import Final

from persistence.notifications.fanout import FanoutStore
from protocol.domain_events import CreationPublished
from server.core.event_delivery import EventDelivery
from server.core.periodic import repeat_every

EVERY_S: Final = 1.0
BATCHES_MAX: Final = 1000  # of a sweep


class NotificationFanout:
    """Begins and continues fan-outs."""

    def __init__(self, store: FanoutStore, *, batch_people: int) -> None:
        self._store = store
        self._batch_people = batch_people
        self.notified_total = 0
        self.open = 0

    async def begin_creation(self, delivery: EventDelivery) -> None:
        """Begin to notify followers of a creation; called again, it changes nothing."""
        assert isinstance(delivery.event, CreationPublished)
        await self._store.begin_creation(delivery.event.creation_id)

    async def run(self) -> None:
        """Notify people until cancelled."""
        await repeat_every(EVERY_S, self.notify_all, "notifying people")

    async def notify_all(self) -> None:
        """Notify everybody of what is due, up to a bound."""
        self.open = await self._store.count_open()
        for _ in range(BATCHES_MAX if self.open else 0):
            batch = await self._store.notify_batch(limit=self._batch_people)
            if batch is None:
                break
            self.notified_total += batch.notified
            await asyncio.sleep(0)
