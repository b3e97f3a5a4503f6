"""Who owned a token and when, from its transfers and from what was corrected. Pure."""

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest
from typing import TypeAlias

from persistence.blockchain.store import NOBODY, OwnerChange, OwnershipPeriod, Source


def build_ownership_periods(
    transfers: Sequence[OwnerChange], corrections: Sequence[OwnerChange]
) -> list[OwnershipPeriod]:
    """Give the history, oldest first, without overlaps.

    `transfers` are in the chain's order: of several at one time the last counts. A correction
    holds until the next transfer, and wins over one at the same time. One to `NOBODY` is a
    period without length, so that it stays on record.
    """
    points: dict[datetime, tuple[str, Source]] = {}
    for at, owner in transfers:
        points[at] = (owner, "onchain")
    for at, owner in corrections:
        points[at] = (owner, "admin_correction")
    return _spans(_changes([(at, *points[at]) for at in sorted(points)]))


_Point: TypeAlias = tuple[datetime, str, Source]


def _changes(points: list[_Point]) -> list[_Point]:
    """Leave out transfers that change nothing: there and back at once, or to oneself."""
    changes: list[_Point] = []
    owner = NOBODY
    for point in points:
        if point[2] == "admin_correction" or point[1] != owner:
            changes.append(point)
            owner = point[1]
    return changes


def _spans(points: list[_Point]) -> list[OwnershipPeriod]:
    ends = [at for at, _, _ in points]
    return [
        OwnershipPeriod(owner, source, at, at if owner == NOBODY else end)
        for (at, owner, source), end in zip_longest(points, ends[1:])
        if owner != NOBODY or source == "admin_correction"
    ]
