"""Commands and replies of peer lobbies: their games run on the host's machine."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import Command, Ok, Update, WireModel
from protocol.ids import WireLobbyId, WireMatchId, WirePlayerId
from protocol.limits import SEATS_MAX
from protocol.lobbies import Lobby, LobbyReply, pattern_with_message
from protocol.signaling import PeerAccess

PEER_ID_CHARS_MAX: Final = 64
SCORE_MAX: Final = 1_000_000  # either way from 0

PeerId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=PEER_ID_CHARS_MAX),
    pattern_with_message(
        r"[A-Za-z0-9]+([ _-][A-Za-z0-9]+)*",
        "Use letters and digits, with single dashes, underscores or spaces between them",
    ),
]
Score = Annotated[int, Field(ge=-SCORE_MAX, le=SCORE_MAX)]


class RegisterPeer(Command):
    """Register the PeerJS id under which members reach you (host of a peer lobby only)."""

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.register_peer"]
    lobby_id: WireLobbyId
    peer_id: PeerId


class Heartbeat(Command):
    """Show that your machine still hosts the lobby (host of a peer lobby only)."""

    type: Literal["lobby.heartbeat"]
    lobby_id: WireLobbyId


class ReportReply(Ok):
    """The recorded match, and the lobby, which is open again."""

    match_id: WireMatchId
    lobby: Lobby


class Report(Command):
    """Report how a peer session ended (host only); the lobby opens again.

    `winner_id` null is a draw. Winner and scores must be of players who were there at the start.
    The first report counts; repeating it gets the same reply.
    """

    reply: ClassVar[type[WireModel]] = ReportReply
    type: Literal["lobby.report"]
    lobby_id: WireLobbyId
    match_id: WireMatchId
    winner_id: WirePlayerId | None
    scores: Annotated[dict[WirePlayerId, Score], Field(max_length=SEATS_MAX)] = Field(
        default_factory=dict
    )


class Fallback(Command):
    """Continue on the server because peers cannot connect (host of a peer lobby only).

    The lobby becomes one of the `relay` ruleset, and its game starts with everybody on
    the seat they have. Sending it again is harmless.
    """

    reply: ClassVar[type[WireModel]] = LobbyReply
    type: Literal["lobby.fallback"]
    lobby_id: WireLobbyId


class AccessReply(Ok, PeerAccess):
    """Options for a `Peer`."""


class Access(Command):
    """Get a token and ICE servers for reaching the peers of your lobby (members only)."""

    reply: ClassVar[type[WireModel]] = AccessReply
    type: Literal["lobby.peer_access"]
    lobby_id: WireLobbyId


COMMANDS: tuple[type[Command], ...] = (RegisterPeer, Heartbeat, Report, Fallback, Access)
UPDATES: tuple[type[Update], ...] = ()
