"""Follows, blocks and mutes on the wire."""

from typing import Final

from pydantic import Field

from protocol.blueprints import WireUserId
from protocol.envelope import WireModel
from protocol.errors import PlayhallError

FOLLOWS_MAX: Final = 5000  # of one account; as many blocks, and as many mutes


class PersonNotFound(PlayhallError):
    """There is no such person, or you may not see them."""

    code, status = "person_not_found", 404


class TooManyTies(PlayhallError):
    """You follow, block or mute the maximum number of people; end some of that first."""

    code, status = "too_many_ties", 409


class PersonPath(WireModel):
    """The person in an address."""

    user_id: WireUserId


class Follow(WireModel):
    """How to follow somebody."""

    notify_creations: bool = Field(default=False, description="Be notified of what they publish.")


class Ties(WireModel):
    """What there is between you and a person."""

    user_id: WireUserId
    is_following: bool
    notify_creations: bool
    is_followed_by: bool
    is_blocked: bool = Field(description="By you.")
    is_muted: bool = Field(description="By you.")


class RelatedPerson(WireModel):
    """A person in a list."""

    user_id: WireUserId
    username: str | None
    display_name: str | None
    avatar_url: str | None
    since: str


class RelatedPeople(WireModel):
    """One page of people, newest tie first."""

    people: list[RelatedPerson]
    next: str | None


class BlockedPerson(WireModel):
    """A person whom you block or mute."""

    user_id: WireUserId
    since: str


class BlockedPeople(WireModel):
    """One page of people whom you block or mute, newest first."""

    people: list[BlockedPerson]
    next: str | None
