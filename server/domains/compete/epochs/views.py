"""Days and what they came to, as HTTP shows them. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import asyncpg
import orjson

from persistence.epochs.steps import StoredPayout, StoredSettlement
from persistence.epochs.store import EpochDay, StoredEpochEvent, StoredSlot
from protocol import epochs as wire
from protocol.epoch_profile import Phase
from protocol.epochs import Event
from server.core.clock import wire_time, wire_time_or_none
from server.domains.compete.epochs.board import slot_view
from server.domains.compete.epochs.results import format_decimal, format_exact_time
from server.domains.compete.epochs.settlement import Contribution


def epoch(day: EpochDay) -> wire.Epoch:
    """Show a day."""
    return wire.Epoch(
        epoch_id=day.epoch_id,
        day=day.day.isoformat(),
        phase=day.phase,
        profile=day.profile_key,
        starts_at=wire_time(day.starts_at),
        freeze_at=wire_time(day.freeze_at),
        ends_at=wire_time(day.ends_at),
        frozen_at=wire_time_or_none(day.frozen_at),
        archived_at=wire_time_or_none(day.archived_at),
        version=day.version,
        pool_wei=str(day.pool_wei),
        events_digest=day.events_digest.hex() if day.events_digest else None,
        summary=day.summary_uri,
    )


def slots(day: EpochDay, version: int, phase: Phase, held: Sequence[StoredSlot]) -> wire.Slots:
    """Show what the slots hold."""
    rules = day.profile.slots.map
    shown = [slot_view(slot, rules[slot.slot_index].constraints_id) for slot in held]
    return wire.Slots.model_validate(
        {"epoch_id": day.epoch_id, "version": version, "phase": phase, "slots": shown}
    )


def event(epoch_id: str, stored: StoredEpochEvent) -> Event:
    """Show an event."""
    return Event(
        epoch_id=epoch_id,
        version=stored.version,
        event=stored.type,
        at=format_exact_time(stored.at),
        bot_id=stored.bot_id,
        bot=stored.bot,
        slot_index=stored.slot_index,
        payload=orjson.loads(stored.payload),
    )


def standings(settled: Iterable[Contribution], names: Mapping[str, str]) -> list[wire.Standing]:
    """Show how bots stand, the best first."""
    best_first = sorted(settled, key=lambda one: (-one.raw_score, one.bot_id))
    return [
        wire.Standing(
            bot_id=one.bot_id,
            bot=names.get(one.bot_id),
            occupied_seconds=one.occupied_seconds,
            successful_claims=one.successful_claims,
            defense_seconds=one.defense_seconds,
            vote_quality=format_decimal(one.vote_quality),
            raw_score=format_decimal(one.raw_score),
            share=format_decimal(one.share),
            bps=one.bps,
            amount_wei=str(one.amount_wei),
        )
        for one in best_first
    ]


def payouts(
    epoch_id: str, paid: Iterable[StoredPayout], results: Iterable[StoredSettlement]
) -> wire.Payouts:
    """Show who is paid what, and how it was computed."""
    return wire.Payouts(
        epoch_id=epoch_id,
        payouts=[wire.Payout.model_validate(payout._asdict()) for payout in paid],
        settlements=[
            wire.Settlement(
                number=one.number,
                computed_at=wire_time(one.computed_at),
                computed_by=one.computed_by,
                reason=one.reason,
                events_digest=one.events_digest.hex(),
                result=orjson.loads(one.result),
            )
            for one in results
        ],
    )


def edition(row: asyncpg.Record) -> wire.Edition:
    """Show a day's edition."""
    return wire.Edition(**{**row, "minted_at": wire_time_or_none(row["minted_at"])})
