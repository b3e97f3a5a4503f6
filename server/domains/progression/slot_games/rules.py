"""How a game went for a player, and what is given for it. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from protocol.domain_events import SeatOutcome
from protocol.slot_games import GameReward, Result


class SlotGameOutcome(NamedTuple):
    """How a game went for one player; `placement` is by score, from 1."""

    result: Result
    placement: int


def slot_game_outcome(seat: SeatOutcome, seats: Sequence[SeatOutcome]) -> SlotGameOutcome:
    """Say how a game went for a seat."""
    placement = 1 + sum(other.score > seat.score for other in seats if not other.forfeited)
    if seat.forfeited:
        return SlotGameOutcome("forfeit", placement)
    if not seat.is_winner:
        return SlotGameOutcome("loss", placement)
    winners = sum(other.is_winner for other in seats)
    return SlotGameOutcome("win" if winners == 1 else "draw", placement)


def find_reward(outcome: SlotGameOutcome, rewards: Sequence[GameReward]) -> GameReward | None:
    """Find the first reward that fits; who gave up gets none."""
    if outcome.result == "forfeit":
        return None
    for reward in rewards:
        fits_result = reward.result in ("any", outcome.result)
        if fits_result and reward.placement in (None, outcome.placement):
            return reward
    return None
