"""What a member of a peer lobby needs to reach the others: a key, a token, ways around NAT."""

from typing import Annotated, Final, NamedTuple

from pydantic import Field

from protocol.envelope import WireModel

ICE_URLS_MAX: Final = 16


class StunServer(WireModel):
    """Servers that tell a peer how it is seen from outside; an `RTCIceServer`."""

    urls: Annotated[list[str], Field(max_length=ICE_URLS_MAX)]


class TurnServer(StunServer):
    """Servers that relay where peers cannot connect; `username` begins with its expiry."""

    username: str
    credential: str


class PeerAccess(WireModel):
    """What goes into the options of a `Peer`; `ice_servers` is its `config.iceServers`.

    `url` is the server where the peers of this lobby meet. `token` lets in until `expires_at`
    (ISO 8601, UTC); whoever is in stays as long as they are a member.
    """

    url: str
    key: str
    token: str
    expires_at: str
    ice_servers: list[TurnServer | StunServer]


class Admission(NamedTuple):
    """What a token says: a person, by one session of theirs, among the people of one circle."""

    circle: str
    person: str
    session: str

    @property
    def owner(self) -> str:
        """Whose a peer is: the same for every token of a person in a circle."""
        return f"{self.circle}/{self.person}"
