"""What is done when a day enters each phase. Each step is one transaction, safe to repeat.

live      nothing but the phase: claims and votes are taken
freeze    the digest of all events so far
snapshot  what the slots hold at last, as an event
settle    contributions and payouts, to the owners at the freeze
archive   the summary and each bot's figures, in the store of objects; the edition
"""

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from persistence.epochs.steps import HeldDay, SettlementStore
from persistence.epochs.store import EpochStore
from persistence.errors import StartRefused
from protocol.codec import validate
from protocol.epoch_profile import EpochProfile, Phase
from protocol.epochs import AlreadyPaid, EpochNotSettled
from protocol.errors import InvalidField
from protocol.ids import BotId, EpochId
from server.domains.compete.epochs.phases import DayTimes, due_phase
from server.domains.compete.epochs.results import (
    bot_key,
    bot_uri,
    build_bot_stats,
    build_summary,
    compute_result,
    contributions_with_owners,
    events_digest,
    plan_payouts,
    result_differences,
    result_to_json,
    summary_key,
    summary_uri,
)
from server.domains.compete.epochs.rules import validate_profile


async def require_profiles(days: EpochStore) -> None:
    """Raise `StartRefused` if a day could not be made or finished by its rules.

    They were checked when they were stored, but perhaps on a machine that knows more time zones.
    """
    for key, config in await days.list_profiles_in_use():
        try:
            validate_profile(validate(EpochProfile, orjson.loads(config)))
        except InvalidField as error:
            raise StartRefused(
                f"The epochs' profile {key!r} cannot be used here. {error.message} "
                "Choose another with `playhall epoch profiles --activate KEY`, install a newer "
                "tzdata if it does not know the time zone, or set PLAYHALL_EPOCHS=false to serve "
                "without epochs."
            ) from error


# Which address owned each bot at a moment; those of which that is not known are left out.
OwnersAt = Callable[[Collection[BotId], datetime], Awaitable[Mapping[BotId, str]]]
# Whether everything that happened to owners until a moment has been heard of.
OwnersKnown = Callable[[datetime], Awaitable[bool]]
Result = Mapping[str, Any]
Put = Callable[[str, bytes], Awaitable[None]]
Committed = Callable[[EpochId], None]


def ignore_announcement(_: EpochId) -> None:
    """Notify nobody that a step was taken: nodes find it when they poll."""


class EpochSteps:
    """Advances days. `put` writes an object; `node` is named in results.

    `committed` is called with each day whose log has grown.
    """

    def __init__(
        self,
        store: SettlementStore,
        days: EpochStore,
        *,
        owners_at: OwnersAt,
        owners_known: OwnersKnown,
        put: Put,
        node: str,
        committed: Committed = ignore_announcement,
    ) -> None:
        self._store = store
        self._days = days
        self._owners_at = owners_at
        self._owners_known = owners_known
        self._put = put
        self._node = node
        self._committed = committed

    async def advance(self, epoch_id: EpochId) -> Phase | None:
        """Take the day's next step if it is due; gives the phase that it entered."""
        async with self._store.lock_day(epoch_id) as step:
            day = step.day
            times = DayTimes(day.starts_at, day.starts_at, day.freeze_at, day.ends_at)
            phase = due_phase(day.phase, times, step.now)
            if phase is None or not await self._do(phase, step):
                return None
            await step.enter_phase(phase)
        self._committed(epoch_id)
        return phase

    async def recompute(self, epoch_id: EpochId, *, by: str, reason: str) -> int:
        """Settle a settled day again, on record; gives the number of the new result."""
        async with self._store.lock_day(epoch_id) as step:
            if step.day.phase not in ("settle", "archive"):
                raise EpochNotSettled
            number, result = await self._settle(step, by=by, reason=reason)
            await step.append_event("recomputed", {"number": number})
            await step.record_audit_entry(by, "recompute", {"number": number, "reason": reason})
            if step.day.phase == "archive":
                await self._archive(step, number, result)
        self._committed(epoch_id)
        return number

    async def verify(self, epoch_id: EpochId) -> list[str]:
        """Compute a settled day again from its events; says where the result in force differs."""
        kept = await self._store.list_settlements(epoch_id)
        if not kept:
            raise EpochNotSettled
        day = await self._days.read_day(epoch_id)
        events = await self._store.read_frozen_events(epoch_id)
        digest, settled = await to_thread(compute_result, day, events)
        owners = await self._owners_of([BotId(one.bot_id) for one in settled], day.frozen_at)
        again = result_to_json(day, digest, contributions_with_owners(settled, owners))
        return result_differences(orjson.loads(kept[0].result), again)

    # ------------------------------------------------------------------ the phases

    async def _do(self, phase: Phase, step: HeldDay) -> bool:
        """Do what a phase begins with; False if it cannot begin yet."""
        if phase == "freeze":
            await step.freeze(await to_thread(events_digest, await step.read_frozen_events()))
        elif phase == "snapshot":
            await self._snapshot(step)
        elif phase == "settle":
            if not await self._owners_known(step.day.freeze_at):
                return False
            number, _ = await self._settle(step, by=self._node, reason="")
            await step.append_event("settled", {"number": number})
        elif phase == "archive":
            (settled, *_) = await self._store.list_settlements(step.day.epoch_id)
            await self._archive(step, settled.number, orjson.loads(settled.result))
        return True

    async def _snapshot(self, step: HeldDay) -> None:
        """Put on the log what the slots hold at last: the day can be checked from it alone."""
        _, _, slots = await self._days.read_slots(step.day.epoch_id)
        held = [
            {"slot_index": slot.slot_index, "bot_id": slot.bot_id, "code": slot.code}
            for slot in slots
        ]
        await step.append_event("snapshot", {"slots": held})

    async def _settle(self, step: HeldDay, *, by: str, reason: str) -> tuple[int, Result]:
        """Publish a result in place of an earlier one; raise `AlreadyPaid` once money has left."""
        if await step.is_paid():
            raise AlreadyPaid
        events = await step.read_frozen_events()
        digest, settled = await to_thread(compute_result, step.day, events)
        owners = await self._owners_of([BotId(one.bot_id) for one in settled], step.day.frozen_at)
        published = contributions_with_owners(settled, owners)
        result = result_to_json(step.day, digest, published)
        number = await step.publish_settlement(
            published, plan_payouts(published), digest=digest, by=by, reason=reason, result=result
        )
        return number, result

    async def _archive(self, step: HeldDay, number: int, result: Result) -> None:
        """Write what stays; the objects first, since one too many does no harm."""
        day = step.day
        _, _, slots = await self._days.read_slots(day.epoch_id)
        bots: Sequence[dict[str, Any]] = result["bots"]
        names = await self._store.read_bot_slugs([bot["bot_id"] for bot in bots])
        summary = build_summary(day, slots=slots, number=number, result=result, names=names)
        await self._put(summary_key(day, number), summary)
        for bot in bots:
            stats, key = build_bot_stats(day, bot), bot_key(day, bot["bot_id"], number)
            await self._put(key, stats)
            await step.record_stats(
                BotId(bot["bot_id"]), bot_uri(day, bot["bot_id"], number), stats
            )
        uri = summary_uri(day)
        await step.link_summary(uri)
        await step.announce_edition(uri)

    async def _owners_of(
        self, bots: Collection[BotId], frozen_at: datetime | None
    ) -> Mapping[BotId, str]:
        assert frozen_at is not None, "a day is frozen before it is settled"
        return await self._owners_at(bots, frozen_at) if bots else {}
