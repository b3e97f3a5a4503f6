"""A day as its watchers see it: a snapshot at a version, and the last events. Pure.

What is sent is encoded once, however many watch.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Final

import orjson

from persistence.epochs.store import EpochDay, StoredEpochEvent, StoredSlot
from protocol.epoch_profile import Phase
from protocol.kept_bytes import compact
from server.core.clock import wire_time
from server.domains.compete.epochs.results import format_exact_time
from server.domains.compete.epochs.settlement import CLAIMED, OVERWRITTEN

RECENT_EVENTS_MAX: Final = 1_000
RECENT_BYTES_MAX: Final = 256 * 1024
SEED_BYTES: Final = 8


class EventGap(Exception):
    """An event is not the next one."""


@dataclass(slots=True)
class LiveEpochState:
    """A day at `version`. `recent` holds the last events as they are sent, the oldest first."""

    day: EpochDay
    phase: Phase
    version: int
    slots: list[StoredSlot]
    recent: deque[tuple[int, bytes]] = field(default_factory=deque)
    _recent_bytes: int = 0

    def apply(self, event: StoredEpochEvent) -> bytes:
        """Take the next event; gives it as JSON. Raises `EventGap` for any other."""
        if event.version != self.version + 1:
            raise EventGap(f"version {event.version} after {self.version}")
        self.version = event.version
        if event.type in (CLAIMED, OVERWRITTEN):
            self._claim(event)
        elif event.type == "phase_changed":
            self.phase = orjson.loads(event.payload)["phase"]
        shown = event_json(self.day.epoch_id, event)
        self._remember(event.version, shown)
        return shown

    def since(self, version: int) -> list[bytes] | None:
        """Give the events after a version; None if they are not all remembered, or it never was."""
        if version == self.version:
            return []
        if version > self.version or not self.recent or self.recent[0][0] > version + 1:
            return None
        return [shown for number, shown in self.recent if number > version]

    def snapshot(self, now: datetime) -> dict[str, object]:
        """Show the whole day, as `protocol.epochs.Snapshot` has it."""
        day = self.day
        rules = day.profile.slots.map
        return {
            "epoch_id": day.epoch_id,
            "day": day.day.isoformat(),
            "phase": self.phase,
            "profile": day.profile_key,
            "layout_id": day.profile.world.layout_id,
            "seed": world_seed(day.epoch_id),
            "starts_at": wire_time(day.starts_at),
            "freeze_at": wire_time(day.freeze_at),
            "ends_at": wire_time(day.ends_at),
            "version": self.version,
            "now": wire_time(now),
            "slots": [
                slot_view(slot, rules[slot.slot_index].constraints_id) for slot in self.slots
            ],
        }

    def _claim(self, event: StoredEpochEvent) -> None:
        assert event.slot_index is not None
        self.slots[event.slot_index] = replace_slot(self.slots[event.slot_index], event)

    def _remember(self, version: int, shown: bytes) -> None:
        self.recent.append((version, shown))
        self._recent_bytes += len(shown)
        while len(self.recent) > RECENT_EVENTS_MAX or self._recent_bytes > RECENT_BYTES_MAX:
            self._recent_bytes -= len(self.recent.popleft()[1])


def replace_slot(slot: StoredSlot, event: StoredEpochEvent) -> StoredSlot:
    """Give a slot as a claim leaves it."""
    return slot._replace(
        code=orjson.loads(event.payload)["code"],
        bot_id=event.bot_id,
        bot=event.bot,
        updated_at=event.at,
        version=event.version,
    )


def slot_view(slot: StoredSlot, constraints_id: str) -> dict[str, object]:
    """Show a slot, as `protocol.epochs.Slot` has it."""
    return {
        "slot_index": slot.slot_index,
        "type": slot.slot_type,
        "label": slot.slot_label,
        "constraints_id": constraints_id,
        "code": slot.code,
        "bot_id": slot.bot_id,
        "bot": slot.bot,
        "updated_at": None if slot.updated_at is None else format_exact_time(slot.updated_at),
        "version": slot.version,
    }


def event_view(epoch_id: str, event: StoredEpochEvent) -> dict[str, object]:
    """Show an event, as `protocol.epochs.Event` has it; its time is exact, as in the digest."""
    return {
        "epoch_id": epoch_id,
        "version": event.version,
        "event": event.type,
        "at": format_exact_time(event.at),
        "bot_id": event.bot_id,
        "bot": event.bot,
        "slot_index": event.slot_index,
        "payload": orjson.Fragment(event.payload),
    }


def event_json(epoch_id: str, event: StoredEpochEvent) -> bytes:
    """Write an event as JSON."""
    return compact(orjson.dumps(event_view(epoch_id, event)))  # boards keep recent ones


def take_first_that_fit(
    events: Sequence[StoredEpochEvent], bytes_max: int
) -> Sequence[StoredEpochEvent]:
    """Give as many of the first events as fit, at least one."""
    total = 0
    for count, event in enumerate(events):
        total += len(event.payload)
        if total > bytes_max:
            return events[: max(count, 1)]
    return events


def world_seed(epoch_id: str) -> str:
    """Derive what clients draw a day's world from."""
    return blake2b(epoch_id.encode(), digest_size=SEED_BYTES).hexdigest()
