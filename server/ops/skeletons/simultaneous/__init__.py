"""Skeleton: everybody picks a number at the same time; the highest that nobody else picked scores.

Replace these rules by yours. The guide is docs/guides/rulesets.md.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
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

MOST = 5


class Config(RulesetConfig):
    """What a lobby can choose. Every field has a default and bounds."""

    rounds: Annotated[int, Field(ge=1, le=50)] = 5
    turn_timeout_s: Annotated[float, Field(ge=1, le=86_400)] = 15.0


@dataclass
class State:
    """Everything that there is to know of one game. Only `evolve` changes it."""

    config: Config
    players: Sequence[str]
    scores: list[int]
    picks: dict[int, int] = field(default_factory=dict)  # of this round, by seat; secret
    history: list[list[int]] = field(default_factory=list)  # of earlier rounds, in seat order
    present: int = 0

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to play."""
        return len(self.history) >= self.config.rounds or self.present == 0

    @property
    def waiting(self) -> tuple[int, ...]:
        """The seats that have not picked yet."""
        return tuple(seat for seat in range(len(self.players)) if seat not in self.picks)


def random_bot(view: Payload, chance: Chance) -> Payload:
    """Make any legal move."""
    move: Payload = chance.choice(view["legal_moves"])
    return move


class Skeleton(Ruleset[State, int]):
    """The rules."""

    name = "skeleton"
    title = "Skeleton"
    rules = "Everybody picks a number at once; the highest that nobody else picked scores."
    seats = range(2, 5)
    config = Config
    bots = MappingProxyType({"random": random_bot})

    def initial(self, setup: Setup) -> State:
        """Make the state before the first event."""
        assert isinstance(setup.config, Config)
        players = tuple(setup.players)
        return State(setup.config, players, [0] * len(players), present=len(players))

    def setup(self, state: State) -> list[Event]:
        """Give the first events, for example a deal."""
        return []

    def parse(self, raw: Payload) -> int:
        """Read a move; here it is the number picked."""
        match raw:
            case {"type": "pick", "number": int(number)} if len(raw) == 2:
                if type(number) is int and 1 <= number <= MOST:  # True is an int, too
                    return number
        raise IllegalMove("unknown_move", f'Send {{"type": "pick", "number": 1}}, up to {MOST}.')

    def decide(self, state: State, seat: int, move: int) -> list[Event]:
        """Note a pick that only its player sees; the last pick reveals all of them."""
        if state.is_over:
            raise IllegalMove("game_ended", "The game has ended.")
        if seat in state.picks:
            raise IllegalMove("already_picked", "You have picked; wait for the others.")
        player = state.players[seat]
        events = [Event("picked", {"player_id": player, "seat": seat, "number": move, "_v": 1})]
        if state.waiting == (seat,):
            picks = {**state.picks, seat: move}
            numbers = [picks[each] for each in range(len(state.players))]
            events.append(Event("revealed", {"numbers": numbers, "_v": 1}))
        return events

    def evolve(self, state: State, event: Event) -> None:
        """Fold one event into the state."""
        payload = event.payload
        if event.type == "picked":
            state.picks[payload["seat"]] = payload["number"]
        elif event.type == "revealed":
            state.picks.clear()
            state.history.append(payload["numbers"])
            times = Counter[int](payload["numbers"])
            alone = [number for number in payload["numbers"] if times[number] == 1]
            if alone:
                state.scores[payload["numbers"].index(max(alone))] += 1
        elif event.type == "player_left":
            state.present -= 1
        elif event.type == "player_joined":
            state.present += 1

    def redact(self, event: Event, viewer: Viewer) -> Payload | None:
        """Hide a pick from everybody but its player."""
        if event.type != "picked" or event.payload["seat"] == viewer:
            return event.payload
        return {key: value for key, value in event.payload.items() if key != "number"}

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        """Say which move an event records, so that `playhall verify` can decide it again."""
        if event.type != "picked":
            return None
        move = {"type": "pick", "number": event.payload["number"]}
        return SeatMove(event.payload["seat"], move)

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Draw the game as this viewer may see it."""
        may_pick = viewer is not None and not state.is_over and viewer in state.waiting
        return {
            "seat": viewer,
            "round": len(state.history) + 1,
            "scores": list(state.scores),
            "history": [list(numbers) for numbers in state.history],
            "waiting_for": list(state.waiting),
            "your_pick": None if viewer is None else state.picks.get(viewer),
            "legal_moves": [
                {"type": "pick", "number": number} for number in range(1, MOST + 1) if may_pick
            ],
        }

    def to_act(self, state: State) -> Turn | None:
        """Have everybody move who has not; the number and so the deadline stay until then."""
        if state.is_over:
            return None
        return Turn(state.waiting, len(state.history), state.config.turn_timeout_s)

    def timeout_move(self, state: State, seat: int) -> Payload:
        """Choose the move of a player whose time is up."""
        return {"type": "pick", "number": 1}

    def outcome(self, state: State) -> Outcome | None:
        """Give the result once there is one."""
        if not state.is_over:
            return None
        best = max(state.scores)
        return Outcome(
            tuple(Standing(seat, score, score == best) for seat, score in enumerate(state.scores))
        )


RULESET = Skeleton()
