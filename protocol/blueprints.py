"""Blueprints on the wire: designs that people make, publish and fork.

A name ends with the version; what comes before it is said by the server's settings. By default it
is two syllables: `MORDIG10` is MOR-DIG at version 10, a tenth of its capacity. What a blueprint is
never changes; a better one is a new version.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import Limit
from protocol.ids import UUID_PATTERN, BlueprintId, UserId
from protocol.limits import TEXT_CHARS_MAX
from protocol.lobbies import Cursor, SearchText, pattern_with_message
from protocol.schemas import JsonObject
from protocol.text import SOME_LINES

DATA_BYTES_MAX: Final = 64 * 1024
ASSETS_MAX: Final = 16
ASSET_CHARS_MAX: Final = 300
VERSION_MAX: Final = 9999
NAME_CHARS_MAX: Final = 32

BlueprintName = Annotated[
    str,
    StringConstraints(max_length=NAME_CHARS_MAX),
    Field(
        description="Letters and digits, then the version from 1 to 9999. What comes before the "
        "version is up to the server: by default, two syllables such as MORDIG."
    ),
]
WireBlueprintId = Annotated[BlueprintId, StringConstraints(pattern=UUID_PATTERN)]
WireUserId = Annotated[UserId, StringConstraints(pattern=UUID_PATTERN)]
Description = Annotated[str, StringConstraints(max_length=TEXT_CHARS_MAX), SOME_LINES]
AssetName = Annotated[
    str,
    StringConstraints(max_length=32),
    pattern_with_message(r"[a-z][a-z0-9_]*", "Name an asset with a to z, digits and underscores"),
]
AssetLink = Annotated[str, StringConstraints(max_length=ASSET_CHARS_MAX)]
Assets = Annotated[dict[AssetName, AssetLink], Field(max_length=ASSETS_MAX)]
Sort = Literal["newest", "name", "version", "forks"]


class NewBlueprint(WireModel):
    """A new blueprint. `version` and `data.capacity` are checked against the name."""

    blueprint_id: WireBlueprintId | None = Field(
        default=None, description="Choose it yourself if you uploaded the assets beforehand."
    )
    name: BlueprintName
    version: Annotated[int, Field(ge=1, le=VERSION_MAX)] | None = None
    data: JsonObject
    assets: Assets = Field(default_factory=dict)
    description: Description = ""


class Fork(WireModel):
    """The fields in which a fork differs from its parent."""

    blueprint_id: WireBlueprintId | None = None
    name: BlueprintName
    data: JsonObject | None = None
    assets: Assets | None = None
    description: Description | None = None


class BlueprintPath(WireModel):
    """The blueprint in an address."""

    blueprint_id: WireBlueprintId


class MarketQuery(WireModel):
    """A search in published blueprints; every word of `text` must begin a word of theirs."""

    text: SearchText = ""
    sort: Sort = "newest"
    cursor: Cursor | None = None
    limit: Limit = 20


class BlueprintCard(WireModel):
    """A blueprint in a list, without its data."""

    blueprint_id: WireBlueprintId
    owner_id: WireUserId
    owner: str | None = Field(description="The owner's display name.")
    name: str
    version: int
    assets: dict[str, str]
    description: str
    is_public: bool
    parent_id: WireBlueprintId | None
    parent_name: str | None = Field(description="Kept when the parent is deleted.")
    forks: int
    created_at: str


class Blueprint(BlueprintCard):
    """A blueprint with its data."""

    data: JsonObject


class Blueprints(WireModel):
    """One page of blueprints."""

    blueprints: list[BlueprintCard]
    next: str | None


class BlueprintDeleted(WireModel):
    """The blueprint was deleted; its forks remain."""

    blueprint_id: WireBlueprintId


class BlueprintNotFound(PlayhallError):
    """There is no such blueprint, or it is not published."""

    code, status = "blueprint_not_found", 404


class BlueprintTaken(PlayhallError):
    """You already have a blueprint with this name; choose another name or version."""

    code, status = "blueprint_taken", 409


class NameOnMarket(PlayhallError):
    """A blueprint with this name is already published; publish yours under another name."""

    code, status = "name_on_market", 409


class TooManyBlueprints(PlayhallError):
    """You have the maximum number of blueprints; delete one first."""

    code, status = "too_many_blueprints", 409
