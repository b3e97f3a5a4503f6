"""The rules of The Lamplighter.

scene_entered    scene, hour, text
choice_made      player_id, scene, choice, hour (when it was made)
flag_set         flag
counter_changed  counter, by
lore_unlocked    lore
event_opened     event, hour
event_closed     event, hour
story_ended      ending, score, is_good
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import Field

from protocol.ids import PlayerId
from server.gamekit.chance import Chance, derive_seed
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
from server.rulesets.lamplighter.bots import BOTS
from server.rulesets.lamplighter.story import (
    DAWN,
    FIRST_COUNTERS,
    FIRST_HOUR,
    LAST_HOUR,
    SCENES,
    START,
    STORM,
    STORM_HOURS,
    WINDOWS,
    Choice,
    ChoiceNeeds,
    Ending,
    Window,
)


class Config(RulesetConfig):
    """How long the story waits for its player, where it waits."""

    turn_timeout_s: Annotated[float, Field(ge=1.0, le=86_400.0)] = 3600.0


@dataclass(slots=True)
class State:
    """Where the story is, and what it remembers."""

    config: Config
    players: tuple[PlayerId, ...]
    storm: Window
    scene: str = START
    hour: int = FIRST_HOUR
    moves: int = 0
    flags: dict[str, bool] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=lambda: dict(FIRST_COUNTERS))
    choices: dict[str, str] = field(default_factory=dict)
    lore: list[str] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    ending: Ending | None = None
    over: bool = False


class Lamplighter(Ruleset[State, str]):
    """Choose what to do next; a move is the name of a choice."""

    name = "lamplighter"
    title = "The Lamplighter"
    rules = (
        "A story for one: choose what to do next. Choices cost and earn things, open others, and "
        "decide how it ends."
    )
    seats: ClassVar[range] = range(1, 2)
    config = Config
    bots = BOTS

    def initial(self, setup: Setup) -> State:
        """Open the story; when the storm comes is drawn from the seed."""
        assert isinstance(setup.config, Config)
        hour = Chance(derive_seed(setup.seed, STORM)).choice(STORM_HOURS)
        return State(setup.config, tuple(setup.players), Window(hour, LAST_HOUR + 1))

    def setup(self, state: State) -> list[Event]:
        """Enter the first scene."""
        return [_entered(state.scene, state.hour)]

    def parse(self, raw: Payload) -> str:
        """Parse `{"type": "choose", "choice": "walk_to_sands"}`."""
        match raw:
            case {"type": "choose", "choice": str(choice)} if len(raw) == 2 and choice:
                return choice
        raise IllegalMove(
            "unknown_move", 'Send {"type": "choose", "choice": "…"}, one of the legal moves.'
        )

    def decide(self, state: State, seat: int, move: str) -> list[Event]:
        """Make a choice: what it changes, what opens and closes meanwhile, and where it leads."""
        if state.over:
            raise IllegalMove("invalid_phase", "The story has ended.")
        choice = SCENES[state.scene].choices.get(move)
        if choice is None:
            raise IllegalMove("no_such_choice", "There is no such choice here.")
        if not _is_met(state, choice.needs):
            raise IllegalMove("choice_closed", "You cannot choose this now.")
        return list(_events_of(state, seat, move, choice))

    def evolve(self, state: State, event: Event) -> None:
        """Fold one event."""
        payload = event.payload
        match event.type:
            case "choice_made":
                state.moves += 1
                state.choices[payload["scene"]] = payload["choice"]
            case "flag_set":
                state.flags[payload["flag"]] = True
            case "counter_changed":
                state.counters[payload["counter"]] += payload["by"]
            case "lore_unlocked":
                state.lore.append(payload["lore"])
            case "event_opened":
                state.open.add(payload["event"])
            case "event_closed":
                state.open.discard(payload["event"])
            case "scene_entered":
                state.scene, state.hour = payload["scene"], payload["hour"]
            case "story_ended":
                state.over, state.ending = True, SCENES[payload["ending"]].ending
            case "player_left":
                state.over = True

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        """Read a choice back."""
        if event.type != "choice_made":
            return None
        move = {"type": "choose", "choice": event.payload["choice"]}
        return SeatMove(state.players.index(event.payload["player_id"]), move)

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Draw the scene, what is remembered, and what can be chosen."""
        is_mine = viewer is not None and not state.over
        options = _options(state) if is_mine else {}
        return {
            "seat": viewer,
            "scene": state.scene,
            "text": SCENES[state.scene].text,
            "hour": state.hour,
            "flags": dict(state.flags),
            "counters": dict(state.counters),
            "choices": dict(state.choices),
            "lore": list(state.lore),
            "open": sorted(state.open),
            "over": state.over,
            "options": {name: choice.text for name, choice in options.items()},
            "legal_moves": [{"type": "choose", "choice": name} for name in options],
        }

    def to_act(self, state: State) -> Turn | None:
        """Wait for the player, in some scenes not for long."""
        if state.over:
            return None
        scene_s = SCENES[state.scene].timeout_s
        waits_s = state.config.turn_timeout_s
        return Turn((0,), state.moves, waits_s if scene_s is None else min(scene_s, waits_s))

    def timeout_move(self, state: State, seat: int) -> Payload:
        """Hesitate: the last choice of a scene is what happens then."""
        return {"type": "choose", "choice": [*SCENES[state.scene].choices][-1]}

    def outcome(self, state: State) -> Outcome | None:
        """Score the ending; a story that was left has none."""
        if not state.over:
            return None
        score = state.ending.score if state.ending else 0
        is_good = state.ending is not None and state.ending.is_good
        return Outcome((Standing(0, score, is_winner=is_good),))


def _options(state: State) -> dict[str, Choice]:
    choices = SCENES[state.scene].choices
    return {name: choice for name, choice in choices.items() if _is_met(state, choice.needs)}


def _is_met(state: State, needs: ChoiceNeeds) -> bool:
    return (
        all(flag in state.flags for flag in needs.flags)
        and not any(flag in state.flags for flag in needs.without)
        and all(state.counters[name] >= least for name, least in needs.counters.items())
        and (needs.event is None or needs.event in state.open)
    )


def _events_of(state: State, seat: int, name: str, choice: Choice) -> Iterator[Event]:
    player = state.players[seat]
    yield Event(
        "choice_made",
        {"player_id": player, "scene": state.scene, "choice": name, "hour": state.hour, "_v": 1},
    )
    for flag in choice.sets:
        yield Event("flag_set", {"flag": flag, "_v": 1})
    for counter, by in choice.gives.items():
        yield Event("counter_changed", {"counter": counter, "by": by, "_v": 1})
    for lore in choice.lore:
        if lore not in state.lore:
            yield Event("lore_unlocked", {"lore": lore, "_v": 1})
    hour = state.hour + choice.hours
    yield from _passing(state, hour)
    scene = choice.to
    if SCENES[scene].ending is None and hour >= LAST_HOUR:
        scene = DAWN
    yield _entered(scene, hour)
    if (ending := SCENES[scene].ending) is not None:
        payload = {"ending": scene, "score": ending.score, "is_good": ending.is_good, "_v": 1}
        yield Event("story_ended", payload)


def _passing(state: State, until: int) -> Iterator[Event]:
    """Tell what opens and closes up to an hour; the storm is also remembered as a flag."""
    windows = {**WINDOWS, STORM: state.storm}
    for hour in range(state.hour + 1, until + 1):
        for event, window in windows.items():
            if hour == window.closes:
                yield Event("event_closed", {"event": event, "hour": hour, "_v": 1})
            elif hour == window.opens:
                yield Event("event_opened", {"event": event, "hour": hour, "_v": 1})
                if event == STORM:
                    yield Event("flag_set", {"flag": "storm_came", "_v": 1})


def _entered(scene: str, hour: int) -> Event:
    return Event(
        "scene_entered", {"scene": scene, "hour": hour, "text": SCENES[scene].text, "_v": 1}
    )
