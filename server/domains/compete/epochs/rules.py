"""What is checked of claims and votes before anything is stored. Pure."""

from decimal import Decimal
from typing import Final

from persistence.epochs.store import Day
from protocol.epoch_profile import EpochProfile, Slot
from protocol.epochs import BotRequired, CodeRefused, EpochNotLive, SlotNotFound, Vote, VotingClosed
from protocol.errors import InvalidField
from server.core.clock import wire_time
from server.domains.compete.epochs.validators import VALIDATORS
from server.gateway.session.identity import BotPass, Identity

SCORE_DECIMALS: Final = 4


def require_bot(who: Identity, scope: str) -> BotPass:
    """Give the bot that is signed in; raise `BotRequired`."""
    if who.bot is None:
        raise BotRequired
    if scope not in who.bot.scopes:
        raise BotRequired(f"The bot's token lacks the scope {scope!r}; create another.")
    return who.bot


def require_live(day: Day) -> None:
    """Refuse a day that takes nothing; raise `EpochNotLive`, which says when."""
    if day.phase == "prep":
        raise EpochNotLive(f"The epoch begins at {wire_time(day.starts_at)}.")
    if day.phase != "live":
        raise EpochNotLive(
            f"The epoch was frozen at {wire_time(day.freeze_at)}; wait for the next."
        )


def check_profile(profile: EpochProfile) -> None:
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


def check_code(profile: EpochProfile, slot_index: int, code: str) -> None:
    """Check code against what the slot takes; raise `SlotNotFound` or `CodeRefused`."""
    if slot_index >= profile.slots.count:
        raise SlotNotFound(f"The epoch's slots have the indexes 0 to {profile.slots.count - 1}.")
    slot = profile.slots.map[slot_index]
    validator = VALIDATORS.get(slot.constraints_id)
    if validator is None:
        raise CodeRefused(f"The slot {slot.label!r} accepts nothing: {_unknown(slot)}.")
    if problem := validator(code):
        raise CodeRefused(f"The slot {slot.label!r} does not accept this code: {problem}.")


def check_vote(profile: EpochProfile, vote: Vote) -> Decimal:
    """Check a vote of a person; gives its exact score. Raises `VotingClosed`, `InvalidField`."""
    if not profile.governance.human_voting:
        raise VotingClosed("Only bots can vote in this epoch.")
    return _score(profile, vote)


def check_bot_vote(profile: EpochProfile, vote: Vote, bot: BotPass) -> Decimal:
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
