"""A second implementation of settlement, written from the formula alone, in fractions."""

from datetime import datetime
from fractions import Fraction
from itertools import pairwise

from protocol.epoch_profile import SettlementRules
from server.domains.compete.epochs.settlement import OVERWRITTEN, VOTE_CAST, EpochEvent


def by_the_formula(
    events: list[EpochEvent], rules: SettlementRules, *, frozen_at: datetime
) -> dict[str, Fraction]:
    """Compute raw scores, hold by hold and vote by vote, from the page's words."""
    raw: dict[str, Fraction] = {}
    for slot in {event.slot_index for event in events if event.slot_index is not None}:
        chain = [event for event in events if event.slot_index == slot]
        while chain:
            mine = _own(chain)
            bot, ends = mine[0].bot_id, chain[0].occurred_at if chain else frozen_at
            assert bot is not None
            raw[bot] = raw.get(bot, Fraction(0)) + _held(mine, ends, rules)
    for bot, mean in _means(events).items():
        raw[bot] = raw.get(bot, Fraction(0)) + Fraction(rules.weights.vote) * mean
    return {bot: Fraction(round(score, 8)) for bot, score in raw.items()}


def divided(units: int, raw: dict[str, Fraction]) -> dict[str, int]:
    """Divide by largest remainder."""
    positive = {bot: max(score, Fraction(0)) for bot, score in raw.items()}
    total = sum(positive.values(), Fraction(0))
    if total == 0:
        return dict.fromkeys(raw, 0)
    due = {bot: units * score / total for bot, score in positive.items()}
    given_out = {bot: int(amount) for bot, amount in due.items()}
    line = sorted(due, key=lambda bot: (-(due[bot] - given_out[bot]), bot))
    for bot in line[: units - sum(given_out.values())]:
        given_out[bot] += 1
    return given_out


def _own(chain: list[EpochEvent]) -> list[EpochEvent]:
    """Take a bot's claims from the front of a slot's, up to the next bot's."""
    bot = chain[0].bot_id
    mine = []
    while chain and chain[0].bot_id == bot:
        mine.append(chain.pop(0))
    return mine


def _held(mine: list[EpochEvent], ends: datetime, rules: SettlementRules) -> Fraction:
    seconds = int((ends - mine[0].occurred_at).total_seconds())
    if seconds < rules.minimum_hold_s:
        return Fraction(0)
    credit = total = Fraction(1)
    for earlier, later in pairwise(mine):
        gap = (later.occurred_at - earlier.occurred_at).total_seconds()
        credit = credit * Fraction(rules.rapid_factor) if gap < rules.rapid_s else Fraction(1)
        total += credit
    held = Fraction(rules.weights.time) * seconds + Fraction(rules.weights.claim) * total
    if mine[0].type == OVERWRITTEN:
        held += Fraction(rules.weights.defense) * seconds
    return held


def _means(events: list[EpochEvent]) -> dict[str, Fraction]:
    """Give each bot's mean score over the last votes of each voter, by weight, to 6 decimals."""
    last: dict[str, dict[str, tuple[Fraction, Fraction]]] = {}
    for event in events:
        vote = event.payload if event.type == VOTE_CAST else None
        if vote is not None and vote["target_type"] == "bot":
            score, weight = Fraction(str(vote["score"])), Fraction(str(vote["weight"]))
            last.setdefault(str(vote["target_id"]), {})[str(event.voter)] = score, weight
    means = {}
    for bot, votes in last.items():
        if weights := sum(weight for _, weight in votes.values()):
            mean = sum(score * weight for score, weight in votes.values()) / weights
            means[bot] = Fraction(round(mean, 6))
    return means
