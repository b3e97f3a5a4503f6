"""The rules of the arena, in real time.

Players move on a square field and gather gems, which appear by seeded chance. A dash is faster
for a moment; whoever it hits is stunned and drops a gem. The most gems when time is up win.

All positions and speeds are integers, so that `step` gives the same on every machine. Inputs:

    {"type": "steer", "x": -1, "y": 0}     the direction from now on; 0 and 0 to stand still
    {"type": "dash"}
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from pydantic import Field

from protocol.ids import PlayerId
from server.gamekit.chance import Chance, derive_seed
from server.gamekit.contract import (
    WINS,
    Bot,
    Event,
    IllegalMove,
    Outcome,
    Payload,
    RulesetConfig,
    Setup,
    Standing,
    Statistic,
    Viewer,
)
from server.gamekit.realtime import PlayerInput, RealtimeRuleset

HZ: Final = 20
FIELD: Final = 1000  # the length of a side
SPEED: Final = 8  # a tick
DASH_SPEED: Final = 24
DASH_TICKS: Final = 6
DASH_REST_TICKS: Final = 40
STUN_TICKS: Final = 20
REACH: Final = 24  # how near a gem or a player must be to be touched
GEMS: Final = 12  # on the field at once

Spot = tuple[int, int]


class Config(RulesetConfig):
    """How long a game takes, and how far players see."""

    duration_s: Annotated[int, Field(ge=5, le=600)] = 60
    sight: Annotated[
        int, Field(ge=0, le=FIELD, description="How far a player sees; 0 for the whole field.")
    ] = 0


@dataclass(slots=True)
class Runner:
    """One player on the field."""

    x: int
    y: int
    steer: Spot = (0, 0)
    gems: int = 0
    dash_left: int = 0  # ticks
    rest_left: int = 0
    stun_left: int = 0
    present: bool = True


@dataclass(slots=True)
class State:
    """The field. `gems` are by number, in the order in which they appeared."""

    config: Config
    players: tuple[PlayerId, ...]
    seed: str
    runners: list[Runner]
    tick: int = 0
    gems: dict[int, Spot] = field(default_factory=dict)
    gems_made: int = 0

    @property
    def is_over(self) -> bool:
        """Whether time is up, or nobody is left."""
        is_up = self.tick >= self.config.duration_s * HZ
        return is_up or not any(runner.present for runner in self.runners)


def are_near(one: Spot, other: Spot, reach: int) -> bool:
    """Say whether two spots are within reach, by each axis."""
    return abs(one[0] - other[0]) <= reach and abs(one[1] - other[1]) <= reach


def toward_nearest_gem(view: Payload, chance: Chance) -> Payload | None:
    """Steer to the nearest gem in sight; without one, somewhere."""
    own = view["runners"].get(str(view["seat"]))
    if own is None:
        return None
    gems = list(view["gems"].values())
    if not gems:
        return {"type": "steer", "x": chance.below(3) - 1, "y": chance.below(3) - 1}
    x, y = min(gems, key=lambda gem: abs(gem[0] - own["x"]) + abs(gem[1] - own["y"]))
    return {"type": "steer", "x": _sign(x - own["x"]), "y": _sign(y - own["y"])}


def wander_and_dash(_: Payload, chance: Chance) -> Payload | None:
    """Change direction now and then, and dash sometimes."""
    choice = chance.below(12)
    if choice == 0:
        return {"type": "dash"}
    if choice < 4:
        return {"type": "steer", "x": chance.below(3) - 1, "y": chance.below(3) - 1}
    return None


BOTS: Final[Mapping[str, Bot]] = {"gatherer": toward_nearest_gem, "wanderer": wander_and_dash}


class Arena(RealtimeRuleset[State, Payload]):
    """Gather gems; a move steers or dashes."""

    name = "arena"
    title = "Arena"
    rules = (
        "Run over gems to gather them; everybody moves at once. A dash makes you faster for a "
        "moment, and whoever it hits is stunned and loses a gem. The most gems when time is up win."
    )
    seats: ClassVar[range] = range(1, 9)
    config = Config
    bots = BOTS
    tick_hz = HZ
    patch_hz = 10
    ephemeral_bytes_max = 256
    statistics = (Statistic("gems_gathered", "max", board=True), Statistic(WINS, "sum", board=True))

    def initial(self, setup: Setup) -> State:
        """Place the players around the middle."""
        assert isinstance(setup.config, Config)
        chance = Chance(derive_seed(setup.seed, "places"))
        runners = [Runner(chance.below(FIELD), chance.below(FIELD)) for _ in setup.players]
        state = State(setup.config, tuple(setup.players), setup.seed, runners)
        _add_gems(state)
        return state

    def parse(self, raw: Payload) -> Payload:
        """Parse a direction or a dash."""
        match raw:
            case {"type": "dash"} if len(raw) == 1:
                return raw
            case {"type": "steer", "x": int(x), "y": int(y)} if (
                len(raw) == 3 and _is_sign(x) and _is_sign(y)
            ):
                return raw
        raise IllegalMove(
            "unknown_move",
            'Send {"type": "steer", "x": -1, "y": 0} with -1, 0 or 1, or {"type": "dash"}.',
        )

    def step(self, state: State, inputs: Sequence[PlayerInput]) -> None:
        """Take the inputs, move everybody, then let dashes hit and gems be gathered."""
        state.tick += 1
        for seat, move in inputs:
            _take_input(state.runners[seat], move)
        for runner in state.runners:
            _move(runner)
        _let_dashes_hit(state.runners)
        for runner in state.runners:
            if runner.present and not runner.stun_left:
                _gather(state, runner)
        _add_gems(state)

    def evolve(self, state: State, event: Event) -> None:
        """Take players who leave off the field, and back on."""
        if event.type in ("player_left", "player_joined"):
            runner = state.runners[event.payload["seat"]]
            runner.present = event.type == "player_joined"
            runner.steer = (0, 0)

    def viewpoint(self, state: State, viewer: Viewer) -> Hashable:
        """Let everybody see the same, unless sight is limited."""
        return viewer if state.config.sight else None

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Show what is in sight: runners by seat, gems by number, each `[x, y]`."""
        sight = state.config.sight
        eye = None if viewer is None or not sight else state.runners[viewer]
        spot = None if eye is None else (eye.x, eye.y)
        return {
            "field": FIELD,
            "left_s": max(0, state.config.duration_s - state.tick // HZ),
            **({"seat": viewer} if sight else {}),
            "runners": {
                str(seat): _show(runner)
                for seat, runner in enumerate(state.runners)
                if runner.present and (spot is None or are_near(spot, (runner.x, runner.y), sight))
            },
            "gems": {
                str(number): list(gem)
                for number, gem in state.gems.items()
                if spot is None or are_near(spot, gem, sight)
            },
            "over": state.is_over,
        }

    def outcome(self, state: State) -> Outcome | None:
        """Rank by gems; who has the most wins, and ties share the win."""
        if not state.is_over:
            return None
        best = max((r.gems for r in state.runners if r.present), default=0)
        return Outcome(
            tuple(
                Standing(
                    seat,
                    runner.gems,
                    is_winner=runner.present and best > 0 and runner.gems == best,
                    statistics={"gems_gathered": runner.gems},
                )
                for seat, runner in enumerate(state.runners)
            )
        )


def _take_input(runner: Runner, move: Payload) -> None:
    if not runner.present:
        return
    if move["type"] == "steer":
        runner.steer = (move["x"], move["y"])
    elif not runner.rest_left and not runner.stun_left:
        runner.dash_left, runner.rest_left = DASH_TICKS, DASH_REST_TICKS


def _move(runner: Runner) -> None:
    runner.rest_left = max(0, runner.rest_left - 1)
    if runner.stun_left:
        runner.stun_left -= 1
        return
    speed = DASH_SPEED if runner.dash_left else SPEED
    runner.dash_left = max(0, runner.dash_left - 1)
    runner.x = min(max(runner.x + runner.steer[0] * speed, 0), FIELD)
    runner.y = min(max(runner.y + runner.steer[1] * speed, 0), FIELD)


def _let_dashes_hit(runners: Sequence[Runner]) -> None:
    for dasher in runners:
        if not dasher.dash_left or not dasher.present:
            continue
        for other in runners:
            is_hit = other is not dasher and other.present and not other.stun_left
            if is_hit and are_near((dasher.x, dasher.y), (other.x, other.y), REACH):
                other.stun_left, other.dash_left = STUN_TICKS, 0
                other.gems = max(0, other.gems - 1)


def _gather(state: State, runner: Runner) -> None:
    spot = (runner.x, runner.y)
    found = [number for number, gem in state.gems.items() if are_near(spot, gem, REACH)]
    for number in found:
        del state.gems[number]
    runner.gems += len(found)


def _add_gems(state: State) -> None:
    while len(state.gems) < GEMS:
        chance = Chance(derive_seed(state.seed, "gem", state.gems_made))
        state.gems[state.gems_made] = (chance.below(FIELD), chance.below(FIELD))
        state.gems_made += 1


def _show(runner: Runner) -> Payload:
    return {
        "x": runner.x,
        "y": runner.y,
        "gems": runner.gems,
        "stunned": runner.stun_left > 0,
        "dashing": runner.dash_left > 0,
    }


def _is_sign(value: int) -> bool:
    # A bool is an int to `isinstance`, but not a direction.
    return type(value) is int and -1 <= value <= 1


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
