"""Small objects that titles keep for a player or a game, on the wire."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import PageQuery
from protocol.ids import WireGameId, WirePlayerId
from protocol.limits import INT_MAX
from protocol.lobbies import pattern_with_message

VALUE_BYTES_MAX: Final = 16 * 1024
KEY_CHARS_MAX: Final = 128

CollectionName = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(r"[a-z0-9][a-z0-9_-]*", "Use 1 to 64 of a-z, 0-9, _ and -"),
]
ObjectKey = Annotated[
    str,
    StringConstraints(max_length=KEY_CHARS_MAX),
    pattern_with_message(r"[A-Za-z0-9][A-Za-z0-9_.:-]*", "Use letters, digits and _ . : -"),
]
# Who may read an object beside the server: everybody, its owner, nobody. The owners of a game's
# objects are the players who have a seat in it, and everybody is whoever may see the game.
ReadBy: TypeAlias = Literal["public", "owner", "server"]
WriteBy: TypeAlias = Literal["owner", "server"]


class ObjectNotFound(PlayhallError):
    """There is no such object, or you may not read it."""

    code, status = "object_not_found", 404


class ObjectChanged(PlayhallError):
    """The object has another version by now; read it again."""

    code, status = "object_changed", 409


class ObjectReadOnly(PlayhallError):
    """Only the server writes this object."""

    code, status = "object_read_only", 403


class TooManyObjects(PlayhallError):
    """The maximum number of objects is kept here; delete some first."""

    code, status = "too_many_objects", 409


class PlayerCollectionPath(WireModel):
    """A player's collection in an address."""

    player_id: WirePlayerId
    collection: CollectionName


class PlayerObjectPath(PlayerCollectionPath):
    """A player's object in an address."""

    key: ObjectKey


class GameCollectionPath(WireModel):
    """A game's collection in an address."""

    game_id: WireGameId
    collection: CollectionName


class GameObjectPath(GameCollectionPath):
    """A game's object in an address."""

    key: ObjectKey


class ObjectsQuery(PageQuery):
    """One page of a collection, by key."""

    prefix: Annotated[str, Field(max_length=KEY_CHARS_MAX)] = ""


class ObjectWrite(WireModel):
    """What to keep. Without `version`, whatever is there is replaced."""

    value: dict[str, Any]
    version: Annotated[int, Field(ge=0, le=INT_MAX)] | None = Field(
        default=None, description="The version that you have read; 0 if there must be none yet."
    )
    read_by: ReadBy = "owner"


class ObjectDelete(WireModel):
    """Which version to delete."""

    version: Annotated[int, Field(ge=1, le=INT_MAX)] | None = Field(
        default=None, description="Only if it still has this version."
    )


class StoredObject(WireModel):
    """An object; `version` goes up by one with each write."""

    collection: str
    key: str
    value: dict[str, Any]
    version: int
    read_by: ReadBy
    write_by: WriteBy
    updated_at: str


class StoredObjects(WireModel):
    """One page of a collection."""

    objects: list[StoredObject]
    next: str | None


class ObjectDeleted(WireModel):
    """The object is gone."""

    key: str
