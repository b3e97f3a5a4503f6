"""HTTP bodies of `/v1/admin`: bans, roles, finding people, the audit log."""

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue, StringConstraints

from protocol.envelope import WireModel
from protocol.ids import UUID_PATTERN, UserId
from protocol.limits import TEXT_CHARS_MAX
from protocol.record import Cursor, Limit
from protocol.text import TEXT

BAN_S_MAX: Final = 10 * 366 * 86_400

WireUserId = Annotated[UserId, StringConstraints(pattern=UUID_PATTERN)]
Role = Literal["moderator", "admin"]


class UserPath(WireModel):
    """The account in an address."""

    user_id: WireUserId


class BanRequest(WireModel):
    """Ban an account: it cannot sign in, and its sockets close."""

    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARS_MAX),
        TEXT,
    ] = Field(description="Told to whoever tries to sign in.")
    lasts_s: Annotated[int, Field(ge=1, le=BAN_S_MAX)] | None = Field(
        default=None, description="Seconds; without it, until it is lifted."
    )


class RolesRequest(WireModel):
    """Make an account exactly this."""

    roles: Annotated[list[Role], Field(max_length=2)]


class Ban(WireModel):
    """Why somebody may not sign in, and until when."""

    reason: str
    ends_at: str | None


class Person(WireModel):
    """An account as those see it who look after it."""

    user_id: str
    player_id: str
    username: str
    display_name: str
    created_at: str
    roles: list[Role]
    ban: Ban | None


class PeopleQuery(WireModel):
    """Whom to find."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARS_MAX)] = Field(
        description="A user's or player's id, the beginning of a username, or an email."
    )


class People(WireModel):
    """Whom was found, by username."""

    people: list[Person]


class AuditQuery(WireModel):
    """Which page of the audit log."""

    user_id: WireUserId | None = Field(default=None, description="Only what concerns this account.")
    cursor: Cursor | None = None
    limit: Limit = 50


class Act(WireModel):
    """Something that was done, by an account's id or `console`."""

    id: int
    actor: str
    action: str
    target: str
    before: JsonValue
    after: JsonValue
    at: str


class AuditPage(WireModel):
    """What was done, newest first; `next` is the cursor of what was before."""

    acts: list[Act]
    next: str | None
