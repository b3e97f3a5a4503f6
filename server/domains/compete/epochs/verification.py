"""Whether a day is what its events say: versions, slots, digest, result, payouts."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from persistence.epochs.steps import SettlementStore, StoredPayout
from persistence.epochs.store import EpochDay, EpochStore, StoredEpochEvent, StoredSlot
from protocol.ids import EpochId
from server.domains.compete.epochs.board import replace_slot
from server.domains.compete.epochs.results import events_digest, payout_recipient
from server.domains.compete.epochs.settlement import CLAIMED, OVERWRITTEN
from server.domains.compete.epochs.steps import EpochSteps


class DayVerification:
    """Checks days against their events."""

    def __init__(self, days: EpochStore, store: SettlementStore, steps: EpochSteps) -> None:
        self._days = days
        self._store = store
        self._steps = steps

    async def check(self, epoch_id: EpochId) -> list[str]:
        """Say everything that is not as it must be; nothing, where all is right."""
        day = await self._days.read_day(epoch_id)
        head, _, slots = await self._days.read_slots(epoch_id)
        events = [
            event async for event in self._days.iterate_events(epoch_id) if event.version <= head
        ]
        found = [*find_version_faults(events, head), *find_slot_faults(events, slots)]
        if day.events_digest is not None:
            found += find_digest_faults(day, await self._store.read_frozen_events(epoch_id))
        if day.phase in ("settle", "archive"):
            found += await self._steps.verify(epoch_id)
            kept = orjson.loads((await self._store.list_settlements(epoch_id))[0].result)
            found += find_payout_faults(kept["bots"], await self._store.list_payouts(epoch_id))
        return found


def find_version_faults(events: Sequence[StoredEpochEvent], head: int) -> Iterator[str]:
    """Find holes: the versions of a day are 1 to its version."""
    there = {event.version for event in events}
    missing = sorted(set(range(1, head + 1)) - there)
    if missing:
        yield f"versions: {len(missing)} of {head} events are missing, the first is {missing[0]}"


def find_slot_faults(
    events: Sequence[StoredEpochEvent], slots: Sequence[StoredSlot]
) -> Iterator[str]:
    """Fold the claims, and compare with what the slots are said to hold."""
    folded = {
        slot.slot_index: slot._replace(code=None, bot_id=None, bot=None, updated_at=None, version=0)
        for slot in slots
    }
    for event in events:
        if event.type in (CLAIMED, OVERWRITTEN) and event.slot_index in folded:
            folded[event.slot_index] = replace_slot(folded[event.slot_index], event)
    for slot in slots:
        if folded[slot.slot_index] != slot:
            held = f"{slot.code!r} by {slot.bot}"
            yield f"slot {slot.slot_index}: holds {held}, not as its events say"


def find_digest_faults(day: EpochDay, frozen: Sequence[StoredEpochEvent]) -> Iterator[str]:
    """Compare the digest with the events that it was made of."""
    if events_digest(frozen) != day.events_digest:
        yield "events_digest: the events before the freeze are not those that were frozen"


def find_payout_faults(
    bots: Sequence[dict[str, Any]], payouts: Sequence[StoredPayout]
) -> Iterator[str]:
    """Compare who is paid what, and to which address, with the result in force."""
    due = {str(bot["bot_id"]): _due(bot) for bot in bots if bot["bps"]}
    paid = {str(one.bot_id): (one.bps, one.amount_wei, one.recipient_address) for one in payouts}
    for bot_id in sorted(due.keys() | paid.keys()):
        if due.get(bot_id) != paid.get(bot_id):
            yield f"payout of {bot_id}: {paid.get(bot_id)}, and the result says {due.get(bot_id)}"


def _due(bot: dict[str, Any]) -> tuple[int, str, str]:
    return bot["bps"], bot["amount_wei"], payout_recipient(bot["recipient"])
