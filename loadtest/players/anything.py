"""A player of any ruleset: it asks what it may do, and does one of that.

It knows no rules. What is hidden from whom it cannot tell either, so of events in its games only
the place, the type and the time are compared, and the result is the one that the game states.
"""

from random import Random

from loadtest.line.following import INVALID_ACTION
from loadtest.players.kind import Kind
from protocol.game import Json


class AnyBehaviour:
    """One seat; chooses from the moves of the picture that it was shown last."""

    __slots__ = ("_chance", "moves", "turn")

    def __init__(self, _: str, chance: Random) -> None:
        self._chance = chance
        self.moves: list[Json] | None = None
        self.turn = 0

    def see(self, event: str, payload: Json) -> None:
        """Take in the next event: what was legal before may not be any more."""
        if event != INVALID_ACTION:  # which changes nothing for anybody
            self.turn += 1
            self.moves = None

    def choose(self) -> Json | None:
        """Choose any legal move."""
        return self._chance.choice(self.moves) if self.moves else None

    def misplay(self) -> Json:
        """Make a move that no game has."""
        return {"type": "…"}


class StatedScore:
    """The result as the game states it."""

    def __init__(self, players: list[str]) -> None:
        self.totals = dict.fromkeys(players, 0)

    def see(self, event: str, payload: Json) -> None:
        """Take in the next event."""
        if event == "game_completed":
            self.totals = dict(payload["final_scores"])


def kind_of(ruleset: str, *, seats: int) -> Kind:
    """Say how a ruleset is played of which nothing is known here."""
    return Kind(
        ruleset=ruleset, behaviour=AnyBehaviour, score=StatedScore, seats=seats, hidden=None
    )
