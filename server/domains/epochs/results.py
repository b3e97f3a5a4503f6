"""What a settlement publishes, and whether one computed again is the same. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from persistence.epochs import Day, StoredEvent
from persistence.epochsteps import Share
from protocol.ids import BotId
from server.domains.epochs.digest import as_settled, digest_of, exact_time
from server.domains.epochs.settlement import Contribution, settle


def contributions(
    day: Day, events: Sequence[StoredEvent], *, now: datetime | None = None
) -> list[Contribution]:
    """Settle a day by its profile; one that is not frozen, as if it ended now."""
    frozen_at = day.frozen_at or min(now or day.freeze_at, day.freeze_at)
    rules = day.profile.settlement
    counted = map(as_settled, events)
    return settle(counted, frozen_at=frozen_at, rules=rules, pool_wei=day.pool_wei)


def computed(day: Day, events: Sequence[StoredEvent]) -> tuple[bytes, list[Contribution]]:
    """Give the digest of a day's events and what they come to.

    50,000 events take a second, so whoever has an event loop calls it in a thread.
    """
    return digest_of(events), contributions(day, events)


def shares(settled: Sequence[Contribution], owners: Mapping[BotId, str]) -> list[Share]:
    """Join what bots did with who owned them at the freeze."""
    return [
        Share(
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


def result_of(day: Day, digest: bytes, published: Sequence[Share]) -> dict[str, Any]:
    """Write a result as it is kept: plain data, numbers that are not whole as text."""
    return {
        "day": day.day.isoformat(),
        "profile": day.profile_key,
        "frozen_at": exact_time(day.frozen_at) if day.frozen_at else None,
        "events_digest": digest.hex(),
        "pool_wei": str(day.pool_wei),
        "bots": [_bot(share) for share in published],
    }


def differences(kept: Mapping[str, Any], computed: Mapping[str, Any]) -> list[str]:
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


def plain(number: Decimal) -> str:
    """Write a number without an exponent."""
    return format(number, "f")


def _bot(share: Share) -> dict[str, Any]:
    return {
        "bot_id": share.bot_id,
        "occupied_seconds": share.occupied_seconds,
        "successful_claims": share.successful_claims,
        "defense_seconds": share.defense_seconds,
        "vote_quality": plain(share.vote_quality),
        "raw_score": plain(share.raw_score),
        "share": plain(share.share),
        "bps": share.bps,
        "amount_wei": str(share.amount_wei),
        "recipient": share.recipient,
    }
