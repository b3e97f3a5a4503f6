"""Who advances the days: one node at a time, in order, also after an outage.

The lead only saves work. Each step looks again, under the day's lock, whether it is due, so
two leaders would do no harm.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from persistence.epochs.steps import SettlementStore
from persistence.epochs.store import EpochStore, NewDay
from protocol.epochs import EpochsOverlap
from protocol.errors import PlayhallError
from protocol.ids import EpochId
from server.core.clock import wire_time
from server.core.containment import log_failure
from server.core.periodic import AWAY, repeat_every
from server.domains.compete.epochs.phases import ORDER, DayTimes, next_day
from server.domains.compete.epochs.steps import EpochSteps

log = logging.getLogger(__name__)

TICK_S: Final = 1.0
LEASE_S: Final = 5.0
NEXT: Final = "the next epoch"
MADE_AT_ONCE: Final = 2  # the present day, and the one after it


class Scheduler:
    """Makes the days that are announced, and takes every step that is due."""

    def __init__(
        self, days: EpochStore, store: SettlementStore, steps: EpochSteps, *, node: str
    ) -> None:
        self._days = days
        self._store = store
        self._steps = steps
        self._node = node
        self._errors: dict[str, str] = {}  # of what does not advance: what was logged
        self.leads = False
        self.steps_total = 0

    @property
    def count_stuck_days(self) -> int:
        """Count the days that do not advance."""
        return len(self._errors)

    async def run(self) -> None:
        """Tick for as long as the server lives; then let another node lead at once."""
        try:
            await repeat_every(TICK_S, self._tick_if_leading, "epochs", at_once=True)
        finally:
            await self._resign()

    async def tick(self) -> int:
        """Make today's day and take every step that is due; says how many were taken."""
        with self._noting(NEXT):
            await self._make_days()
        taken, unfinished = 0, await self._store.list_unfinished()
        self._keep_trouble_of(unfinished)
        for epoch_id in unfinished:
            taken += await self._advance(epoch_id)
        return taken

    async def _tick_if_leading(self) -> None:
        self.leads = await self._store.take_lead(self._node, lease_s=LEASE_S)
        if self.leads:
            await self.tick()
        else:
            self._errors.clear()  # it is the leader's now to count

    async def _resign(self) -> None:
        leads, self.leads = self.leads, False
        try:
            if leads:
                await self._store.resign_lead(self._node)
        except PlayhallError as error:
            log.warning("another node becomes leader only after %d s: %s", LEASE_S, error.message)

    async def _make_days(self) -> None:
        """Make the day that should be on, and the next one once it is announced."""
        kept = await self._days.read_active_profile()
        if kept is None:
            return
        now, profile = await self._days.now(), kept.profile
        for _ in range(MADE_AT_ONCE):
            before, after = await self._days.read_neighbour_days(now)
            planned = next_day(now, profile.cadence, before=before, after=after)
            if planned is None or now < planned.times.prep_at:
                return
            day, times = planned.day, planned.times
            new = NewDay(
                day, kept.profile_id, times.starts_at, times.freeze_at, times.ends_at, profile
            )
            try:
                if await self._days.create_day(new) is None:
                    return  # there is one of this date, from a rehearsal or an import
            except EpochsOverlap:
                return  # another leader made a day meanwhile: the next tick plans from that
            log.info("epoch %s: made%s", day, "" if planned.is_usual else _fitted(times))

    async def _advance(self, epoch_id: EpochId) -> int:
        """Take every due step of one day; its failure keeps no other day waiting."""
        taken = 0
        with self._noting(_named(epoch_id)):
            for _ in ORDER:
                phase = await self._steps.advance(epoch_id)
                if phase is None:
                    break
                taken += 1
                self.steps_total += 1
                log.info("epoch %s: %s", epoch_id, phase)
        return taken

    def _keep_trouble_of(self, unfinished: Iterable[EpochId]) -> None:
        """Forget that of days that were finished by another leader or from the command line."""
        kept = {NEXT, *map(_named, unfinished)}
        self._errors = {what: why for what, why in self._errors.items() if what in kept}

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Log what goes wrong, once, and count it as stuck until it goes right."""
        try:
            yield
        except AWAY:
            raise
        except Exception as error:
            if self._errors.get(what) != repr(error):
                log_failure(f"advancing {what}")
            self._errors[what] = repr(error)
        else:
            self._errors.pop(what, None)


def _fitted(times: DayTimes) -> str:
    """Say how long a day is that could not have its usual times; this is logged once a change."""
    hours = (times.ends_at - times.starts_at) / timedelta(hours=1)
    return (
        f", from {wire_time(times.starts_at)} to {wire_time(times.ends_at)} ({hours:g} hours), "
        "so that it follows the day before it"
    )


def _named(epoch_id: EpochId) -> str:
    return f"epoch {epoch_id}"
