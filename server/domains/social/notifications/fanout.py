"""Notifying many people of one thing: followers of a creation, everybody of an announcement.

A durable event only begins it, since its listeners have little time and may be called again. The
job works through people in batches, on whichever node is free. What fails rests and lets the others
go first; after `ATTEMPTS_MAX` failures in a row, about an hour, it is parked: operators see it, and
have it tried again (`playhall social fanouts`).
"""

import asyncio
import logging
import random
from typing import Final

from persistence.notifications.fanout import FanoutFailed, FanoutStore, OpenFanouts
from protocol.domain_events import CreationPublished
from server.core.containment import FAILURES
from server.core.event_delivery import EventDelivery, retry_delay
from server.core.periodic import repeat_every

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0
BATCHES_MAX: Final = 1000  # of a sweep
ATTEMPTS_MAX: Final = 12


class NotificationFanout:
    """Begins and continues fan-outs."""

    def __init__(self, store: FanoutStore, *, batch_people: int) -> None:
        self._store = store
        self._batch_people = batch_people
        self.notified_total = 0
        self.failed_total = 0
        self.counted = OpenFanouts(0, 0, 0)

    async def begin_creation(self, delivery: EventDelivery) -> None:
        """Begin to notify followers of a creation; called again, it changes nothing."""
        assert isinstance(delivery.event, CreationPublished)
        await self._store.begin_creation(delivery.event.creation_id)

    async def run(self) -> None:
        """Notify people until cancelled."""
        await repeat_every(EVERY_S, self.notify_all, "notifying people")

    async def notify_all(self) -> None:
        """Notify everybody of what is due, up to a bound."""
        self.counted = await self._store.count_open()
        for _ in range(BATCHES_MAX if self.counted.open else 0):
            try:
                batch = await self._store.notify_batch(limit=self._batch_people)
            except FanoutFailed as failed:
                await self._note_failure(failed)
                continue
            if batch is None:
                break
            self.notified_total += batch.notified
            await asyncio.sleep(0)

    async def _note_failure(self, failed: FanoutFailed) -> None:
        """Have something rest, or park it, so that it does not hold up what comes after it."""
        self.failed_total += 1
        FAILURES.total += 1
        attempts, error = failed.attempts + 1, repr(failed.__cause__)
        is_parked = attempts >= ATTEMPTS_MAX
        if attempts == 1 or is_parked:  # at length the first time and the last
            log.error(
                "%s, attempt %d of %d failed: %s",
                *(failed.fanout_id, attempts, ATTEMPTS_MAX, error),
                exc_info=failed,
            )
        await self._store.note_failure(
            failed,
            error=error,
            pause_s=retry_delay(attempts, random.random()),  # noqa: S311 - only spreads
            is_parked=is_parked,
        )
