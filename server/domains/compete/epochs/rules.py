"""What decides about claims and votes. Pure."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from math import inf
from typing import Final

from persistence.epochs.claims import ClaimConditions
from persistence.epochs.store import EpochDay
from persistence.epochs.votes import VoteRefusalReason, VoteRefused
from protocol.bots import WalletRequired
from protocol.epoch_profile import EpochProfile, Slot
from protocol.epochs import (
    BotRequired,
    CodeRefused,
    Cooldown,
    EpochMirrored,
    EpochNotLive,
    SlotNotFound,
    Vote,
    VotingClosed,
)
from protocol.errors import InvalidField, PlayhallError
from server.core.clock import wire_time
from server.domains.compete.epochs.validators import VALIDATORS
from server.gateway.session.identity import BotGrant, Identity

SCORE_DECIMALS: Final = 4


def require_bot(who: Identity, scope: str) -> BotGrant:
    """Give the bot that is signed in; raise `BotRequired`."""
    if who.bot is None:
        raise BotRequired
    if scope not in who.bot.scopes:
        raise BotRequired(f"The bot's token lacks the scope {scope!r}; create another.")
    return who.bot


def require_live_epoch(day: EpochDay) -> None:
    """Refuse a day that takes nothing; raise `EpochNotLive`, which says when."""
    if day.phase == "prep":
        raise EpochNotLive(f"The epoch begins at {wire_time(day.starts_at)}.")
    if day.phase != "live":
        raise EpochNotLive(
            f"The epoch was frozen at {wire_time(day.freeze_at)}; wait for the next."
        )


def require_claim_allowed(standing: ClaimConditions) -> None:
    """Refuse a claim that comes too late or too early, or that its token no longer allows."""
    now, cooldowns = standing.now, standing.cooldowns
    if standing.phase != "live" or now >= standing.freeze_at:
        raise EpochNotLive
    if standing.is_mirrored:
        raise EpochMirrored
    if not standing.may_claim:
        raise BotRequired("This token can no longer claim for the bot.")
    if not standing.is_slot:
        raise SlotNotFound
    for what, at, pause_s in (
        ("you", standing.bot_claimed_at, cooldowns.bot_s),
        ("the slot", standing.slot_claimed_at, cooldowns.slot_s),
    ):
        ago_s = inf if at is None else (now - at).total_seconds()
        wait_s = pause_s - ago_s
        # What is further ahead than a pause was claimed before the clock was put back.
        if wait_s > 0 and ago_s >= -pause_s:
            raise Cooldown(f"Too early for {what}: wait {wait_s:.1f} s.", retry_after_s=wait_s)


def choose_voting_wallet(own: Sequence[str], wallet: str | None) -> str:
    """Choose the wallet to vote with: the first, if none is named. Raises `WalletRequired`."""
    if not own:
        raise WalletRequired
    if wallet is None:
        return own[0]
    if wallet.lower() not in own:
        problem = "wallet: this is not one of your wallets; omit it or link it."
        raise InvalidField(problem, field="wallet")
    return wallet.lower()


@contextmanager
def explain_vote_refusal() -> Iterator[None]:
    """Say in words why the database does not take a vote."""
    try:
        yield
    except VoteRefused as refused:
        raise _explanation(refused) from refused


def _explanation(refused: VoteRefused) -> PlayhallError:
    match refused.why:
        case VoteRefusalReason.TOO_LATE:
            return EpochNotLive()
        case VoteRefusalReason.MIRRORED:
            return EpochMirrored()
        case VoteRefusalReason.NOT_TAKEN:
            return VotingClosed()
        case VoteRefusalReason.NOT_ITS_BOT:
            return BotRequired("This token cannot vote for the bot.")
        case VoteRefusalReason.OUT_OF_RANGE:
            problem = "score: the epoch's profile does not allow this score for this target."
            return InvalidField(problem, field="score")
        case VoteRefusalReason.NO_BOT:
            return bot_not_found_error()
        case VoteRefusalReason.TOO_EARLY:
            problem = f"Too early for another vote: wait {refused.wait_s:.1f} s."
            return Cooldown(problem, retry_after_s=refused.wait_s)


def bot_not_found_error() -> InvalidField:
    """Refuse a vote on a bot that there is not."""
    problem = "target_id: there is no such bot; send a bot_id, not its slug."
    return InvalidField(problem, field="target_id")


def validate_profile(profile: EpochProfile) -> None:
    """Check what of a profile its fields alone do not say; raise `InvalidField`."""
    for index, slot in enumerate(profile.slots.map):
        if slot.constraints_id not in VALIDATORS:
            field = f"slots.map.{index}.constraints_id"
            raise InvalidField(f"{field}: {_unknown(slot)}.", field=field)
    types = [target.type for target in profile.governance.targets]
    for index, kind in enumerate(types):
        if kind in types[:index]:  # only the first would ever count
            field = f"governance.targets.{index}.type"
            raise InvalidField(f"{field}: {kind} appears twice; remove one.", field=field)


def validate_slot_code(profile: EpochProfile, slot_index: int, code: str) -> None:
    """Check code against what the slot takes; raise `SlotNotFound` or `CodeRefused`."""
    if slot_index >= profile.slots.count:
        raise SlotNotFound(f"The epoch's slots have the indexes 0 to {profile.slots.count - 1}.")
    slot = profile.slots.map[slot_index]
    validator = VALIDATORS.get(slot.constraints_id)
    if validator is None:
        raise CodeRefused(f"The slot {slot.label!r} accepts nothing: {_unknown(slot)}.")
    if problem := validator(code):
        raise CodeRefused(f"The slot {slot.label!r} does not accept this code: {problem}.")


def validate_vote_score(profile: EpochProfile, vote: Vote) -> Decimal:
    """Check a vote of a person; gives its exact score. Raises `VotingClosed`, `InvalidField`."""
    if not profile.governance.human_voting:
        raise VotingClosed("Only bots can vote in this epoch.")
    return _score(profile, vote)


def validate_bot_vote_score(profile: EpochProfile, vote: Vote, bot: BotGrant) -> Decimal:
    """Check a vote of a bot; none votes for itself."""
    if not profile.governance.bot_voting:
        raise VotingClosed("Bots cannot vote in this epoch.")
    if vote.target_type == "bot" and vote.target_id == bot.bot_id:
        raise InvalidField("target_id: a bot cannot vote for itself.", field="target_id")
    return _score(profile, vote)


def _unknown(slot: Slot) -> str:
    return f"there is no validator {slot.constraints_id!r}; known are {', '.join(VALIDATORS)}"


def _score(profile: EpochProfile, vote: Vote) -> Decimal:
    target = profile.governance.target(vote.target_type)
    if target is None:
        known = ", ".join(target.type for target in profile.governance.targets)
        problem = f"target_type: this epoch is not voted on by {vote.target_type}; but by {known}."
        raise InvalidField(problem, field="target_type")
    if target.options and vote.target_id not in target.options:
        problem = f"target_id: send one of {', '.join(target.options)}."
        raise InvalidField(problem, field="target_id")
    score = Decimal(str(vote.score))
    if not target.score_min <= score <= target.score_max:
        problem = f"score: send a number from {target.score_min} to {target.score_max}."
        raise InvalidField(problem, field="score")
    if score != round(score, SCORE_DECIMALS):
        problem = f"score: send at most {SCORE_DECIMALS} decimals."
        raise InvalidField(problem, field="score")
    return score
