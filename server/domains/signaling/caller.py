"""A websocket at `/peerjs/peerjs`: who it wants to be, and who it became."""

from typing import TYPE_CHECKING, Final

from protocol import peer as wire
from protocol.errors import Overloaded, Unavailable
from protocol.peeraccess import Admission
from server.domains.signaling.circles import Circles, Place
from server.domains.signaling.registry import Peer
from server.gateway.framing import text_frame
from server.gateway.limits import TokenBucket
from server.gateway.peer import Socket

if TYPE_CHECKING:
    from server.domains.signaling.room import Signaling

BURST_S: Final = 5.0
NORMAL: Final = (1000, "")


class Caller:
    """One peer's socket. `admission` is by what it is in a circle, once it is."""

    def __init__(self, room: "Signaling", key: str, peer_id: str, token: str) -> None:
        self.admission: Admission | None = None
        self._room = room
        self._key = key
        self._id = peer_id
        self._token = token
        self._place: Place | None = None
        self._early: list[bytes] = []
        self._bucket = TokenBucket(room.messages_per_s, room.messages_per_s * BURST_S)
        self._socket: Socket

    # ------------------------------------------------------------------ the socket calls these

    def on_open(self, socket: Socket) -> None:
        """Enter, or be told why not; a key for members asks first who this is."""
        self._socket = socket
        problem = self._problem()
        if problem is not None:
            self._refuse(problem)
        elif (circles := self._room.circles.get(self._key)) is not None:
            self._room.tasks.work(self._be_admitted(circles), name="a peer's token")
        else:
            registry = self._room.registries[self._key]
            entered = registry.enter(self._id, self._token, self, self._room.now())
            self._take_place(Place(registry, entered) if isinstance(entered, Peer) else entered)

    def on_message(self, message: bytes) -> None:
        """Pass a message on, or have it wait until this peer is in."""
        now = self._room.now()
        if not self._bucket.take(now):
            self._room.refused += 1
            self._socket.close((1008, "too many messages"))
        elif (place := self._place) is not None:
            place.registry.take(place.peer, message, now)
        elif not self._socket.closing and len(self._early) < wire.EARLY_MESSAGES_MAX:
            self._early.append(message)

    def on_close(self) -> None:
        """Leave."""
        self._room.members.discard(self)
        if self._place is not None:
            self._place.registry.leave(self._place.peer)

    # ------------------------------------------------------------------ the room calls these

    def send(self, message: bytes) -> None:
        """Write a message to the socket."""
        self._socket.send(text_frame(message))

    def drop(self) -> None:
        """Close the socket; nothing more is passed on."""
        self._place = None
        self._socket.close(NORMAL)

    def show_out(self) -> None:
        """Take out somebody who is no member any more."""
        if self._place is not None:
            self._place.registry.leave(self._place.peer)
            self._refuse(wire.SHOWN_OUT)
            self._place = None

    # ------------------------------------------------------------------ details

    def _problem(self) -> bytes | None:
        if not (self._id and self._token and self._key):
            return wire.MISSING
        if self._key not in self._room.registries and self._key not in self._room.circles:
            return wire.WRONG_KEY
        if len(self._id) > wire.ID_CHARS_MAX or len(self._token) > wire.TOKEN_CHARS_MAX:
            return wire.TOO_LONG
        return None

    async def _be_admitted(self, circles: Circles) -> None:
        try:
            admission = await self._room.door.admission(self._token)
        except Exception as error:
            self._refuse(wire.NO_ANSWER)
            if not isinstance(error, Unavailable | Overloaded):
                raise  # a bug: its trace belongs in the log
            return
        if self._socket.closing:
            return
        if admission is None:
            self._refuse(wire.BAD_TOKEN)
            return
        self.admission = admission
        self._take_place(circles.enter(self._id, admission, self, self._room.now()))

    def _take_place(self, place: Place | bytes) -> None:
        if isinstance(place, bytes):
            self._refuse(place)
            return
        self._place = place
        if self.admission is not None:
            self._room.members.add(self)
        early, self._early = self._early, []
        for message in early:
            if self._place is not place:  # it said that it leaves
                return
            place.registry.take(place.peer, message, self._room.now())

    def _refuse(self, problem: bytes) -> None:
        self._room.refused += 1
        self.send(problem)
        self._socket.close(NORMAL)
