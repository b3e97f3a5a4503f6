"""Matchmaking on the wire."""

from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from protocol.envelope import Command, Ok, Update, WireModel
from protocol.errors import PlayhallError
from protocol.ids import WireGameId, WireLobbyId, WireMatchId, WirePlayerId
from protocol.limits import INT_MAX
from protocol.lobbies import Region, RulesetName, Seats, pattern_with_message
from protocol.text import ONE_LINE

PROPERTIES_MAX: Final = 8
CONDITIONS_MAX: Final = 8
CHOICES_MAX: Final = 16  # of `in`
PARTY_MAX: Final = 16

PropertyName = Annotated[
    str,
    StringConstraints(max_length=32),
    pattern_with_message(r"[a-z][a-z0-9_]*", "Use a to z, digits and underscores"),
]
PropertyText = Annotated[str, StringConstraints(min_length=1, max_length=64), ONE_LINE]
PropertyNumber = Annotated[float, Field(ge=-INT_MAX, le=INT_MAX)]
PropertyValue: TypeAlias = PropertyText | PropertyNumber
MatchState: TypeAlias = Literal["waiting", "offered", "starting", "ended"]


class NotQueued(PlayhallError):
    """You are in no queue; queue with match.queue."""

    code, status = "not_queued", 409


class MatchStarting(PlayhallError):
    """Your match has been found and is starting; match.found follows."""

    code, status = "match_starting", 409


class AlreadyQueued(PlayhallError):
    """You, or somebody of your party, are in a queue already; use match.leave first."""

    code, status = "already_queued", 409


class Condition(WireModel):
    """What a property of the others must be; one that they do not have fits nothing but `ne`."""

    property: PropertyName
    op: Literal["eq", "ne", "lt", "le", "gt", "ge", "in"]
    value: PropertyValue | Annotated[list[PropertyValue], Field(max_length=CHOICES_MAX)]


class MatchQueued(Ok):
    """You wait for a match; `match.update` says how it is going."""

    ticket_id: str
    queued_at: str
    rating: float
    estimate_s: float | None = Field(description="How long it may take; null if nobody knows.")


class Queue(Command):
    """Wait for a match of a ruleset with others of your strength.

    A party waits together: its lobby's host sends this with `lobby_id`, once everybody in it is
    ready. Everybody's `conditions` must hold for the others' `properties`.
    """

    reply: ClassVar[type[WireModel]] = MatchQueued
    type: Literal["match.queue"]
    ruleset: RulesetName
    seats: Seats | None = Field(default=None, description="Of the match; by default up to 4.")
    config: dict[str, Any] = Field(default_factory=dict)
    region: Region | None = Field(default=None, description="Preferred for a while; null fits any.")
    properties: Annotated[dict[PropertyName, PropertyValue], Field(max_length=PROPERTIES_MAX)] = (
        Field(default_factory=dict)
    )
    conditions: Annotated[list[Condition], Field(max_length=CONDITIONS_MAX)] = Field(
        default_factory=list
    )
    bots: bool = Field(default=True, description="Whether bots may fill the match after a wait.")
    lobby_id: WireLobbyId | None = Field(
        default=None, description="The lobby whose players are your party."
    )


class LeaveQueue(Command):
    """Leave the queue, with your whole party; declines a match that is offered."""

    type: Literal["match.leave"]


class Accept(Command):
    """Accept the match that is offered."""

    type: Literal["match.accept"]
    match_id: WireMatchId


class Decline(Command):
    """Decline the match that is offered, and leave the queue; the others wait on."""

    type: Literal["match.decline"]
    match_id: WireMatchId


class MatchUpdate(Update):
    """How your search is going; sent when that changes, and every few seconds.

    `offered` means that everybody has to accept until `accept_by`; `ended` that you are in the
    queue no longer.
    """

    type: Literal["match.update"] = "match.update"
    state: MatchState
    ruleset: RulesetName
    waited_s: float
    estimate_s: float | None
    rating_window: float | None = Field(
        description="How far the ratings of others may be from yours; null for any."
    )
    waiting: int = Field(description="How many people wait in this queue.")
    match_id: WireMatchId | None
    accept_by: str | None
    accepted: int
    players: int = Field(description="How many people have to accept.")


class MatchFound(Update):
    """Your match has begun: send `game.resume` with its `game_id`."""

    type: Literal["match.found"] = "match.found"
    match_id: WireMatchId
    ruleset: RulesetName
    lobby_id: WireLobbyId
    game_id: WireGameId
    seats: list[WirePlayerId | None] = Field(description="By seat; null for a bot.")


COMMANDS: tuple[type[Command], ...] = (Queue, LeaveQueue, Accept, Decline)
UPDATES: tuple[type[Update], ...] = (MatchUpdate, MatchFound)
