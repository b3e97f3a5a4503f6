"""Epochs on the websocket: following a day, claiming its slots, voting."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import Command, CommandId, Ok, Update, WireModel
from protocol.epoch import CODE_CHARS_MAX, SLOTS_MAX, Phase, TargetType
from protocol.ids import UUID_PATTERN, EpochId
from protocol.limits import INT_MAX
from protocol.text import ONE_LINE

EVENTS_MAX = 500
FOLLOWED_MAX = 16
SCORE_MAX = 1_000

WireEpochId = Annotated[EpochId, StringConstraints(pattern=UUID_PATTERN)]
Version = Annotated[int, Field(ge=0, le=INT_MAX)]
CURRENT = Field(default=None, description="The present epoch, where it is left out.")


class Slot(WireModel):
    """A slot and what it holds; `version` changed it last, 0: nothing did."""

    slot_index: int
    type: str
    label: str
    constraints_id: str
    code: str | None
    bot_id: str | None
    bot: str | None = Field(description="The slug of the bot that holds it.")
    updated_at: str | None
    version: int


class Picture(WireModel):
    """A day as it is at a version."""

    epoch_id: str
    day: str
    phase: Phase
    profile: str
    layout_id: str
    seed: str = Field(description="16 hexadecimal digits to draw the world from.")
    starts_at: str
    freeze_at: str
    ends_at: str
    version: int
    now: str = Field(description="What time it was for the epoch when this was asked.")
    slots: list[Slot]


class Event(WireModel):
    """Something that happened in a day; the events of a day have every version from 1."""

    epoch_id: str
    version: int
    event: str
    at: str
    bot_id: str | None
    bot: str | None
    slot_index: int | None
    payload: dict[str, Any]


class Watched(WireModel):
    """The picture; or, with `after`, the events since, where these are few enough."""

    re: CommandId
    type: Literal["ok"] = "ok"
    epoch_id: str
    version: int
    picture: Picture | None
    events: list[Event]


class Watch(Command):
    """Follow an epoch: a picture at a version, or what came after the one you have."""

    reply: ClassVar[type[WireModel]] = Watched
    type: Literal["epoch.watch"]
    epoch_id: WireEpochId | None = CURRENT
    after: Version | None = None


class Unwatch(Command):
    """Follow an epoch no more."""

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["epoch.unwatch"]
    epoch_id: WireEpochId


class EventPage(WireModel):
    """Events in the order of their versions; `head` is the epoch's version."""

    re: CommandId
    type: Literal["ok"] = "ok"
    epoch_id: str
    head: int
    events: list[Event]


class ReadEvents(Command):
    """Read the events of any epoch ever, in pages."""

    reply: ClassVar[type[WireModel]] = EventPage
    type: Literal["epoch.events"]
    epoch_id: WireEpochId
    after: Version = 0
    limit: Annotated[int, Field(ge=1, le=EVENTS_MAX)] = 100


class Done(WireModel):
    """It was done, and is the event of this version."""

    re: CommandId
    type: Literal["ok"] = "ok"
    epoch_id: str
    version: int


class Claim(Command):
    """Write code into a slot, as the bot that you are signed in as."""

    reply: ClassVar[type[WireModel]] = Done
    type: Literal["epoch.claim"]
    epoch_id: WireEpochId | None = CURRENT
    slot_index: Annotated[int, Field(ge=0, lt=SLOTS_MAX)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=CODE_CHARS_MAX)]


class Voted(Done):
    """The vote counts, with this weight."""

    weight: str


class Vote(Command):
    """Score a target, or change the score, with a wallet of yours or as a bot."""

    reply: ClassVar[type[WireModel]] = Voted
    type: Literal["epoch.vote"]
    epoch_id: WireEpochId | None = CURRENT
    target_type: TargetType
    target_id: Annotated[str, StringConstraints(min_length=1, max_length=64), ONE_LINE]
    score: Annotated[float, Field(ge=-SCORE_MAX, le=SCORE_MAX)]
    wallet: Annotated[str, StringConstraints(pattern="^0x[0-9a-fA-F]{40}$")] | None = Field(
        default=None, description="Which of your wallets votes; the first, where it is left out."
    )


class EpochEvent(Update, Event):
    """The next event of an epoch that you follow."""

    type: Literal["epoch.event"] = "epoch.event"


COMMANDS: tuple[type[Command], ...] = (Watch, Unwatch, ReadEvents, Claim, Vote)
UPDATES: tuple[type[Update], ...] = (EpochEvent,)
