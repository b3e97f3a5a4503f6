"""HTTP bodies of accounts: guests, sessions, sign-in methods, and what moderators do to them."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints
from pydantic_core import PydanticCustomError

from protocol.email_address import ADDRESS_CHARS_MAX, InvalidAddress, parse_address
from protocol.envelope import WireModel
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN, SessionId, UserId, WirePlayerId
from protocol.limits import (
    NAME_CHARS_MAX,
    PASSWORD_CHARS_MIN,
    PASSWORD_CHARS_TYPED_MAX,
    TEXT_CHARS_MAX,
    TOKEN_CHARS_MAX,
)
from protocol.reserved_names import NOT_RESERVED
from protocol.schemas import JsonObject
from protocol.text import NAME, PASSWORD, TEXT, prepare_password

DisplayName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARS_MAX),
    NAME,
    NOT_RESERVED,
]


WireSessionId = Annotated[SessionId, StringConstraints(pattern=UUID_PATTERN)]


Reactivate = Annotated[
    bool, Field(description="Whether to reactivate an account that you deactivated.")
]


class GuestRequest(WireModel):
    """Create a guest account; sign-in methods can be linked to it later."""

    display_name: DisplayName | None = None


class RefreshRequest(WireModel):
    """Exchange a refresh token for new tokens; it works once."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=TOKEN_CHARS_MAX)]
    reactivate: Reactivate = False


class Tokens(WireModel):
    """The tokens to store: an access token for the websocket and HTTP, and a refresh token."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name (RFC 6750), not a secret
    expires_in: int = Field(description="Seconds until the access token expires.")
    refresh_token: str
    user_id: str
    player_id: WirePlayerId
    display_name: str


Tier = Literal["explorer", "creator", "realm_builder"]


class Me(WireModel):
    """Your own account."""

    user_id: str
    player_id: WirePlayerId
    username: str
    display_name: str
    avatar_seed: str
    color: str
    is_anonymous: bool
    created_at: str
    xp_total: int = Field(description="Grows with every game that you complete.")
    preferences: JsonObject = Field(description="Stored for your client.")
    arcanean_id: str = Field(description="A public number of the account, such as ARC-001234.")
    tier: Tier
    subscription_status: str | None = Field(description="Null without a subscription.")
    avatar_url: str | None
    bio: str | None
    onboarding_completed: bool
    onboarding_step: int
    creation_count: int = Field(description="Published creations.")
    follower_count: int
    following_count: int
    is_verified: bool
    updated_at: str
    last_active_at: str | None


class LoggedOut(WireModel):
    """The session has ended: its refresh tokens are revoked and its connections closed."""

    session_id: str


class SessionsEnded(WireModel):
    """How many sessions were ended."""

    ended: int


class Deactivated(WireModel):
    """Your account is deactivated: nobody else sees you, until you sign in with `reactivate`."""

    user_id: str


class ReactivationRequest(WireModel):
    """Reactivate an account by an access token of it that is still valid."""

    access_token: Annotated[str, Field(min_length=1, max_length=TOKEN_CHARS_MAX)]


class Reactivated(WireModel):
    """The account is active: its tokens are valid again."""

    user_id: str


class SessionPath(WireModel):
    """The session in an address."""

    session_id: WireSessionId


class OwnSession(WireModel):
    """A session of yours: one place where you are signed in."""

    session_id: str
    method: str = Field(
        description="How you signed in: guest, email, discord, or the id of a provider."
    )
    created_at: str
    used_at: str = Field(description="When its tokens were refreshed last.")
    is_this: bool = Field(description="Whether it is the session of this request.")


class OwnSessions(WireModel):
    """Where you are signed in, most recently used first."""

    sessions: list[OwnSession]


class Jwk(WireModel):
    """A public key that verifies access tokens (RFC 7517, RFC 8037)."""

    kid: str
    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    alg: Literal["EdDSA"] = "EdDSA"
    use: Literal["sig"] = "sig"
    x: str


class Jwks(WireModel):
    """All keys in use; the newest one signs."""

    keys: list[Jwk]


CODE_CHARS_MAX: Final = 128
# What earlier versions accepted. Accounts made then still sign in; nothing is mailed to it.
_ACCEPTED_ONCE: Final = re.compile(
    r"[^\s@<>,;:\"()\[\]\\\x00-\x1f]{1,64}@[^\s@<>,;:\"()\[\]\\]+\.[^\s@.]+"
)


def _email(text: str) -> str:
    try:
        return parse_address(text).text
    except InvalidAddress as why:
        raise PydanticCustomError(
            "email", "Write an email address such as name@example.org. {why}", {"why": str(why)}
        ) from None


def _known_email(text: str) -> str:
    return text if _ACCEPTED_ONCE.fullmatch(text) else _email(text)


def _long_enough(password: str) -> str:
    """Count characters as they are hashed: an accent that was typed apart is not one more."""
    if len(prepare_password(password)) < PASSWORD_CHARS_MIN:
        raise PydanticCustomError(
            "password", "Choose one with at least {least} characters", {"least": PASSWORD_CHARS_MIN}
        )
    return password


def _challenge(text: str) -> str:
    if not re.fullmatch(r"[\w-]{43}", text, re.ASCII):
        raise PydanticCustomError(
            "challenge", "Send the SHA-256 of your verifier as base64url, 43 characters"
        )
    return text


_Typed = StringConstraints(strip_whitespace=True, max_length=ADDRESS_CHARS_MAX)
Email = Annotated[str, _Typed, AfterValidator(_email)]
KnownEmail = Annotated[str, _Typed, AfterValidator(_known_email)]
NewPassword = Annotated[
    str,
    StringConstraints(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_TYPED_MAX),
    AfterValidator(_long_enough),
    PASSWORD,
]
Password = Annotated[str, StringConstraints(max_length=PASSWORD_CHARS_TYPED_MAX), PASSWORD]
Code = Annotated[str, StringConstraints(min_length=1, max_length=CODE_CHARS_MAX)]
Challenge = Annotated[str, AfterValidator(_challenge)]
# An email address, Discord, or the id of an OpenID provider.
Kind = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]


class EmailRequest(WireModel):
    """Request an email whose link creates an account or resets the password of an existing one."""

    email: Email
    display_name: DisplayName | None = Field(default=None, description="Of a new account.")


class EmailLinkRequest(WireModel):
    """Link an email address to your account, or change it."""

    email: Email
    password: Password | None = Field(
        default=None, description="The current one, to change the address."
    )


class Mailed(WireModel):
    """An email is on its way, whether or not an account has this address."""

    expires_in: int = Field(description="Seconds until the code in it expires.")


class EmailConfirmation(WireModel):
    """The code from an email, and the new password."""

    code: Code
    password: NewPassword | None = Field(
        default=None, description="Not needed where only the address changes."
    )
    reactivate: Reactivate = False


class Confirmed(WireModel):
    """The result of a mailed code; `tokens` if it signed you in."""

    done: Literal["registered", "password_changed", "linked"]
    tokens: Tokens | None


class PasswordSignIn(WireModel):
    """Sign in with email and password."""

    email: KnownEmail
    password: Password
    reactivate: Reactivate = False


class PasswordChange(WireModel):
    """Change your password; all your other sessions end."""

    password: Password
    new_password: NewPassword


class Exchange(WireModel):
    """The code from a redirect, and the verifier of its challenge."""

    code: Code
    verifier: Annotated[str, StringConstraints(min_length=43, max_length=128)]
    reactivate: Reactivate = False


class KindPath(WireModel):
    """The way to sign in, in an address."""

    kind: Kind


class Method(WireModel):
    """A linked sign-in method; `name` is the email address, or the name at the provider."""

    kind: Kind
    name: str
    linked_at: str


class Methods(WireModel):
    """Your sign-in methods; a guest has none."""

    methods: list[Method]


class OfferedSignInMethods(WireModel):
    """The sign-in methods of this server."""

    methods: list[str] = Field(
        description="guest, email, discord, supabase, and the ids of OpenID providers."
    )
    providers: dict[str, str] = Field(
        default={}, description="What each provider is called, by its id; show it on a button."
    )
    url: str | None = Field(
        default=None, description="Address of the service that holds the accounts."
    )


class RedirectStart(WireModel):
    """Where to redirect to, and the challenge of your verifier (S256)."""

    redirect: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    challenge: Challenge
    link: Annotated[str, Field(min_length=1, max_length=TOKEN_CHARS_MAX)] | None = Field(
        default=None, description="What a Supabase client got to link a provider to an account."
    )


class MergeRequest(WireModel):
    """Preview the merge of another account of yours into this one."""

    access_token: Annotated[str, Field(min_length=1, max_length=TOKEN_CHARS_MAX)] = Field(
        description="Of the other account. If it has a sign-in method: not older than 15 minutes."
    )


class MergedAccount(WireModel):
    """The account that is merged into yours."""

    user_id: str
    player_id: WirePlayerId
    username: str
    display_name: str
    xp_total: int


class MergeMove(WireModel):
    """Rows of a table: `rows` become yours, `kept` stay, since you have the like already."""

    table: str
    column: str
    rows: int
    kept: int


class MergedSlot(WireModel):
    """A save slot that gets another name, since you have one of its name in that title."""

    slot_id: str
    name: str
    renamed: str


class MergedBalance(WireModel):
    """A currency of the other account: `moved` is added to yours, which makes `total`."""

    currency_id: str
    moved: int
    total: int


class MergePreview(WireModel):
    """What a merge would do; send `merge_token` to do exactly that."""

    merge_token: str
    expires_at: str
    account: MergedAccount
    moves: list[MergeMove]
    renamed_slots: list[MergedSlot]
    balances: list[MergedBalance] = Field(description="As of now; yours may change before.")
    refused_purposes: list[str] = Field(
        description="Purposes of telemetry that the other account refuses: yours will refuse them "
        "too, which deletes what was collected for them."
    )
    methods: list[str] = Field(description="Sign-in methods that become yours.")
    methods_kept: list[str] = Field(
        description="Those of a kind that you have already; they sign in to your account too."
    )
    undo_until: str = Field(description="Until about when the merge could be undone.")


class MergeConfirmation(WireModel):
    """Do what a preview said."""

    merge_token: Annotated[str, Field(min_length=1, max_length=TOKEN_CHARS_MAX)]


class MergeDone(WireModel):
    """The accounts are one; all their sessions have ended, and `tokens` are of a new one."""

    merge_id: str
    undo_until: str
    tokens: Tokens


class Merge(WireModel):
    """An account that was merged into yours."""

    merge_id: str
    user_id: str
    player_id: WirePlayerId
    username: str
    display_name: str
    merged_at: str
    undo_until: str
    undone_at: str | None
    can_undo: bool


class Merges(WireModel):
    """What was merged into your account, the latest first."""

    merges: list[Merge]


class MergePath(WireModel):
    """The merge in an address."""

    merge_id: Annotated[str, StringConstraints(pattern=UUID_PATTERN)]


class MergeUndone(WireModel):
    """The accounts are two again; all sessions have ended, and each has a new one.

    `missing` counts what was moved and has been deleted since.
    """

    moved: int
    missing: int
    tokens: Tokens
    merged_tokens: Tokens


BAN_S_MAX: Final = 10 * 366 * 86_400

WireUserId = Annotated[UserId, StringConstraints(pattern=UUID_PATTERN)]
Role = Literal["moderator", "admin", "support", "editor"]


class UserPath(WireModel):
    """The account in an address."""

    user_id: WireUserId


class BanRequest(WireModel):
    """Ban an account: it cannot sign in, and its connections are closed."""

    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARS_MAX),
        TEXT,
    ] = Field(description="Shown to the person when they try to sign in.")
    lasts_s: Annotated[int, Field(ge=1, le=BAN_S_MAX)] | None = Field(
        default=None, description="Seconds; omit it for a permanent ban."
    )


class DeactivationRequest(WireModel):
    """Deactivate an account: it and all that it made is hidden, and it cannot sign in."""

    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARS_MAX),
        TEXT,
    ] = Field(description="For the audit log.")


class RolesRequest(WireModel):
    """Set the roles of an account."""

    roles: Annotated[list[Role], Field(max_length=4)]
    reason: (
        Annotated[
            str,
            StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARS_MAX),
            TEXT,
        ]
        | None
    ) = Field(default=None, description="For the audit log.")


class OwnRoles(WireModel):
    """What your account was made; a player has no role."""

    user_id: str
    roles: list[str]


class EndSessionsRequest(WireModel):
    """End sessions of an account: its tokens are refused, and its connections are closed."""

    session_id: WireSessionId | None = Field(
        default=None, description="The one to end; all of them without it."
    )
    reason: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=TEXT_CHARS_MAX),
        TEXT,
    ] = Field(description="For the audit log.")


class AccountSession(WireModel):
    """A session of an account."""

    session_id: str
    method: str
    created_at: str
    used_at: str


class AccountSessions(WireModel):
    """Where an account is signed in, most recently used first."""

    sessions: list[AccountSession]


class Ban(WireModel):
    """Why an account is banned, and until when."""

    reason: str
    ends_at: str | None


class Person(WireModel):
    """An account, as moderators and admins see it."""

    user_id: str
    player_id: str
    username: str
    display_name: str
    created_at: str
    roles: list[Role]
    ban: Ban | None
    deactivated_by: Literal["self", "staff"] | None
    methods: list[str] = Field(description="Kinds of its sign-in methods; a guest has none.")


class PeopleQuery(WireModel):
    """Search for accounts; without anything, all of them."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=TEXT_CHARS_MAX)] | None = Field(
        default=None,
        description="A user's or player's id, the beginning of a username, part of a display name, "
        "an email, a wallet's address, or an id at a provider.",
    )
    method: Kind | None = Field(
        default=None, description="Only accounts that sign in by it: email, discord, …"
    )
    role: Role | None = None
    is_banned: bool = False
    cursor: Cursor | None = None
    limit: Limit = 50


class People(WireModel):
    """A page of the accounts found, ordered by username."""

    people: list[Person]
    next: str | None


AuditText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
AuditTime = Annotated[
    str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?Z)?$")
]


class AuditQuery(WireModel):
    """Which page of the audit log."""

    user_id: WireUserId | None = Field(default=None, description="Only entries about this account.")
    target: AuditText | None = Field(
        default=None, description="Only entries about this id: of a game, a lobby, a webhook, …"
    )
    actor: AuditText | None = Field(
        default=None, description="Only what this account did; `console` for the command line."
    )
    action: AuditText | None = Field(default=None, description="Such as `ban` or `end_game`.")
    since: AuditTime | None = Field(default=None, description="Such as 2026-11-30T08:00:00Z.")
    until: AuditTime | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class AuditLogEntry(WireModel):
    """An entry of the audit log; the actor is an account id or `console`."""

    id: int
    actor: str
    action: str
    target: str
    before: JsonValue
    after: JsonValue
    at: str


class AuditPage(WireModel):
    """Entries, newest first; `next` is the cursor of the following page."""

    acts: list[AuditLogEntry]
    next: str | None
