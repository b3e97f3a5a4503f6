"""HTTP bodies of `/v1/me` where it is changed, taken along or erased, and of `/v1/profiles`."""

from typing import Annotated, Final, Literal

import orjson
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from protocol.accounts import DisplayName, Tier
from protocol.envelope import WireModel
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN, UserId, WirePlayerId
from protocol.lobbies import URI_CHARACTERS, WEB_SERVER, pattern_with_message
from protocol.reserved_names import NOT_RESERVED
from protocol.schemas import JsonObject
from protocol.text import ONE_LINE, SOME_LINES

USERNAME_CHARS_MIN: Final = 3
USERNAME_CHARS_MAX: Final = 24
USERNAME_PATTERN: Final = r"[a-z0-9][a-z0-9_-]{2,23}"
PREFERENCES_BYTES_MAX: Final = 4 * 1024
AVATAR_URL_CHARS_MAX: Final = 2048
BIO_CHARS_MAX: Final = 2000
QUERY_CHARS_MAX: Final = 100

WireUserId = Annotated[UserId, StringConstraints(pattern=UUID_PATTERN)]
Username = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True),
    pattern_with_message(
        USERNAME_PATTERN,
        f"Use {USERNAME_CHARS_MIN} to {USERNAME_CHARS_MAX} of a to z, digits, _ and -, "
        "beginning with a letter or a digit",
    ),
]


def _small(preferences: JsonObject) -> JsonObject:
    written = orjson.dumps(preferences)
    if len(written) > PREFERENCES_BYTES_MAX:
        raise PydanticCustomError("size", f"Keep it within {PREFERENCES_BYTES_MAX} bytes of JSON")
    if b"\\u0000" in written:
        raise PydanticCustomError("control_character", "Remove NUL characters")
    return preferences


Preferences = Annotated[JsonObject, AfterValidator(_small)]


Color = Annotated[
    str,
    StringConstraints(to_lower=True),
    pattern_with_message("#[0-9a-f]{6}", "Write a colour as #rrggbb, such as #3366cc"),
]
AvatarSeed = Annotated[
    str,
    pattern_with_message("[A-Za-z0-9_-]{1,64}", "Use 1 to 64 of A to Z, a to z, digits, _ and -"),
]


AvatarUrl = Annotated[
    str,
    StringConstraints(max_length=AVATAR_URL_CHARS_MAX),
    pattern_with_message(
        rf"(?:{WEB_SERVER}|/files/avatars/){URI_CHARACTERS}|",
        "Use a file of yours in the bucket avatars (/files/avatars/…), or an https:// address",
    ),
]
Bio = Annotated[str, StringConstraints(strip_whitespace=True, max_length=BIO_CHARS_MAX), SOME_LINES]


class MeChange(WireModel):
    """Changes to your profile; omitted fields stay unchanged."""

    display_name: DisplayName | None = None
    username: Annotated[Username, NOT_RESERVED] | None = Field(
        default=None, description="Unique, kept in lowercase; changes once in 30 days."
    )
    color: Color | None = Field(default=None, description="Your colour in games: #rrggbb.")
    avatar_seed: AvatarSeed | None = Field(
        default=None, description="Any text: clients draw the same avatar from the same seed."
    )
    preferences: Preferences | None = Field(
        default=None, description="Private data of your client; replaces the previous value."
    )
    avatar_url: AvatarUrl | None = Field(
        default=None,
        description="Your picture: a file of yours in the bucket avatars, or an https:// address; "
        "empty for none.",
    )
    bio: Bio | None = Field(default=None, description="What everybody may read about you.")
    onboarding_completed: bool | None = None
    onboarding_step: Annotated[int, Field(ge=0, le=100)] | None = None


class ProfilePath(WireModel):
    """Whose profile: a username, or the id of an account."""

    name: str


class Profile(WireModel):
    """The public profile of an account."""

    user_id: WireUserId
    player_id: WirePlayerId
    username: str
    display_name: str
    avatar_seed: str
    color: str
    xp_total: int
    created_at: str
    arcanean_id: str
    tier: Tier
    avatar_url: str | None
    bio: str | None
    creation_count: int = Field(description="Published creations.")
    follower_count: int
    following_count: int
    is_verified: bool


class PeopleQuery(WireModel):
    """Whom to list: everybody, or those with a name."""

    q: (
        Annotated[str, StringConstraints(min_length=1, max_length=QUERY_CHARS_MAX), ONE_LINE] | None
    ) = Field(default=None, description="A part of a name; case and accents do not matter.")
    sort: Literal["followers", "newest"] = "followers"
    cursor: Cursor | None = None
    limit: Limit = 20


class ListedPerson(WireModel):
    """A person on a list."""

    user_id: WireUserId
    username: str
    display_name: str | None
    avatar_url: str | None
    bio: str | None
    arcanean_id: str
    tier: Tier
    is_verified: bool
    creation_count: int
    follower_count: int
    following_count: int
    created_at: str


class ListedPeople(WireModel):
    """One page of people."""

    people: list[ListedPerson]
    is_similar: bool = Field(
        description="Nobody has this name; these have a similar one, the most similar first."
    )
    next: str | None


class DevSignIn(WireModel):
    """Sign in, in development, as the person with a username, who is created if there is none."""

    name: Annotated[Username, NOT_RESERVED]


class UsernameQuery(WireModel):
    """The username that you would like."""

    username: Username


class UsernameState(WireModel):
    """Whether a username is available; `username` is how it would be stored."""

    username: str
    is_free: bool


class ErasureRequest(WireModel):
    """Erase your account for good."""

    confirm: Username = Field(description="Your username, as a confirmation.")


class Erased(WireModel):
    """Your account was erased. Its games remain, without a name, under this player id."""

    player_id: WirePlayerId
