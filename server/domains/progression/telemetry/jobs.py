"""Maintenance: days are made ahead, and what is older than its type is kept is deleted.

Every node has these jobs. Making a partition is safe on several nodes at once; dropping and
deleting is done by one of them at a time, which holds a lock of the database meanwhile.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from persistence.telemetry.forwards import ForwardStore
from persistence.telemetry.schemas import NewTelemetrySchema, TelemetrySchemaStore
from persistence.telemetry.store import TelemetryStore, TypeRetention
from server.core.clock import Clock
from server.core.periodic import repeat_every
from server.domains.progression.telemetry.builtin import BUILT_IN
from server.domains.progression.telemetry.forwarding import TelemetryForwarder
from server.domains.progression.telemetry.rules import smallest_id_at
from server.domains.progression.telemetry.schemas import TelemetrySchemaRegistry
from server.domains.progression.telemetry.service import TelemetryService

log = logging.getLogger(__name__)

MAINTAIN_EVERY_S: Final = 600.0
DAYS_AHEAD: Final = 3
# Events are deleted by the hour, so that no statement takes long.
CLEARING_STEP: Final = timedelta(hours=1)
STEPS_AT_ONCE_MAX: Final = 2000


class TelemetryMaintenance:
    """Keeps the tables of telemetry in shape."""

    def __init__(
        self,
        *,
        store: TelemetryStore,
        forwards: ForwardStore,
        schemas: TelemetrySchemaStore,
        registry: TelemetrySchemaRegistry,
        service: TelemetryService,
        clock: Clock,
        forwarder: TelemetryForwarder,
    ) -> None:
        self._store = store
        self._forwards = forwards
        self._schemas = schemas
        self._registry = registry
        self._service = service
        self._clock = clock
        self._forwarder = forwarder
        self.dropped_total = 0
        self.deleted_total = 0

    async def prepare_types_and_partitions(self) -> None:
        """Know the types, and have partitions, before the first event comes."""
        for each in BUILT_IN:
            await self._schemas.add_missing(
                NewTelemetrySchema(each.event_type, 1, each.schema, each.purpose, each.kept_days)
            )
        await self._registry.reload()
        await self._make_days()

    async def run(self) -> None:
        """Do it again and again, until cancelled."""
        await repeat_every(MAINTAIN_EVERY_S, self.run_once, "maintenance of telemetry")

    async def run_once(self) -> None:
        """Do all of it once."""
        await self._registry.reload()
        await self._make_days()
        self._service.letters = await self._store.count_dead_letters()
        self._forwarder.waiting = await self._forwards.count_waiting()

    async def clear_events(self, *, limit: int) -> int:
        """Delete events that are older than their types are kept; says how many.

        One node does it at a time. Days that are dropped whole are not counted.
        """
        before = self.deleted_total
        async with self._store.lead_partitions() as is_leader:
            if is_leader:
                await self._drop_days()
                for kept in await self._store.list_retention():
                    await self._clear(kept)
        return self.deleted_total - before

    async def _make_days(self) -> None:
        today = self._clock.now().date()
        await self._store.create_partitions(
            [today + timedelta(days=ahead) for ahead in range(-1, DAYS_AHEAD + 1)]
        )

    async def _drop_days(self) -> None:
        if kept_days := self._registry.kept_days_max:
            before = (self._clock.now() - timedelta(days=kept_days)).date()
            self.dropped_total += await self._store.drop_partitions(before)

    async def _clear(self, kept: TypeRetention) -> None:
        """Delete a type's events that are older than it is kept, from where that was left off."""
        end = self._clock.now() - timedelta(days=kept.kept_days)
        first_day = await self._store.read_first_day()
        if first_day is None:
            return
        start = datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)
        if kept.cleared_before is not None:
            start = max(start, kept.cleared_before)
        for _ in range(STEPS_AT_ONCE_MAX):
            if start >= end:
                break
            until = min(start + CLEARING_STEP, end)
            self.deleted_total += await self._store.delete_type_events(
                kept.event_type, _id_at(start), _id_at(until)
            )
            start = until
        await self._store.record_cleared(kept, min(start, end))


def _id_at(moment: datetime) -> str:
    return smallest_id_at(int(moment.timestamp() * 1000))
