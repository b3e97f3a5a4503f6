"""What a day comes to: who held what when, contributions, shares, payouts. Pure, and exact.

    raw   = w_time · occupied_seconds + w_claim · claim_credit
          + w_defense · defense_seconds + w_vote · vote_quality
    share = max(raw, 0) / Σ max(raw, 0)

A raw score is rounded to 8 decimals (half to even) and is a whole number of hundred-millionths
from then on. Shares (12 decimals), basis points and wei are divided from these by largest
remainder, so they sum to exactly 1, 10,000 and the pool. If nobody has a positive score,
nobody is paid, and the pool stays whole.

It depends on the set of events alone: not on their order in the list, nor on how they were
read. Votes are the last one of each voter for each bot.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from protocol.epoch_profile import SettlementRules


def apportion(units: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Give everybody a whole number of units, `units` in all.

    `weights` are not negative. Each gets what is due, rounded down; what is then left goes one
    unit each to the largest remainders, ties by id. All weights 0: nobody gets anything.
    """
    total = sum(weights.values())
    if not total:
        return dict.fromkeys(weights, 0)
    shares = {who: units * weight // total for who, weight in weights.items()}
    left = units - sum(shares.values())
    by_remainder = sorted(weights, key=lambda who: (-(units * weights[who] % total), who))
    for who in by_remainder[:left]:
        shares[who] += 1
    return shares


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
class SlotHold:
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


def list_slot_holds(
    events: Iterable[EpochEvent], *, frozen_at: datetime, rules: SettlementRules
) -> Iterator[SlotHold]:
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

    hold: SlotHold
    claimed_at: datetime
    credit: Decimal

    @classmethod
    def by(cls, event: EpochEvent, *, won: bool) -> "_Open":
        assert event.bot_id is not None
        assert event.slot_index is not None
        at = event.occurred_at
        hold = SlotHold(event.bot_id, event.slot_index, at, at, won, 1, Decimal(1))
        return cls(hold, at, Decimal(1))

    def claim_again(self, at: datetime, rules: SettlementRules) -> None:
        is_rapid = (at - self.claimed_at).total_seconds() < rules.rapid_s
        self.credit = EXACT.multiply(self.credit, rules.rapid_factor) if is_rapid else Decimal(1)
        self.claimed_at = at
        self.hold.claims += 1
        self.hold.credit = EXACT.add(self.hold.credit, self.credit)

    def end(self, at: datetime) -> SlotHold:
        self.hold.until = max(at, self.hold.since)
        return self.hold


SHARE_UNITS: Final = 10**12
BASIS_POINTS: Final = 10_000
RAW_UNIT: Final = Decimal("0.00000001")
QUALITY_UNIT: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one bot did in a day, and its share of it."""

    bot_id: str
    occupied_seconds: int
    successful_claims: int
    claim_credit: Decimal
    defense_seconds: int
    vote_quality: Decimal
    raw_score: Decimal
    share: Decimal
    bps: int
    amount_wei: int


def settle_day(
    events: Iterable[EpochEvent], *, frozen_at: datetime, rules: SettlementRules, pool_wei: int
) -> list[Contribution]:
    """Settle a day; one entry for each bot that claimed a slot or was voted on, by id."""
    frozen = list(events)
    deeds = _deeds(list_slot_holds(frozen, frozen_at=frozen_at, rules=rules), rules)
    qualities = vote_qualities(frozen)
    bots = sorted(deeds.keys() | qualities.keys())
    quality = {bot: qualities.get(bot, Decimal(0)) for bot in bots}
    raw = {bot: _raw(deeds[bot], quality[bot], rules) for bot in bots}
    weights = {bot: max(int(EXACT.divide(score, RAW_UNIT)), 0) for bot, score in raw.items()}
    shares = apportion(SHARE_UNITS, weights)
    bps = apportion(BASIS_POINTS, weights)
    wei = apportion(pool_wei, weights)
    return [
        Contribution(
            bot_id=bot,
            occupied_seconds=deeds[bot].occupied_seconds,
            successful_claims=deeds[bot].claims,
            claim_credit=deeds[bot].credit,
            defense_seconds=deeds[bot].defense_seconds,
            vote_quality=quality[bot],
            raw_score=raw[bot],
            share=EXACT.divide(Decimal(shares[bot]), Decimal(SHARE_UNITS)),
            bps=bps[bot],
            amount_wei=wei[bot],
        )
        for bot in bots
    ]


@dataclass(slots=True)
class _Deeds:
    occupied_seconds: int = 0
    defense_seconds: int = 0
    claims: int = 0
    credit: Decimal = Decimal(0)

    def add(self, hold: SlotHold) -> None:
        self.occupied_seconds += hold.seconds
        self.defense_seconds += hold.seconds if hold.is_defense else 0
        self.claims += hold.claims
        self.credit = EXACT.add(self.credit, hold.credit)


def _deeds(day: Iterable[SlotHold], rules: SettlementRules) -> defaultdict[str, _Deeds]:
    deeds: defaultdict[str, _Deeds] = defaultdict(_Deeds)
    for hold in day:
        did = deeds[hold.bot_id]  # who only held too shortly is listed as well, with nothing
        if hold.seconds >= rules.minimum_hold_s:
            did.add(hold)
    return deeds


def _raw(did: _Deeds, quality: Decimal, rules: SettlementRules) -> Decimal:
    weights = rules.weights
    terms = (
        (weights.time, Decimal(did.occupied_seconds)),
        (weights.claim, did.credit),
        (weights.defense, Decimal(did.defense_seconds)),
        (weights.vote, quality),
    )
    total = Decimal(0)
    for weight, what in terms:
        total = EXACT.fma(weight, what, total)
    return total.quantize(RAW_UNIT, context=EXACT)


def vote_qualities(events: Iterable[EpochEvent]) -> Mapping[str, Decimal]:
    """Give each bot's mean score, weighted by voter, rounded to 6 decimals."""
    last: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for event in sorted(events, key=lambda event: event.version):
        if event.type == VOTE_CAST and event.payload and event.payload["target_type"] == "bot":
            assert event.voter is not None
            vote = Decimal(str(event.payload["score"])), Decimal(str(event.payload["weight"]))
            last[event.voter, str(event.payload["target_id"])] = vote
    totals: defaultdict[str, tuple[Decimal, Decimal]] = defaultdict(
        lambda: (Decimal(0), Decimal(0))
    )
    for (_, bot), (score, weight) in last.items():
        weighted, weights = totals[bot]
        totals[bot] = EXACT.fma(score, weight, weighted), EXACT.add(weights, weight)
    return {
        bot: EXACT.divide(weighted, weights).quantize(QUALITY_UNIT, context=EXACT)
        for bot, (weighted, weights) in totals.items()
        if weights
    }
