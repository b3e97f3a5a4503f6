"""What is known here of one kind of game."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from protocol.game import Json


class Behaviour(Protocol):
    """One seat: sees its own stream, and chooses moves from what it saw."""

    # Counts turns, so that no turn is played twice.
    turn: int

    def see(self, event: str, payload: Json) -> None:
        """Take in the next event."""

    def choose(self) -> Json | None:
        """Choose the move to make now; None if it is somebody else's turn."""

    def misplay(self) -> Json:
        """Give a move that the rules refuse now."""


class Score(Protocol):
    """A game's result, as anybody can count it from the events."""

    totals: dict[str, int]

    def see(self, event: str, payload: Json) -> None:
        """Take in the next event."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One ruleset, from outside.

    `behaviour` is made for a seat from its player id and a source of chance, `score` for a
    game's player ids. `hidden` names, by event type, the payload's key under which a player
    finds only the entry with its own player id; None if that is not known.
    """

    ruleset: str
    behaviour: Callable[[str, Random], Behaviour]
    score: Callable[[list[str]], Score]
    seats: int
    hidden: Mapping[str, str] | None = field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether its behaviour chooses from the moves that the server lists."""
        return self.hidden is None
