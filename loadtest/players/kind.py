"""What is known here of a ruleset, and a player of those of which nothing is known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from playhall import Json
from playhall.game import INVALID_ACTION


class Behaviour(Protocol):
    """One seat: sees its own stream, and chooses moves from what it saw."""

    # Counts turns, so that no turn is played twice.
    turn: int

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""

    def choose_move(self) -> Json | None:
        """Choose the move to make now; None if it is somebody else's turn."""

    def make_illegal_move(self) -> Json:
        """Give a move that the rules refuse now."""


class ScoreKeeper(Protocol):
    """A game's result, as anybody can count it from the events."""

    totals: dict[str, int]

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""


@dataclass(frozen=True, slots=True)
class RulesetPlayer:
    """One ruleset, from outside.

    `behaviour` is made for a seat from its player id and a source of chance, `score` for a
    game's player ids. `hidden` names, by event type, the payload's key under which a player
    finds only the entry with its own player id; None if that is not known. `ignored` names the
    events that neither a behaviour nor the score takes any notice of.
    """

    ruleset: str
    behaviour: Callable[[str, Random], Behaviour]
    score: Callable[[list[str]], ScoreKeeper]
    seats: int
    hidden: Mapping[str, str] | None = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    @property
    def asks_for_moves(self) -> bool:
        """Whether its behaviour chooses from the moves that the server lists."""
        return self.hidden is None


# ---------------------------------------------------------------------- any ruleset


class GenericBehaviour:
    """One seat; chooses from the moves of the last snapshot."""

    __slots__ = ("_chance", "moves", "turn")

    def __init__(self, _: str, chance: Random) -> None:
        self._chance = chance
        self.moves: list[Json] | None = None
        self.turn = 0

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event: what was legal before may not be any more."""
        if event != INVALID_ACTION:  # which changes nothing for anybody
            self.turn += 1
            self.moves = None

    def choose_move(self) -> Json | None:
        """Choose any legal move."""
        return self._chance.choice(self.moves) if self.moves else None

    def make_illegal_move(self) -> Json:
        """Make a move that no game has."""
        return {"type": "…"}


class StatedScore:
    """The result as the game states it."""

    def __init__(self, players: list[str]) -> None:
        self.totals = dict.fromkeys(players, 0)

    def on_event(self, event: str, payload: Json) -> None:
        """Take in the next event."""
        if event == "game_completed":
            self.totals = dict(payload["final_scores"])


def make_generic_player(ruleset: str, *, seats: int) -> RulesetPlayer:
    """Say how a ruleset is played of which nothing is known here."""
    return RulesetPlayer(
        ruleset=ruleset, behaviour=GenericBehaviour, score=StatedScore, seats=seats, hidden=None
    )
