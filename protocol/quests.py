"""Quests, timed events and what is unlocked, on the wire."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.inventory import AssetId, Bundle, BundleContent, Mode
from protocol.limits import INT_MAX
from protocol.lobbies import pattern_with_message
from protocol.saves import SlotPath, TitleName
from protocol.text import ONE_LINE, SOME_LINES

QUESTS_MAX: Final = 500  # of a title
EVENTS_MAX: Final = 200  # of a title; as many seasons
STEPS_MAX: Final = 50
CONDITION_CHARS_MAX: Final = 1000

Name = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(r"[a-z][a-z0-9_]*", "Name it with a to z, digits and underscores"),
]
Heading = Annotated[str, StringConstraints(min_length=1, max_length=200), ONE_LINE]
Description = Annotated[str, StringConstraints(max_length=2000), SOME_LINES]
ConditionText = Annotated[str, StringConstraints(max_length=CONDITION_CHARS_MAX)]
Package = Annotated[str, StringConstraints(min_length=1, max_length=100), ONE_LINE]
QuestStatus = Literal["locked", "available", "active", "completed", "claimed", "failed", "expired"]
LocalTime = Annotated[
    str,
    StringConstraints(max_length=19),
    pattern_with_message(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?",
        "Write the time as the zone's clocks show it: 2027-10-31T18:00",
    ),
]

# ------------------------------------------------------------------ errors


class QuestNotFound(PlayhallError):
    """The slot's title has no such quest, or nobody has found it yet."""

    code, status = "quest_not_found", 404


class QuestNotPossible(PlayhallError):
    """The quest is not in the state for this; GET the slot's quests to see."""

    code, status = "quest_not_possible", 409


class StepNotDone(PlayhallError):
    """The step of the quest is not done yet."""

    code, status = "quest_step_not_done", 409


class ConditionRefused(PlayhallError):
    """The condition cannot be used."""

    code, status = "condition_refused", 422


class ScheduleRefused(PlayhallError):
    """The schedule cannot be used."""

    code, status = "schedule_refused", 422


class TooManyQuests(PlayhallError):
    """The title has the maximum number of quests, timed events or seasons."""

    code, status = "too_many_quests", 409


# ------------------------------------------------------------------ what a quest is


class ReportStep(WireModel):
    """A step that the client reports as done."""

    kind: Literal["report"]
    name: Name
    description: Description = ""


class ConditionStep(WireModel):
    """A step that is done once a condition holds."""

    kind: Literal["condition"]
    name: Name
    description: Description = ""
    when: Annotated[str, StringConstraints(min_length=1, max_length=CONDITION_CHARS_MAX)]


class GamesStep(WireModel):
    """A step that is done after so many games on this server."""

    kind: Literal["games"]
    name: Name
    description: Description = ""
    ruleset: Annotated[
        str,
        StringConstraints(max_length=64),
        pattern_with_message(r"[a-z][a-z0-9_]*", "Name a ruleset"),
    ]
    games: Annotated[int, Field(ge=1, le=1000)]
    wins: bool = Field(default=False, description="Only games that were won count.")


Step = Annotated[ReportStep | ConditionStep | GamesStep, Field(discriminator="kind")]


def _named_once(steps: list[Any]) -> list[Any]:
    if len({step.name for step in steps}) != len(steps):
        raise ValueError("Give each step a name of its own")
    return steps


class RewardBundle(Bundle):
    """What a quest gives: items, currencies and unlocks; what is unlocked is also in the state."""

    flags: Annotated[dict[AssetId, bool], Field(max_length=64)] = Field(
        default_factory=dict, description="Set in the slot's state."
    )


class RewardContent(BundleContent):
    """The same as it is shown."""

    flags: dict[str, bool]


class StepContent(WireModel):
    """A step as it is stored; what its kind does not have is null."""

    kind: Literal["report", "condition", "games"]
    name: str
    description: str
    when: str | None
    ruleset: str | None
    games: int | None
    wins: bool | None


class QuestRequest(WireModel):
    """A quest, as an editor writes it."""

    title: Heading
    description: Description = ""
    required_flags: ConditionText = Field(
        default="", description="The condition (CEL) under which it is available; empty: always."
    )
    fails_when: ConditionText = Field(
        default="", description="The condition under which it fails once accepted; empty: never."
    )
    steps: Annotated[list[Step], Field(max_length=STEPS_MAX), AfterValidator(_named_once)] = Field(
        default_factory=list
    )
    reward_bundle: RewardBundle = Field(default_factory=RewardBundle)
    event: Name | None = Field(
        default=None, description="The timed event outside of which it cannot be done."
    )
    hidden: bool = Field(default=False, description="Nobody is told of it before it is available.")
    package: Package | None = None
    is_withdrawn: bool = Field(default=False, description="Nobody can begin it any more.")
    follows: Annotated[list[Name], Field(max_length=STEPS_MAX)] = Field(
        default_factory=list,
        description="Quests that must have been available before; checked on completion.",
    )
    min_play_time_s: Annotated[int, Field(ge=0, le=INT_MAX)] = Field(
        default=0, description="Less play time than this is implausible on completion."
    )


class QuestDefinition(WireModel):
    """A quest as editors read it."""

    quest_id: str
    name: str
    title: str
    description: str
    required_flags: str
    fails_when: str
    steps: list[StepContent]
    reward_bundle: RewardContent
    event: str | None
    hidden: bool
    package: str | None
    is_withdrawn: bool
    follows: list[str]
    min_play_time_s: int
    version: int
    updated_at: str


class QuestDefinitions(WireModel):
    """The quests of a title."""

    quests: list[QuestDefinition]


class QuestChecks(WireModel):
    """What is done about implausible progress in a title; null: as the node is set."""

    play_time: Mode | None = Field(
        default=None, description="A quest is completed with less play time than it takes."
    )
    quest_order: Mode | None = Field(
        default=None, description="A quest is completed that follows one that never was available."
    )


class TitlePath(WireModel):
    """The title in an address."""

    title: TitleName


class NamePath(TitlePath):
    """What is named in an address."""

    name: Name


# ------------------------------------------------------------------ how far a slot is


class QuestPath(SlotPath):
    """A slot's quest in an address."""

    name: Name


class StepProgress(WireModel):
    """A step, and how far it is."""

    name: str
    description: str
    kind: Literal["report", "condition", "games"]
    is_done: bool
    count: int = Field(description="Games that count so far; 0 for other kinds.")
    target: int = Field(description="Games that are needed; 1 for other kinds.")


class Quest(WireModel):
    """A quest, and how far the slot is with it."""

    quest_id: str
    name: str
    title: str
    description: str
    status: QuestStatus
    unmet: list[str] = Field(description="Why it is not available: the conditions that fail.")
    event: str | None
    opens_at: str | None = Field(description="When its event opens next.")
    closes_at: str | None = Field(description="When its event closes, if it is open.")
    steps: list[StepProgress]
    reward_bundle: RewardContent
    is_rewarded: bool = Field(description="The account has the reward, with whichever slot.")
    last_updated: str | None


class Quests(WireModel):
    """The quests of a slot, by name; those that are hidden are left out."""

    slot_id: str
    quests: list[Quest]


class QuestAdvance(WireModel):
    """Which step is done."""

    step: Name


class QuestActed(WireModel):
    """The quest after what was done."""

    quest: Quest
    is_repeated: bool = Field(description="It was done before; nothing changed.")
    granted: RewardContent | None = Field(
        default=None,
        description="What claiming gave: items and currencies once for each account.",
    )


class Narrative(WireModel):
    """What the slot's state says of the story; `mods` are left out."""

    slot_id: str
    revision: int
    flags: dict[str, Any]
    counters: dict[str, Any]
    choices: dict[str, Any]
    lore: list[str]
    cosmetics: list[str]


# ------------------------------------------------------------------ timed events


class SeasonRequest(WireModel):
    """A season, as an editor writes it."""

    title: Heading
    description: Description = ""
    starts_at: LocalTime = Field(description="The first opening, by the clocks of `zone`.")
    zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="Europe/Berlin"
    )
    duration_s: Annotated[int, Field(ge=60, le=400 * 86_400)]
    recurrence: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="RRULE (RFC 5545): FREQ=WEEKLY;BYDAY=FR. Null: once."
    )
    is_withdrawn: bool = False


class TimedEventRequest(SeasonRequest):
    """A timed event, as an editor writes it."""

    season: Name | None = Field(
        default=None, description="The season outside of which it stays closed."
    )


class Season(SeasonRequest):
    """A season as editors read it."""

    season_id: str
    name: str
    version: int
    updated_at: str


class TimedEventDefinition(TimedEventRequest):
    """A timed event as editors read it."""

    event_id: str
    name: str
    version: int
    updated_at: str


class TimedEvents(WireModel):
    """The timed events and the seasons of a title."""

    events: list[TimedEventDefinition]
    seasons: list[Season]


class TimedEventStatus(WireModel):
    """A timed event or season, and whether it is open by the server's clock."""

    kind: Literal["event", "season"]
    name: str
    season: str | None
    title: str
    description: str
    zone: str
    is_open: bool
    opened_at: str | None
    closes_at: str | None
    next_opens_at: str | None


class TimedEventStatusesQuery(WireModel):
    """Of which title."""

    title: TitleName


class TimedEventStatuses(WireModel):
    """What is open, and what opens next."""

    now: str
    events: list[TimedEventStatus]
