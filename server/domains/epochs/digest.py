"""The digest of a day's frozen events, and the same events as settlement reads them. Pure.

    SHA-256 over one line an event, in the order of their versions: JSON with sorted keys,
    {"at", "bot_id", "event", "payload", "slot_index", "version"}, `at` in UTC with microseconds,
    and a line feed.

It covers what everybody may read, so everybody can compute it.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256

import orjson

from persistence.epochs import StoredEvent
from server.domains.epochs.holds import VOTE_CAST, EpochEvent


def digest_of(events: Iterable[StoredEvent]) -> bytes:
    """Give the digest of events, in whatever order they come."""
    summed = sha256()
    for event in sorted(events, key=lambda event: event.version):
        summed.update(orjson.dumps(_line(event), option=orjson.OPT_SORT_KEYS))
        summed.update(b"\n")
    return summed.digest()


def as_settled(event: StoredEvent) -> EpochEvent:
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


def _line(event: StoredEvent) -> dict[str, object]:
    return {
        "version": event.version,
        "event": event.type,
        "at": exact_time(event.at),
        "bot_id": event.bot_id,
        "slot_index": event.slot_index,
        "payload": orjson.loads(event.payload),
    }


def exact_time(at: datetime) -> str:
    """Write a time in UTC with its microseconds."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
