"""Who held which slot when, read from a day's events. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from protocol.epoch import SettlementRules

CLAIMED: Final = "slot_claimed"
OVERWRITTEN: Final = "slot_overwritten"
VOTE_CAST: Final = "vote_cast"

# The largest sums have some thirty digits; whatever the process has set does not matter.
EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class EpochEvent:
    """An event of a day as settlement reads it. `payload` is plain data."""

    version: int
    type: str
    occurred_at: datetime
    bot_id: str | None = None
    voter: str | None = None
    slot_index: int | None = None
    payload: "dict[str, object] | None" = None


@dataclass(slots=True)
class Hold:
    """An unbroken time in which one bot held one slot.

    `credit` is what its claims count for: 1 for the one that won the slot, less and less for
    rapid ones of its own after that. `is_defense`: the slot was won from another bot.
    """

    bot_id: str
    slot_index: int
    since: datetime
    until: datetime
    is_defense: bool
    claims: int
    credit: Decimal

    @property
    def seconds(self) -> int:
        """How long it lasted, in whole seconds."""
        return int((self.until - self.since).total_seconds())


def holds(
    events: Iterable[EpochEvent], *, frozen_at: datetime, rules: SettlementRules
) -> Iterator[Hold]:
    """Give every hold of a day, also those too short to count; the freeze ends the last ones."""
    open_holds: dict[int, _Open] = {}
    for event in sorted(events, key=lambda event: event.version):
        if event.type not in (CLAIMED, OVERWRITTEN):
            continue
        assert event.bot_id is not None
        assert event.slot_index is not None
        present = open_holds.get(event.slot_index)
        if present is not None and present.hold.bot_id == event.bot_id:
            present.claim_again(event.occurred_at, rules)
            continue
        if present is not None:
            yield present.end(event.occurred_at)
        open_holds[event.slot_index] = _Open.by(event, won=present is not None)
    for last in open_holds.values():
        yield last.end(frozen_at)


@dataclass(slots=True)
class _Open:
    """A hold that has not ended, and its last claim: when, and what it counted for."""

    hold: Hold
    claimed_at: datetime
    credit: Decimal

    @classmethod
    def by(cls, event: EpochEvent, *, won: bool) -> "_Open":
        assert event.bot_id is not None
        assert event.slot_index is not None
        at = event.occurred_at
        hold = Hold(event.bot_id, event.slot_index, at, at, won, 1, Decimal(1))
        return cls(hold, at, Decimal(1))

    def claim_again(self, at: datetime, rules: SettlementRules) -> None:
        is_rapid = (at - self.claimed_at).total_seconds() < rules.rapid_s
        self.credit = EXACT.multiply(self.credit, rules.rapid_factor) if is_rapid else Decimal(1)
        self.claimed_at = at
        self.hold.claims += 1
        self.hold.credit = EXACT.add(self.hold.credit, self.credit)

    def end(self, at: datetime) -> Hold:
        self.hold.until = max(at, self.hold.since)
        return self.hold
