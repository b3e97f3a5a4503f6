"""Creations on the wire: what people make, publish and remix."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from protocol.blueprints import WireUserId
from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.files import TYPE_CHARS_MAX
from protocol.history import Limit
from protocol.ids import UUID_PATTERN, CreationId
from protocol.images import ERROR_HELP, STATE_HELP, ImageError, ImageState
from protocol.limits import FILE_BYTES_MAX, INT_MAX
from protocol.lobbies import Cursor, pattern_with_message
from protocol.schemas import JsonObject
from protocol.text import NAME, ONE_LINE, SOME_LINES

CREATIONS_MAX: Final = 10_000  # of one account
TAGS_MAX: Final = 30
CATEGORIES_MAX: Final = 10
ANALYTICS_DAYS_MAX: Final = 366

WireCreationId = Annotated[CreationId, StringConstraints(pattern=UUID_PATTERN)]
CreationType = Literal["image", "music", "video", "text", "multimodal"]
CreationStatus = Literal["draft", "processing", "published", "archived"]
CreationTitle = Annotated[str, StringConstraints(min_length=1, max_length=200), NAME]
CreationText = Annotated[str, StringConstraints(max_length=5000), SOME_LINES]
Prompt = Annotated[str, StringConstraints(max_length=10_000), SOME_LINES]
ToolName = Annotated[str, StringConstraints(max_length=100), ONE_LINE]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=32), NAME]
Tags = Annotated[list[Tag], Field(max_length=TAGS_MAX)]
Category = Annotated[str, StringConstraints(min_length=1, max_length=24), NAME]
Categories = Annotated[list[Category], Field(max_length=CATEGORIES_MAX)]
License = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(
        r"[A-Za-z0-9][A-Za-z0-9. +-]*",
        "Name a licence with letters, digits, spaces, dots, plus and dashes, such as CC-BY-4.0",
    ),
    Field(description="An SPDX name such as CC-BY-SA-4.0, or all-rights-reserved."),
]
Day = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    Field(description="Such as 2026-11-01."),
]
Seed = Annotated[int, Field(ge=-INT_MAX, le=INT_MAX)]

# ------------------------------------------------------------------ errors


class CreationNotFound(PlayhallError):
    """There is no such creation, or you may not see it."""

    code, status = "creation_not_found", 404


class CreationTaken(PlayhallError):
    """A creation with this id already exists; choose another id."""

    code, status = "creation_taken", 409


class TooManyCreations(PlayhallError):
    """You have the maximum number of creations; delete some first."""

    code, status = "too_many_creations", 409


class CreationIncomplete(PlayhallError):
    """The creation has no file yet; upload one and POST to its files before you publish it."""

    code, status = "creation_incomplete", 409


class RemixRefused(PlayhallError):
    """The original does not allow this remix."""

    code, status = "remix_refused", 409


# ------------------------------------------------------------------ what people send


class NewCreation(WireModel):
    """A new creation; it begins as a draft that only its owner sees."""

    creation_id: WireCreationId | None = None
    title: CreationTitle
    description: CreationText | None = None
    type: CreationType
    ai_tool: ToolName | None = None
    prompt: Prompt | None = None
    model: ToolName | None = None
    generation_params: JsonObject = Field(default_factory=dict, description="Up to 16 KiB.")
    seed: Seed | None = None
    metadata: JsonObject = Field(default_factory=dict, description="Up to 16 KiB.")
    is_nsfw: bool = False
    license: License = "all-rights-reserved"
    allow_remix: bool = False
    allow_commercial: bool = False
    tags: Tags = Field(default_factory=list)
    categories: Categories = Field(default_factory=list)


class CreationChanges(WireModel):
    """What to change of a creation; what is left out stays as it is.

    Null clears a description, tool, prompt, model or seed.
    """

    title: CreationTitle | None = None
    description: CreationText | None = None
    ai_tool: ToolName | None = None
    prompt: Prompt | None = None
    model: ToolName | None = None
    generation_params: JsonObject | None = None
    seed: Seed | None = None
    metadata: JsonObject | None = None
    is_public: bool | None = Field(
        default=None, description="False hides a published creation from everyone else."
    )
    is_nsfw: bool | None = None
    license: License | None = None
    allow_remix: bool | None = None
    allow_commercial: bool | None = None
    tags: Tags | None = None
    categories: Categories | None = None


class Remix(WireModel):
    """A remix of a creation; what is left out is taken from the original."""

    creation_id: WireCreationId | None = None
    title: CreationTitle | None = None
    description: CreationText | None = None
    type: CreationType | None = None
    license: License | None = None
    allow_remix: bool | None = None
    allow_commercial: bool | None = None
    tags: Tags | None = None


class CreationUpload(WireModel):
    """A file of a creation that is about to be uploaded; size and type must match exactly."""

    kind: Literal["file", "thumbnail"] = "file"
    size: Annotated[int, Field(ge=1, le=FILE_BYTES_MAX, description="In bytes.")]
    content_type: Annotated[str, StringConstraints(max_length=TYPE_CHARS_MAX)]


class AnalyticsQuery(WireModel):
    """Which days to count, by UTC: the last 30 if nothing is sent."""

    first: Day | None = None
    last: Day | None = Field(default=None, description="Today, if left out.")


class CreationPath(WireModel):
    """The creation in an address."""

    creation_id: WireCreationId


class OwnCreationsQuery(WireModel):
    """Which of your creations to list."""

    status: CreationStatus | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


# ------------------------------------------------------------------ what people get


class CreationCard(WireModel):
    """A creation in a list."""

    creation_id: WireCreationId
    user_id: WireUserId
    username: str | None
    display_name: str | None
    avatar_url: str | None
    title: str
    description: str | None
    type: CreationType
    file_url: str | None
    thumbnail_url: str | None
    blurhash: str | None
    ai_tool: str | None
    is_featured: bool
    is_nsfw: bool
    license: str
    allow_remix: bool
    allow_commercial: bool
    tags: list[str]
    categories: list[str]
    view_count: int
    like_count: int
    comment_count: int
    remix_count: int
    remix_of: WireCreationId | None
    user_has_liked: bool
    created_at: str
    updated_at: str
    published_at: str | None


class OwnCreationCard(CreationCard):
    """One of your own creations in a list."""

    status: CreationStatus
    is_public: bool
    is_removed: bool = Field(description="Moderators removed it; only you see it.")
    file_state: ImageState | None = Field(description=STATE_HELP)
    file_error: ImageError | None = Field(description=ERROR_HELP)


class OwnCreations(WireModel):
    """One page of your creations, newest first."""

    creations: list[OwnCreationCard]
    next: str | None


class Attribution(WireModel):
    """What a remix was made of."""

    creation_id: WireCreationId
    user_id: WireUserId
    username: str | None
    display_name: str | None
    title: str
    license: str


class Creation(OwnCreationCard):
    """A creation with everything that is stored about it."""

    file_size: int | None
    file_format: str | None
    width: int | None = Field(description="Of its image, in pixels.")
    height: int | None = Field(description="Of its image, in pixels.")
    prompt: str | None
    model: str | None
    generation_params: JsonObject
    seed: int | None
    metadata: JsonObject
    original: Attribution | None = Field(
        description="Of a remix: null if the original was deleted, or you may not see it."
    )


class CreationDeleted(WireModel):
    """The creation and its files were deleted; remixes of it remain."""

    creation_id: WireCreationId


class AnalyticsDay(WireModel):
    """One day of a creation, or of all of yours."""

    day: str
    views: int = Field(description="Viewers that day; they are added up every 30 seconds.")
    likes: int = Field(description="Likes that were given that day and still are.")
    comments: int = Field(description="Comments of that day that still are.")
    remixes: int = Field(description="Remixes that were first published that day and still are.")


class Analytics(WireModel):
    """Days, oldest first, each of the range."""

    days: list[AnalyticsDay]


class ViewCounted(WireModel):
    """Whether this was the first view of the day by you; your own views do not count."""

    is_counted: bool
