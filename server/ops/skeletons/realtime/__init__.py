"""Skeleton: everybody runs along a line; whoever touches the flag scores, and it moves on.

Replace these rules by yours. The guide is docs/guides/rulesets.md, under "Real time".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from server.gamekit.chance import Chance, derive_seed
from server.gamekit.contract import (
    Event,
    IllegalMove,
    Outcome,
    Payload,
    RulesetConfig,
    Setup,
    Standing,
    Viewer,
)
from server.gamekit.realtime import PlayerInput, RealtimeRuleset

LENGTH = 1000
SPEED = 10  # in each tick
REACH = 15


class Config(RulesetConfig):
    """What a lobby can choose. Every field has a default and bounds."""

    duration_s: Annotated[int, Field(ge=5, le=600)] = 30


@dataclass
class Runner:
    """One player on the line. Integers, so that every machine computes the same."""

    at: int
    way: int = 0  # -1, 0 or 1
    flags: int = 0


@dataclass
class State:
    """Everything that there is to know of one game. Only `step` and `evolve` change it."""

    config: Config
    seed: str
    runners: list[Runner]
    flag: int
    present: int
    tick: int = 0
    taken: int = 0


def chaser(view: Payload, chance: Chance) -> Payload | None:
    """Run towards the flag; say nothing if that is what it does already."""
    me = view["runners"][str(view["seat"])]
    way = (view["flag"] > me["at"]) - (view["flag"] < me["at"])
    return None if way == me["way"] else {"type": "run", "way": way}


class Skeleton(RealtimeRuleset[State, int]):
    """The rules."""

    name = "skeleton"
    title = "Skeleton"
    rules = "Run along the line; whoever touches the flag scores, and it moves on."
    seats = range(1, 5)
    config = Config
    tick_hz = 20
    patch_hz = 10
    bots = MappingProxyType({"chaser": chaser})

    def initial(self, setup: Setup) -> State:
        """Make the state before the first event."""
        assert isinstance(setup.config, Config)
        count = len(setup.players)
        runners = [Runner(LENGTH * (seat + 1) // (count + 1)) for seat in range(count)]
        return State(setup.config, setup.seed, runners, _place(setup.seed, 0), present=count)

    def parse(self, raw: Payload) -> int:
        """Read an input; here it is the direction to run in from now on."""
        match raw:
            case {"type": "run", "way": int(way)} if len(raw) == 2:
                if type(way) is int and -1 <= way <= 1:  # True is an int, too
                    return way
        raise IllegalMove("unknown_move", 'Send {"type": "run", "way": 1}; way is -1, 0 or 1.')

    def step(self, state: State, inputs: Sequence[PlayerInput]) -> None:
        """Let one tick pass."""
        state.tick += 1
        for seat, way in inputs:
            state.runners[seat].way = way
        for runner in state.runners:
            runner.at = max(0, min(LENGTH, runner.at + runner.way * SPEED))
        for runner in state.runners:
            if abs(runner.at - state.flag) <= REACH:
                runner.flags += 1
                state.taken += 1
                state.flag = _place(state.seed, state.taken)

    def evolve(self, state: State, event: Event) -> None:
        """Fold the table's events."""
        if event.type == "player_left":
            state.present -= 1
            state.runners[event.payload["seat"]].way = 0
        elif event.type == "player_joined":
            state.present += 1

    def viewpoint(self, state: State, viewer: Viewer) -> None:
        """Nothing is hidden: everybody has the same view."""

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Draw the game, from fresh values."""
        return {
            "runners": {
                str(seat): {"at": each.at, "way": each.way, "flags": each.flags}
                for seat, each in enumerate(state.runners)
            },
            "flag": state.flag,
            "left_s": state.config.duration_s - state.tick // self.tick_hz,
        }

    def outcome(self, state: State) -> Outcome | None:
        """Give the result when time is up, or everybody has left."""
        if state.present and state.tick < state.config.duration_s * self.tick_hz:
            return None
        best = max(runner.flags for runner in state.runners)
        return Outcome(
            tuple(
                Standing(seat, runner.flags, runner.flags == best)
                for seat, runner in enumerate(state.runners)
            )
        )


def _place(seed: str, number: int) -> int:
    return Chance(derive_seed(seed, "flag", number)).below(LENGTH)


RULESET = Skeleton()
