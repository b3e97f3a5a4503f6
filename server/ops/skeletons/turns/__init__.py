"""Skeleton: players add 1 to 3 to a sum in turn; whoever reaches the target wins.

Replace these rules by yours. The guide is docs/guides/rulesets.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from server.gamekit.chance import Chance
from server.gamekit.contract import (
    Event,
    IllegalMove,
    Outcome,
    Payload,
    Ruleset,
    RulesetConfig,
    SeatMove,
    Setup,
    Standing,
    Turn,
    Viewer,
)

MOST = 3


class Config(RulesetConfig):
    """What a lobby can choose. Every field has a default and bounds."""

    target: Annotated[int, Field(ge=5, le=1000)] = 21
    turn_timeout_s: Annotated[float, Field(ge=1, le=86_400)] = 30.0


@dataclass
class State:
    """Everything that there is to know of one game. Only `evolve` changes it."""

    config: Config
    players: Sequence[str]
    total: int = 0
    turns: int = 0
    winner: int | None = None

    @property
    def to_move(self) -> int:
        """The seat whose turn it is."""
        return self.turns % len(self.players)


def random_bot(view: Payload, chance: Chance) -> Payload:
    """Make any legal move."""
    move: Payload = chance.choice(view["legal_moves"])
    return move


class Skeleton(Ruleset[State, int]):
    """The rules."""

    name = "skeleton"
    title = "Skeleton"
    rules = "Add 1 to 3 to the sum in turn; whoever reaches the target wins."
    seats = range(2, 3)
    config = Config
    bots = MappingProxyType({"random": random_bot})

    def initial(self, setup: Setup) -> State:
        """Make the state before the first event."""
        assert isinstance(setup.config, Config)
        return State(setup.config, tuple(setup.players))

    def setup(self, state: State) -> list[Event]:
        """Give the first events, for example a deal."""
        return []

    def parse(self, raw: Payload) -> int:
        """Read a move; here it is how much to add."""
        match raw:
            case {"type": "add", "amount": int(amount)} if len(raw) == 2:
                if type(amount) is int and 1 <= amount <= MOST:  # True is an int, too
                    return amount
        raise IllegalMove("unknown_move", f'Send {{"type": "add", "amount": 1}}, up to {MOST}.')

    def decide(self, state: State, seat: int, move: int) -> list[Event]:
        """Say what the move causes, or refuse it. Nothing is changed here."""
        if state.winner is not None:
            raise IllegalMove("game_ended", "The game has ended.")
        if seat != state.to_move:
            raise IllegalMove("not_your_turn", "It is the other player's turn.")
        if state.total + move > state.config.target:
            raise IllegalMove("too_much", f"Only {state.config.target - state.total} are left.")
        return [Event("added", {"player_id": state.players[seat], "amount": move, "_v": 1})]

    def evolve(self, state: State, event: Event) -> None:
        """Fold one event into the state."""
        if event.type == "added":
            state.total += event.payload["amount"]
            state.turns += 1
            if state.total == state.config.target:
                state.winner = state.players.index(event.payload["player_id"])
        elif event.type == "player_left" and state.winner is None:
            state.winner = 1 - event.payload["seat"]  # leaving forfeits the game

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        """Say which move an event records, so that `playhall verify` can decide it again."""
        if event.type != "added":
            return None
        move = {"type": "add", "amount": event.payload["amount"]}
        return SeatMove(state.players.index(event.payload["player_id"]), move)

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Draw the game as this viewer may see it."""
        mine = state.winner is None and viewer == state.to_move
        most = min(MOST, state.config.target - state.total)
        return {
            "seat": viewer,
            "total": state.total,
            "target": state.config.target,
            "turn": None if state.winner is not None else state.to_move,
            "winner": state.winner,
            "legal_moves": [
                {"type": "add", "amount": amount} for amount in range(1, most + 1) if mine
            ],
        }

    def to_act(self, state: State) -> Turn | None:
        """Say whose turn it is, and for how long."""
        if state.winner is not None:
            return None
        return Turn((state.to_move,), state.turns, state.config.turn_timeout_s)

    def timeout_move(self, state: State, seat: int) -> Payload:
        """Choose the move of a player whose time is up."""
        return {"type": "add", "amount": 1}

    def outcome(self, state: State) -> Outcome | None:
        """Give the result once there is one."""
        if state.winner is None:
            return None
        return Outcome(
            tuple(
                Standing(seat, int(seat == state.winner), seat == state.winner)
                for seat in range(len(state.players))
            )
        )


RULESET = Skeleton()
