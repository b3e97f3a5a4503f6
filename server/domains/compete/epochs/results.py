"""What a settlement publishes: the digest, the result and the summary of a day. Pure.

    SHA-256 over one line an event, in the order of their versions: JSON with sorted keys,
    {"at", "bot_id", "event", "payload", "slot_index", "version"}, `at` in UTC with microseconds,
    and a line feed.

It covers what everybody may read, so everybody can compute it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

import orjson

from persistence.epochs.steps import BotShare, NewPayout
from persistence.epochs.store import EpochDay, StoredEpochEvent, StoredSlot
from protocol.ids import BotId
from server.domains.compete.epochs.settlement import VOTE_CAST, Contribution, EpochEvent, settle_day


def events_digest(events: Iterable[StoredEpochEvent]) -> bytes:
    """Give the digest of events, in whatever order they come."""
    summed = sha256()
    for event in sorted(events, key=lambda event: event.version):
        summed.update(orjson.dumps(_line(event), option=orjson.OPT_SORT_KEYS))
        summed.update(b"\n")
    return summed.digest()


def to_epoch_event(event: StoredEpochEvent) -> EpochEvent:
    """Read an event as settlement needs it; a voter is known by the ballot."""
    # Of a claim nothing more is needed, and all the code of a day would be read for nothing.
    payload: dict[str, object] = orjson.loads(event.payload) if event.type == VOTE_CAST else {}
    return EpochEvent(
        version=event.version,
        type=event.type,
        occurred_at=event.at,
        bot_id=event.bot_id,
        voter=str(payload["ballot"]) if event.type == VOTE_CAST else None,
        slot_index=event.slot_index,
        payload=payload,
    )


def _line(event: StoredEpochEvent) -> dict[str, object]:
    return {
        "version": event.version,
        "event": event.type,
        "at": format_exact_time(event.at),
        "bot_id": event.bot_id,
        "slot_index": event.slot_index,
        "payload": orjson.loads(event.payload),
    }


def format_exact_time(at: datetime) -> str:
    """Write a time in UTC with its microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def settle_contributions(
    day: EpochDay, events: Sequence[StoredEpochEvent], *, now: datetime | None = None
) -> list[Contribution]:
    """Settle a day by its profile; one that is not frozen, as if it ended now."""
    frozen_at = day.frozen_at or min(now or day.freeze_at, day.freeze_at)
    rules = day.profile.settlement
    counted = map(to_epoch_event, events)
    return settle_day(counted, frozen_at=frozen_at, rules=rules, pool_wei=day.pool_wei)


def compute_result(
    day: EpochDay, events: Sequence[StoredEpochEvent]
) -> tuple[bytes, list[Contribution]]:
    """Give the digest of a day's events and what they come to.

    50,000 events take a second, so whoever has an event loop calls it in a thread.
    """
    return events_digest(events), settle_contributions(day, events)


NOBODY: Final = "0x" + "0" * 40  # the recipient of what a bot earned whose owner is not known


def payout_recipient(owner: str | None) -> str:
    """Say whom a payout is to; nobody, where the owner is not known."""
    return owner or NOBODY


def plan_payouts(shares: Iterable[BotShare]) -> list[NewPayout]:
    """Draw up what is paid; a payout whose owner is not known has failed before it began."""
    return [
        NewPayout(
            bot_id=share.bot_id,
            recipient_address=payout_recipient(share.recipient),
            bps=share.bps,
            amount_wei=Decimal(share.amount_wei),
            status="failed" if share.recipient is None else "pending",
        )
        for share in shares
        if share.bps
    ]


def contributions_with_owners(
    settled: Sequence[Contribution], owners: Mapping[BotId, str]
) -> list[BotShare]:
    """Join what bots did with who owned them at the freeze."""
    return [
        BotShare(
            bot_id=BotId(one.bot_id),
            occupied_seconds=one.occupied_seconds,
            successful_claims=one.successful_claims,
            defense_seconds=one.defense_seconds,
            vote_quality=one.vote_quality,
            raw_score=one.raw_score,
            share=one.share,
            bps=one.bps,
            amount_wei=one.amount_wei,
            recipient=owners.get(BotId(one.bot_id)),
        )
        for one in settled
    ]


def result_to_json(day: EpochDay, digest: bytes, published: Sequence[BotShare]) -> dict[str, Any]:
    """Write a result as it is kept: plain data, numbers that are not whole as text."""
    return {
        "day": day.day.isoformat(),
        "profile": day.profile_key,
        "frozen_at": format_exact_time(day.frozen_at) if day.frozen_at else None,
        "events_digest": digest.hex(),
        "pool_wei": str(day.pool_wei),
        "bots": [_bot(share) for share in published],
    }


def result_differences(kept: Mapping[str, Any], computed: Mapping[str, Any]) -> list[str]:
    """Say where two results differ; nothing, where they are the same."""
    found = [
        f"{name}: kept {kept.get(name)}, computed {computed.get(name)}"
        for name in ("day", "profile", "frozen_at", "events_digest", "pool_wei")
        if kept.get(name) != computed.get(name)
    ]
    before = {bot["bot_id"]: bot for bot in kept.get("bots", [])}
    after = {bot["bot_id"]: bot for bot in computed["bots"]}
    found += [
        f"{bot_id}: kept {before.get(bot_id)}, computed {after.get(bot_id)}"
        for bot_id in sorted(before.keys() | after.keys())
        if before.get(bot_id) != after.get(bot_id)
    ]
    return found


def format_decimal(number: Decimal) -> str:
    """Write a number without an exponent."""
    return format(number, "f")


def _bot(share: BotShare) -> dict[str, Any]:
    return {
        "bot_id": share.bot_id,
        "occupied_seconds": share.occupied_seconds,
        "successful_claims": share.successful_claims,
        "defense_seconds": share.defense_seconds,
        "vote_quality": format_decimal(share.vote_quality),
        "raw_score": format_decimal(share.raw_score),
        "share": format_decimal(share.share),
        "bps": share.bps,
        "amount_wei": str(share.amount_wei),
        "recipient": share.recipient,
    }


def summary_key(day: EpochDay, number: int) -> str:
    """Say where the summary of a day's result is kept."""
    return f"epochs/{day.epoch_id}/summary-{number}.json"


def bot_key(day: EpochDay, bot_id: str, number: int) -> str:
    """Say where a bot's figures of a day are kept."""
    return f"epochs/{day.epoch_id}/bots/{bot_id}-{number}.json"


def summary_uri(day: EpochDay) -> str:
    """Say at which address the summary of a day is read."""
    return f"/v1/epochs/{day.epoch_id}/summary"


def bot_uri(day: EpochDay, bot_id: str, number: int) -> str:
    """Say at which address a bot's figures of a day's result are read."""
    return f"/v1/epochs/{day.epoch_id}/bots/{bot_id}?result={number}"


def build_summary(
    day: EpochDay,
    *,
    slots: Sequence[StoredSlot],
    number: int,
    result: Mapping[str, Any],
    names: Mapping[str, str],
) -> bytes:
    """Write a day's summary: its rules, what the slots held at last, and what it came to."""
    document = {
        "epoch_id": day.epoch_id,
        "day": day.day.isoformat(),
        "profile": day.profile_key,
        "starts_at": format_exact_time(day.starts_at),
        "freeze_at": format_exact_time(day.freeze_at),
        "ends_at": format_exact_time(day.ends_at),
        "slots": [_slot(slot) for slot in slots],
        "settlement": {
            **result,
            "number": number,
            "bots": [{**bot, "bot": names.get(bot["bot_id"])} for bot in result["bots"]],
        },
    }
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def build_bot_stats(day: EpochDay, bot: Mapping[str, Any]) -> bytes:
    """Write what one bot did in a day."""
    document = {"epoch_id": day.epoch_id, "day": day.day.isoformat(), **bot}
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def _slot(slot: StoredSlot) -> dict[str, object]:
    return {
        "slot_index": slot.slot_index,
        "type": slot.slot_type,
        "label": slot.slot_label,
        "code": slot.code,
        "bot": slot.bot,
    }
