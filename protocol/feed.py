"""Feeds and search on the wire, and what is new in a feed."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from protocol.blueprints import WireUserId
from protocol.creations import CreationCard, CreationType, WireCreationId
from protocol.envelope import Command, Ok, Update, WireModel
from protocol.history import Limit
from protocol.lobbies import Cursor
from protocol.text import NAME, ONE_LINE

QUERY_CHARS_MAX: Final = 200
RECOMMENDED_MAX: Final = 50

WhichFeed = Literal["following", "public"]


class PublicFeedQuery(WireModel):
    """Which published creations to list; conditions may be combined."""

    type: CreationType | None = None
    tag: Annotated[str, StringConstraints(min_length=1, max_length=32), NAME] | None = None
    user_id: WireUserId | None = None
    featured: bool = False
    cursor: Cursor | None = None
    limit: Limit = 20


class SearchQuery(WireModel):
    """What to look for: words, "phrases", and -words that must not be there."""

    q: Annotated[str, StringConstraints(min_length=1, max_length=QUERY_CHARS_MAX), ONE_LINE]
    type: CreationType | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class Creations(WireModel):
    """One page of published creations."""

    creations: list[CreationCard]
    next: str | None


class SimilarQuery(WireModel):
    """Which similar creations to list."""

    other_people: bool = Field(default=False, description="Leave out creations by the same person.")
    limit: Annotated[int, Field(ge=1, le=RECOMMENDED_MAX)] = 20


class RecommendedQuery(WireModel):
    """How many recommended creations to list."""

    limit: Annotated[int, Field(ge=1, le=RECOMMENDED_MAX)] = 20


class Reason(WireModel):
    """Why a creation is recommended."""

    kind: Literal["tag", "because_you_liked", "also_liked"]
    text: str = Field(description="In English, such as: tag: lake.")
    tag: str | None = Field(default=None, description="The rarest tag that both have.")
    creation_id: WireCreationId | None = Field(
        default=None, description="What you liked, for because_you_liked."
    )
    people: int | None = Field(
        default=None, description="How many others liked both, for also_liked."
    )


class Recommendation(CreationCard):
    """A recommended creation, and why."""

    reasons: list[Reason]


class Recommendations(WireModel):
    """Recommended creations, best first."""

    creations: list[Recommendation]


class WatchFeed(Command):
    """Be told of new creations: of those whom you follow, or of everybody."""

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["feed.watch"]
    feed: WhichFeed = "following"


class UnwatchFeed(Command):
    """Stop being told of new creations."""

    type: Literal["feed.unwatch"]
    feed: WhichFeed = "following"


class NewCreationPosted(Update):
    """Somebody published a creation; read the feed to see it, and what you may have missed."""

    type: Literal["feed.new"] = "feed.new"
    feed: WhichFeed
    creation_id: WireCreationId
    user_id: WireUserId
    title: str
    published_at: str = Field(description="Feeds are in this order.")


COMMANDS: tuple[type[Command], ...] = (WatchFeed, UnwatchFeed)
UPDATES: tuple[type[Update], ...] = (NewCreationPosted,)
