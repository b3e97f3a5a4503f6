"""Signaling: the frames that PeerJS clients speak, and what a lobby member needs to connect.

The server's side of the wire protocol of the PeerJS server 1.0, so that an unmodified `peerjs`
client works. Nothing of it is a command or an update of ours.
"""

from typing import Annotated, Final, NamedTuple

import orjson
from pydantic import Field

from protocol.envelope import WireModel
from protocol.errors import PlayhallError

ID_CHARS_MAX: Final = 128
TOKEN_CHARS_MAX: Final = 1024
PEERS_MAX: Final = 20_000
# For one peer that is not there (yet): PeerJS sends an offer and some dozens of candidates.
QUEUED_MESSAGES_MAX: Final = 64
QUEUED_BYTES_MAX: Final = 256 * 1024
# For all peers that are not there: whoever sends to nobody fills this and no more.
QUEUES_MAX: Final = 10_000
QUEUED_BYTES_IN_ALL_MAX: Final = 16 * 1024 * 1024
# Of one person, among the people of one lobby: some tabs, and those that are about to go.
PEERS_PER_PERSON_MAX: Final = 4
# What a peer may say while it is asked who it is.
EARLY_MESSAGES_MAX: Final = 64
# Whom a peer talked with, and who is notified when it goes.
PARTNERS_MAX: Final = 256

EXPIRES_AFTER_S: Final = 5.0
ALIVE_S: Final = 90.0

HEARTBEAT: Final = "HEARTBEAT"
LEAVE: Final = "LEAVE"
EXPIRE: Final = "EXPIRE"
# What is passed on; of these, what nobody waits for is not kept for who is not there.
RELAYED: Final = frozenset({"OFFER", "ANSWER", "CANDIDATE", LEAVE, EXPIRE})
NOT_KEPT: Final = frozenset({LEAVE, EXPIRE})

CARD: Final = {
    "name": "PeerJS Server",
    "description": "A server side element to broker connections between PeerJS clients.",
    "website": "https://peerjs.com/",
}


def encode_message(kind: str, **fields: object) -> bytes:
    """Write a message."""
    return orjson.dumps({"type": kind, **fields})


def message_prefix(src: str) -> bytes:
    """Write how every message begins that a peer sends."""
    return b'{"src":%b,' % orjson.dumps(src)


def without_sender(said: dict[str, object]) -> bytes:
    """Write a message anew that does not begin with its brace, or has a sender of its own.

    What a peer wrote is passed on as it is otherwise: `message_prefix` takes the place of the brace
    with which its object, which is not empty, begins. Raise `TypeError` if it is too deep.
    """
    return orjson.dumps({name: value for name, value in said.items() if name != "src"})


OPEN: Final = encode_message("OPEN")
ID_TAKEN: Final = encode_message("ID-TAKEN", payload={"msg": "ID is taken"})
MISSING: Final = encode_message(
    "ERROR", payload={"msg": "No id, token, or key supplied to websocket server"}
)
WRONG_KEY: Final = encode_message("ERROR", payload={"msg": "Invalid key provided"})
FULL: Final = encode_message(
    "ERROR", payload={"msg": "Server has reached its concurrent user limit"}
)
TOO_LONG: Final = encode_message("ERROR", payload={"msg": "The id or the token is too long"})
BAD_TOKEN: Final = encode_message(
    "ERROR",
    payload={"msg": "The token is not valid; GET /v1/lobbies/{id}/peer-access gives a new one"},
)
SHOWN_OUT: Final = encode_message("ERROR", payload={"msg": "You are no longer in this lobby"})
TOO_MANY_OF_YOURS: Final = encode_message(
    "ERROR", payload={"msg": "You have the maximum number of peers in this lobby"}
)
NO_ANSWER: Final = encode_message(
    "ERROR", payload={"msg": "Your membership cannot be checked at the moment; try again"}
)


ICE_URLS_MAX: Final = 16


class StunServer(WireModel):
    """Servers that tell a peer its public address; an `RTCIceServer`."""

    urls: Annotated[list[str], Field(max_length=ICE_URLS_MAX)]


class TurnServer(StunServer):
    """Servers that relay where peers cannot connect; `username` begins with its expiry."""

    username: str
    credential: str


class PeerAccess(WireModel):
    """Options for a `Peer`; `ice_servers` is its `config.iceServers`.

    `url` is the server where the peers of this lobby meet. `token` lets in until `expires_at`
    (ISO 8601, UTC); a peer that has connected may stay as long as it is a member.
    """

    url: str
    key: str
    token: str
    expires_at: str
    ice_servers: list[TurnServer | StunServer]


class PeerAdmission(NamedTuple):
    """What a token says: a person, by one session of theirs, among the people of one circle."""

    circle: str
    person: str
    session: str

    @property
    def peer_owner(self) -> str:
        """Whose a peer is: the same for every token of a person in a circle."""
        return f"{self.circle}/{self.person}"


class NoSignaling(PlayhallError):
    """Signaling is disabled on this server; create a lobby with mode `server`."""

    code, status = "no_signaling", 404
