"""The Long Winter: the story that is seeded, as data. Pure.

It follows The Lamplighter (`server/rulesets/lamplighter`): its readers play that night first, as a
save that is the ruleset's log, and then this winter, as a save of states. To write another story,
change this file and `definitions.py`; `check` says what would not work.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

LOG_TITLE: Final = "lamplighter"
TITLE: Final = "long_winter"


class Chapter(NamedTuple):
    """A chapter; `minutes` is what it usually takes."""

    name: str
    minutes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What can be chosen in a scene, and what comes of it.

    `weight` is how many choose it, relative to the others. `found` are items that the client
    reports, `recipe` is carried out if there is enough for it. `quests` are tried afterwards, in
    this order.
    """

    to: str
    tone: str
    weight: float = 1.0
    flags: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    lore: tuple[str, ...] = ()
    found: Mapping[str, int] = field(default_factory=dict)
    recipe: str | None = None
    quests: tuple["QuestMove", ...] = ()


class QuestMove(NamedTuple):
    """Something that a reader does about a quest: accept, complete, or report a step."""

    quest: str
    act: str
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where the story is. `leaves` is the share of the readers who stop here for good.

    `step` is what telemetry calls this along the main quest; None for scenes beside its way.
    """

    chapter: str
    leaves: float
    options: Mapping[str, Option]
    step: str | None = None


MAIN_QUEST: Final = "light_the_lamp"
START: Final = "quay"
LAST_STEP: Final = "see_the_end"
ENDINGS: Final = ("lamp_lit", "lit_by_many", "sold_out", "stayed_home")
CHAPTERS: Final = (
    Chapter("the_last_boat", 14.0),
    Chapter("the_market", 22.0),
    Chapter("the_ice", 31.0),
    Chapter("the_lamp", 12.0),
)
COUNTERS: Final = ("courage", "wit")

SCENES: Final[Mapping[str, Scene]] = {
    "quay": Scene(
        chapter="the_last_boat",
        leaves=0.05,
        step="meet_the_boat",
        options={
            "help_unload": Option(
                to="letter",
                tone="sincere",
                weight=5,
                counters={"courage": 1},
                found={"rope": 1},
                quests=(QuestMove(MAIN_QUEST, "accept"), QuestMove(MAIN_QUEST, "report", "hear")),
            ),
            "mock_the_mayor": Option(
                to="letter",
                tone="satire",
                weight=3,
                flags=("mocked_mayor",),
                counters={"wit": 2},
                quests=(QuestMove(MAIN_QUEST, "accept"), QuestMove(MAIN_QUEST, "report", "hear")),
            ),
            "walk_away": Option(to="alley", tone="dark", weight=2),
        },
    ),
    "alley": Scene(
        chapter="the_last_boat",
        leaves=0.12,
        options={
            "follow_the_cat": Option(
                to="letter",
                tone="satire",
                weight=3,
                counters={"wit": 1},
                lore=("the_cat_of_the_quay",),
                quests=(QuestMove(MAIN_QUEST, "accept"), QuestMove(MAIN_QUEST, "report", "hear")),
            ),
            "wait_for_snow": Option(to="letter", tone="dark", weight=1),
        },
    ),
    "letter": Scene(
        chapter="the_last_boat",
        leaves=0.04,
        step="get_the_letter",
        options={
            "deliver_sealed": Option(
                to="market",
                tone="sincere",
                weight=4,
                flags=("kept_word",),
                quests=(QuestMove("keepers_letter", "accept"),),
            ),
            "open_it": Option(
                to="market",
                tone="satire",
                weight=4,
                flags=("read_letter",),
                lore=("the_keepers_letter",),
                quests=(QuestMove("keepers_letter", "accept"),),
            ),
            "burn_it": Option(to="market", tone="dark", weight=1, flags=("burned_letter",)),
        },
    ),
    "market": Scene(
        chapter="the_market",
        leaves=0.08,
        step="reach_the_market",
        options={
            "work_for_oil": Option(
                to="workshop", tone="sincere", weight=4, found={"lamp_oil": 2, "brass": 2}
            ),
            "haggle": Option(
                to="workshop",
                tone="satire",
                weight=4,
                counters={"wit": 1},
                found={"lamp_oil": 1, "brass": 2},
            ),
            "steal_oil": Option(
                to="cellar",
                tone="dark",
                weight=2,
                flags=("thief",),
                found={"lamp_oil": 2},
                quests=(QuestMove("thiefs_bargain", "accept"),),
            ),
        },
    ),
    "cellar": Scene(
        chapter="the_market",
        leaves=0.10,
        options={
            "confess": Option(
                to="workshop",
                tone="sincere",
                weight=3,
                flags=("honest",),
                counters={"courage": 2},
                found={"brass": 2},
                quests=(QuestMove("thiefs_bargain", "complete"),),
            ),
            "stay_hidden": Option(to="ice", tone="dark", weight=2),
        },
    ),
    "workshop": Scene(
        chapter="the_market",
        leaves=0.05,
        step="reach_the_workshop",
        options={
            "build_a_lantern": Option(
                to="ice",
                tone="sincere",
                weight=6,
                recipe="lantern",
                quests=(
                    QuestMove("lantern_week", "accept"),
                    QuestMove("lantern_week", "complete"),
                ),
            ),
            "trust_the_moon": Option(to="ice", tone="satire", weight=3, counters={"wit": 1}),
        },
    ),
    "ice": Scene(
        chapter="the_ice",
        leaves=0.16,  # the long chapter, in which most stop
        step="step_on_the_ice",
        options={
            "take_the_rope": Option(to="island", tone="sincere", weight=4, flags=("crossed_ice",)),
            "race_the_tide": Option(
                to="island",
                tone="satire",
                weight=3,
                flags=("crossed_ice",),
                counters={"courage": 2},
            ),
            "turn_back": Option(to="stayed_home", tone="dark", weight=1),
        },
    ),
    "island": Scene(
        chapter="the_ice",
        leaves=0.06,
        step="reach_the_island",
        options={
            "share_the_fire": Option(
                to="lamp",
                tone="sincere",
                weight=5,
                flags=("friend_of_keeper",),
                lore=("the_drowned_bell",),
                quests=(
                    QuestMove("keepers_letter", "report", "hand_over"),
                    QuestMove("keepers_letter", "complete"),
                    QuestMove("the_drowned_bell", "accept"),
                    QuestMove("the_drowned_bell", "report", "ring"),
                    QuestMove("the_drowned_bell", "complete"),
                ),
            ),
            "go_on_alone": Option(to="lamp", tone="dark", weight=3),
        },
    ),
    "lamp": Scene(
        chapter="the_lamp",
        leaves=0.03,
        step="climb_to_the_lamp",
        options={
            "light_it": Option(
                to="lamp_lit",
                tone="sincere",
                weight=5,
                flags=("lamp_lit",),
                quests=(QuestMove(MAIN_QUEST, "complete"),),
            ),
            "teach_the_children": Option(
                to="lit_by_many",
                tone="sincere",
                weight=3,
                flags=("lamp_lit", "children_know"),
                lore=("the_second_keeper",),
                quests=(QuestMove(MAIN_QUEST, "complete"),),
            ),
            "sell_the_lens": Option(to="sold_out", tone="satire", weight=2, flags=("lens_sold",)),
        },
    ),
}


def first_state() -> dict[str, object]:
    """Give the state of a save that has just begun."""
    return {
        "chapter": 1,
        "scene": START,
        "flags": {},
        "counters": dict.fromkeys(COUNTERS, 0),
        "choices": {},
        "lore": [],
        "cosmetics": [],
        "ending": "",
    }


def chapter_number(name: str) -> int:
    """Say which chapter this is; the first is 1."""
    return [chapter.name for chapter in CHAPTERS].index(name) + 1


def step_order(scene: str) -> int:
    """Say where a scene is along the story, as telemetry orders steps; all endings are alike."""
    return [*SCENES].index(scene) if scene in SCENES else len(SCENES)


def check_story() -> None:
    """Raise `ValueError` for a story that leads nowhere, or is never over."""
    for name, scene in SCENES.items():
        chapter_number(scene.chapter)
        for choice, option in scene.options.items():
            if option.to not in ENDINGS and step_order(option.to) <= step_order(name):
                raise ValueError(f"{name}: {choice} leads back, so a reader may never arrive")
            if not option.counters.keys() <= set(COUNTERS):
                raise ValueError(f"{name}: {choice} counts something that no save has")


check_story()
