"""Commands of a connection itself."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from protocol.envelope import Command, CommandId, Ok, Update, WireModel
from protocol.limits import NAME_CHARS_MAX, TOKEN_CHARS_MAX

Token = Annotated[str, Field(min_length=1, max_length=TOKEN_CHARS_MAX)]


class Limits(WireModel):
    """The limits in force on this connection."""

    frame_bytes_max: int
    commands_per_s: float
    outbox_bytes_max: int


class Welcome(WireModel):
    """The reply to `session.hello`."""

    re: CommandId
    type: Literal["session.welcome"] = "session.welcome"
    session_id: str
    player_id: str
    user_id: str
    display_name: str
    heartbeat_ms: int
    server_time: str
    node: str
    limits: Limits


class Hello(Command):
    """Identify yourself; the first frame of every connection."""

    reply: ClassVar[type[WireModel]] = Welcome
    type: Literal["session.hello"]
    token: Token
    client: Annotated[str, Field(max_length=NAME_CHARS_MAX)] = ""
    version: Annotated[str, Field(max_length=NAME_CHARS_MAX)] = ""
    companion: bool = Field(
        default=False,
        description="A further connection of the account, for `progress.*` alone: it closes no "
        "other one, and none closes it.",
    )


class Pong(Ok):
    """The reply to `session.ping`."""

    server_time: str


class Ping(Command):
    """Keep the connection alive; send one every `heartbeat_ms`."""

    reply: ClassVar[type[WireModel]] = Pong
    type: Literal["session.ping"]


class Refresh(Command):
    """Replace the access token of the open connection."""

    type: Literal["session.refresh"]
    token: Token


class Logout(Command):
    """End the session: its refresh tokens are revoked and its connections closed."""

    type: Literal["session.logout"]


class Closing(Update):
    """The server is about to close this connection; the close frame follows."""

    type: Literal["session.closing"] = "session.closing"
    reason: str
    retry: bool
    message: str
    pause_ms: int = Field(description="Wait a random time up to this before reconnecting.")
    address: str | None = Field(default=None, description="Where to go, with `wrong_node`.")


COMMANDS: tuple[type[Command], ...] = (Hello, Ping, Refresh, Logout)
UPDATES: tuple[type[Update], ...] = (Closing,)
