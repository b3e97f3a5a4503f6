"""How long signed metadata is good for, and when it is signed anew. Without the signing library."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from persistence.packages.store import SignedMetadata, SignedRole

DAY_S: Final = 86_400
# Of its life, what is left when metadata is signed anew: nobody is left with what has expired.
RENEW_AT: Final = 0.5


def lifetimes_s(timestamp_s: int) -> Mapping[SignedRole, int]:
    """Say how long each role's metadata is good for."""
    return {
        "root": 365 * DAY_S,
        "targets": 90 * DAY_S,
        "snapshot": max(14 * DAY_S, timestamp_s),
        "timestamp": timestamp_s,
    }


def is_due(newest: SignedMetadata, lifetime_s: float, now: datetime) -> bool:
    """Say whether metadata has lived for half of its time."""
    return (newest.expires_at - now).total_seconds() < lifetime_s * RENEW_AT


def key_seal_context(key_id: str) -> str:
    """Name a sealed key: it opens in its own row only."""
    return f"content key {key_id}"
