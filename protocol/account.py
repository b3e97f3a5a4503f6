"""HTTP bodies of `/v1/auth`, `/v1/me`, its sessions, and `/.well-known/jwks.json`."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import WireModel
from protocol.ids import UUID_PATTERN, SessionId, WirePlayerId
from protocol.limits import NAME_CHARS_MAX, TOKEN_CHARS_MAX
from protocol.names import NOT_RESERVED
from protocol.schemas import JsonObject
from protocol.text import NAME

DisplayName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARS_MAX),
    NAME,
    NOT_RESERVED,
]


WireSessionId = Annotated[SessionId, StringConstraints(pattern=UUID_PATTERN)]


class GuestRequest(WireModel):
    """Ask for an account without a password; it can be linked to one later."""

    display_name: DisplayName | None = None


class RefreshRequest(WireModel):
    """Trade a refresh token for new tokens; it works once."""

    refresh_token: Annotated[str, Field(min_length=1, max_length=TOKEN_CHARS_MAX)]


class Tokens(WireModel):
    """What a client keeps: an access token for the socket and HTTP, a refresh token for more."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name (RFC 6750), not a secret
    expires_in: int = Field(description="Seconds that the access token is good for.")
    refresh_token: str
    user_id: str
    player_id: WirePlayerId
    display_name: str


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
    preferences: JsonObject = Field(description="What your client keeps for you.")


class LoggedOut(WireModel):
    """The session is over: its refresh tokens are revoked and its sockets closed."""

    session_id: str


class SessionsEnded(WireModel):
    """How many sessions are over."""

    ended: int


class SessionPath(WireModel):
    """The session in an address."""

    session_id: WireSessionId


class OwnSession(WireModel):
    """A session of yours: one place where you are signed in."""

    session_id: str
    method: str = Field(description="What was signed in with: guest, email or discord.")
    created_at: str
    used_at: str = Field(description="When its tokens were refreshed last.")
    is_this: bool = Field(description="It is the one that asks.")


class OwnSessions(WireModel):
    """Where you are signed in, the latest used first."""

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
    """Every key that is in use; the newest signs."""

    keys: list[Jwk]
