"""The story as data: scenes, choices, what they need and what they change.

To write another one, change this file alone; `check` says what would not work. It is run when the
module is imported, so a story with a mistake never starts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple


class Window(NamedTuple):
    """When an event of the story is open: from an hour to before another; 24 is midnight."""

    opens: int
    closes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceNeeds:
    """What a choice needs: flags that are set, flags that are not, counters, an open event."""

    flags: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    event: str | None = None


ANYTHING: Final = ChoiceNeeds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What can be chosen in a scene, and what comes of it."""

    text: str
    to: str
    hours: int = 1
    needs: ChoiceNeeds = ANYTHING
    sets: tuple[str, ...] = ()
    gives: Mapping[str, int] = field(default_factory=dict)
    lore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a story ended."""

    score: int
    is_good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where the story is. Its last choice is always possible; it is what hesitating means.

    `timeout_s` is how long one may think where the story does not wait.
    """

    text: str
    choices: Mapping[str, Choice] = field(default_factory=dict)
    ending: Ending | None = None
    timeout_s: float | None = None


START: Final = "harbour"
DAWN: Final = "dawn"
FIRST_HOUR: Final = 18
LAST_HOUR: Final = 30  # six in the morning
STORM: Final = "storm"
STORM_HOURS: Final = (25, 26, 27)  # one of them, by chance; it lasts until dawn
# The events with fixed times.
WINDOWS: Final[Mapping[str, Window]] = {"market": Window(19, 22), "low_tide": Window(22, 26)}
COUNTERS: Final = ("coins", "oil", "courage")
FIRST_COUNTERS: Final[Mapping[str, int]] = {"coins": 3, "oil": 0, "courage": 0}

SCENES: Final[Mapping[str, Scene]] = {
    "harbour": Scene(
        text="Six in the evening. The lighthouse is dark, and three boats are still at sea.",
        choices={
            "ask_keeper": Choice(
                text="Ask the old keeper what happened.",
                to="harbour",
                needs=ChoiceNeeds(without=("knows_keeper",)),
                sets=("knows_keeper",),
                lore=("the_keepers_debt",),
            ),
            "go_to_market": Choice(
                text="Go to the night market.", to="market", needs=ChoiceNeeds(event="market")
            ),
            "help_fishers": Choice(
                text="Help the fishers with their nets for a coin.",
                to="harbour",
                hours=2,
                needs=ChoiceNeeds(without=("helped_fishers",)),
                sets=("helped_fishers",),
                gives={"coins": 2, "courage": 1},
            ),
            "walk_to_sands": Choice(text="Walk to the sands.", to="sands"),
        },
    ),
    "market": Scene(
        text="Lanterns, smoke, and a merchant who has the last oil in town.",
        choices={
            "buy_oil": Choice(
                text="Buy a can of oil for three coins.",
                to="market",
                needs=ChoiceNeeds(counters={"coins": 3}),
                gives={"coins": -3, "oil": 1},
            ),
            "steal_oil": Choice(
                text="Take a can while nobody looks.",
                to="alley",
                needs=ChoiceNeeds(without=("thief",)),
                sets=("thief",),
                gives={"oil": 1},
            ),
            "read_stone": Choice(
                text="Read the stone in the middle of the square.",
                to="market",
                needs=ChoiceNeeds(without=("read_stone",)),
                sets=("read_stone",),
                lore=("the_first_light",),
            ),
            "leave": Choice(text="Go back to the harbour.", to="harbour"),
        },
    ),
    "alley": Scene(
        text="Somebody shouts behind you. There is a wall, and there is a door.",
        timeout_s=30.0,
        choices={
            "climb": Choice(text="Climb the wall.", to="sands", gives={"courage": 1}),
            "confess": Choice(
                text="Turn round and pay for it.",
                to="harbour",
                needs=ChoiceNeeds(counters={"coins": 3}),
                sets=("honest",),
                gives={"coins": -3, "courage": 2},
            ),
            "freeze": Choice(text="Stand still.", to="caught"),
        },
    ),
    "sands": Scene(
        text="The lighthouse stands beyond the sands. Water runs in the channels.",
        choices={
            "cross": Choice(
                text="Cross while the tide is low.",
                to="lighthouse",
                needs=ChoiceNeeds(event="low_tide"),
            ),
            "row": Choice(
                text="Row across in the keeper's boat.",
                to="lighthouse",
                hours=2,
                needs=ChoiceNeeds(flags=("knows_keeper",), without=("storm_came",)),
                gives={"courage": 1},
            ),
            "swim": Choice(
                text="Swim.", to="drowned", hours=2, needs=ChoiceNeeds(flags=("storm_came",))
            ),
            "return": Choice(text="Go back to the harbour.", to="harbour"),
            "wait": Choice(text="Wait for the tide.", to="sands"),
        },
    ),
    "lighthouse": Scene(
        text="The stair is wet, the lamp is whole, and the tank is empty.",
        choices={
            "light": Choice(
                text="Fill the tank and light the lamp.",
                to="lit",
                needs=ChoiceNeeds(counters={"oil": 1}),
                sets=("lamp_lit",),
                lore=("the_last_light",),
            ),
            "burn_stair": Choice(
                text="Break up the stair and burn it.",
                to="burnt",
                needs=ChoiceNeeds(counters={"courage": 2, "oil": 0}),
                sets=("stair_burnt",),
            ),
            "search": Choice(
                text="Search the store room.",
                to="lighthouse",
                hours=2,
                needs=ChoiceNeeds(flags=("knows_keeper",), without=("searched",)),
                sets=("searched",),
                gives={"oil": 1},
            ),
            "watch": Choice(text="Watch the sea.", to="lighthouse"),
        },
    ),
    "lit": Scene(
        text="The light turns over the sea, and three boats turn with it.",
        ending=Ending(score=10, is_good=True),
    ),
    "burnt": Scene(
        text="A fire on the rock is a light too. Two boats come home.",
        ending=Ending(score=6, is_good=True),
    ),
    "caught": Scene(
        text="You spend the night in the watch house, and it is a dark one.",
        ending=Ending(score=1, is_good=False),
    ),
    "drowned": Scene(text="The sea is stronger than you.", ending=Ending(score=0, is_good=False)),
    "dawn": Scene(
        text="The sun comes up over an empty sea.", ending=Ending(score=2, is_good=False)
    ),
}


def check_story(scenes: Mapping[str, Scene]) -> None:
    """Raise `ValueError` for a story that could not be played to an end."""
    events = {*WINDOWS, STORM}
    if START not in scenes or DAWN not in scenes or scenes[DAWN].ending is None:
        raise ValueError(f"a story begins with {START} and has an ending {DAWN}")
    for name, scene in scenes.items():
        if (scene.ending is None) != bool(scene.choices):
            raise ValueError(f"{name}: a scene has choices or is an ending")
        for choice_name, choice in scene.choices.items():
            where = f"{name}.{choice_name}"
            if choice.to not in scenes:
                raise ValueError(f"{where}: there is no scene {choice.to}")
            if choice.hours < 1:
                raise ValueError(f"{where}: a choice takes at least an hour, so that stories end")
            if {*choice.gives, *choice.needs.counters} - set(COUNTERS):
                raise ValueError(f"{where}: the counters are {', '.join(COUNTERS)}")
            if choice.needs.event is not None and choice.needs.event not in events:
                raise ValueError(f"{where}: there is no event {choice.needs.event}")
        if scene.choices and [*scene.choices.values()][-1].needs != ANYTHING:
            raise ValueError(f"{name}: the last choice is always possible")


check_story(SCENES)
