"""Signaling for PeerJS clients: its keys, its websockets, and its HTTP side."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import orjson
from aiohttp import web

from protocol import signaling as wire
from protocol.errors import Overloaded, Unavailable
from protocol.ids import new_id
from protocol.signaling import PeerAdmission
from server.core.containment import contain_failures
from server.core.periodic import repeat_every
from server.core.rate_limits import TokenBucket
from server.core.tasks import Tasks
from server.domains.interfaces import PeerAdmissions
from server.domains.play.signaling.registry import (
    PeerNamespaces,
    PeerPlace,
    PeerRegistry,
    RegisteredPeer,
    RegistryUsage,
)
from server.gateway.transport.framing import text_frame
from server.gateway.transport.handshake import UpgradeRequest
from server.gateway.transport.socket import Socket

BURST_S: Final = 5.0
NORMAL: Final = (1000, "")


class PeerConnection:
    """One peer's socket. `admission` is by what it is in a circle, once it is."""

    def __init__(self, signaling: "SignalingService", key: str, peer_id: str, token: str) -> None:
        self.admission: PeerAdmission | None = None
        self._signaling = signaling
        self._key = key
        self._id = peer_id
        self._token = token
        self._place: PeerPlace | None = None
        self._early: list[bytes] = []
        self._bucket = TokenBucket(signaling.messages_per_s, signaling.messages_per_s * BURST_S)
        self._socket: Socket

    # ------------------------------------------------------------------ the socket calls these

    def on_open(self, socket: Socket) -> None:
        """Enter, or get the reason why not; a key for members asks first who this is."""
        self._socket = socket
        problem = self._problem()
        if problem is not None:
            self._refuse(problem)
        elif (namespaces := self._signaling.namespaces.get(self._key)) is not None:
            self._signaling.tasks.start_work(self._be_admitted(namespaces), name="a peer's token")
        else:
            registry = self._signaling.registries[self._key]
            entered = registry.enter(self._id, self._token, self, self._signaling.now())
            self._take_place(
                PeerPlace(registry, entered) if isinstance(entered, RegisteredPeer) else entered
            )

    def on_message(self, message: bytes) -> None:
        """Pass a message on, or have it wait until this peer is in."""
        now = self._signaling.now()
        if not self._bucket.take(now):
            self._signaling.refused += 1
            self._socket.close((1008, "too many messages"))
        elif (place := self._place) is not None:
            place.registry.handle_message(place.peer, message, now)
        elif not self._socket.closing and len(self._early) < wire.EARLY_MESSAGES_MAX:
            self._early.append(message)

    def on_close(self) -> None:
        """Leave."""
        self._signaling.members.discard(self)
        if self._place is not None:
            self._place.registry.leave(self._place.peer)

    # ------------------------------------------------------------- `SignalingService` calls these

    def send(self, message: bytes) -> None:
        """Write a message to the socket."""
        self._socket.send(text_frame(message))

    def drop(self) -> None:
        """Close the socket; nothing more is passed on."""
        self._place = None
        self._socket.close(NORMAL)

    def disconnect(self) -> None:
        """Take out somebody who is no member any more."""
        if self._place is not None:
            self._place.registry.leave(self._place.peer)
            self._refuse(wire.SHOWN_OUT)
            self._place = None

    # ------------------------------------------------------------------ details

    def _problem(self) -> bytes | None:
        if not (self._id and self._token and self._key):
            return wire.MISSING
        if (
            self._key not in self._signaling.registries
            and self._key not in self._signaling.namespaces
        ):
            return wire.WRONG_KEY
        if len(self._id) > wire.ID_CHARS_MAX or len(self._token) > wire.TOKEN_CHARS_MAX:
            return wire.TOO_LONG
        return None

    async def _be_admitted(self, namespaces: PeerNamespaces) -> None:
        try:
            admission = await self._signaling.admissions.read_admission(self._token)
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
        self._take_place(namespaces.enter(self._id, admission, self, self._signaling.now()))

    def _take_place(self, place: PeerPlace | bytes) -> None:
        if isinstance(place, bytes):
            self._refuse(place)
            return
        self._place = place
        if self.admission is not None:
            self._signaling.members.add(self)
        early, self._early = self._early, []
        for message in early:
            if self._place is not place:  # it said that it leaves
                return
            place.registry.handle_message(place.peer, message, self._signaling.now())

    def _refuse(self, problem: bytes) -> None:
        self._signaling.refused += 1
        self.send(problem)
        self._socket.close(NORMAL)


PATH: Final = "/peerjs"
SOCKET_PATH: Final = f"{PATH}/peerjs"
SWEEP_EVERY_S: Final = 1.0
# How soon a peer goes whose person left the lobby, on whichever node that was.
ASK_EVERY_S: Final = 2.0
# PeerJS gathers some dozens of candidates within a second of each offer.
MESSAGES_PER_S: Final = 100.0
# No cookie and no password is ever read here, so a page of any origin may ask; the PeerJS
# server answers alike.
ANYBODY: Final = {"Access-Control-Allow-Origin": "*"}


class SignalingService:
    """Everything under `/peerjs`.

    `keys` may be used by anybody, `member_keys` by those whom `admissions` lets in; `discovery`
    lets `/peers` list the ids of the former.
    """

    def __init__(
        self,
        *,
        keys: frozenset[str],
        member_keys: frozenset[str],
        admissions: PeerAdmissions,
        tasks: Tasks,
        now: Callable[[], float],
        messages_per_s: float = MESSAGES_PER_S,
        discovery: bool = False,
    ) -> None:
        self.registries: Mapping[str, PeerRegistry] = {
            key: PeerRegistry() for key in keys - member_keys
        }
        self.namespaces: Mapping[str, PeerNamespaces] = {
            key: PeerNamespaces() for key in member_keys
        }
        self.members: set[PeerConnection] = set()
        self.admissions = admissions
        self.tasks = tasks
        self.now = now
        self.messages_per_s = messages_per_s
        self.refused = 0
        self._discovery = discovery

    def accept(self, request: UpgradeRequest) -> PeerConnection:
        """Make the peer of a new websocket; what is wrong with it is sent on the socket."""
        query = request.query
        return PeerConnection(
            self, query.get("key", ""), query.get("id", ""), query.get("token", "")
        )

    async def sweep(self) -> None:
        """Give up, each second, what waited too long."""
        await repeat_every(SWEEP_EVERY_S, self._expire, "expiring peers and messages")

    async def _expire(self) -> None:
        for registry in self.registries.values():
            with contain_failures("expiring peers"):
                registry.expire(self.now())
        for namespaces in self.namespaces.values():
            with contain_failures("expiring peers of lobbies"):
                namespaces.expire(self.now())

    async def disconnect_former_members(self) -> None:
        """End, until cancelled, the peers of those who are not let in any more."""
        await repeat_every(
            ASK_EVERY_S, self._ask_about_members, "looking for peers who left their lobby"
        )

    async def _ask_about_members(self) -> None:
        asked = {
            connection.admission for connection in self.members if connection.admission is not None
        }
        if not asked:
            return
        gone = asked.difference(await self.admissions.still_members(asked))
        for connection in [
            connection for connection in self.members if connection.admission in gone
        ]:
            with contain_failures("closing a peer's connection"):
                connection.disconnect()

    # ------------------------------------------------------------------ how it is doing

    def peers(self) -> int:
        """Count who is there."""
        return sum(load.peers for load in self._loads())

    def relayed(self) -> int:
        """Count what was passed on, ever."""
        return sum(load.relayed for load in self._loads())

    def queued_bytes(self) -> int:
        """Measure what waits for peers that are not there."""
        return sum(load.queued_bytes for load in self._loads())

    def _loads(self) -> Iterator[RegistryUsage]:
        yield from (registry.load for registry in self.registries.values())
        yield from (namespaces.load for namespaces in self.namespaces.values())

    # ------------------------------------------------------------------ HTTP

    def add_routes(self, app: web.Application) -> None:
        """Add the addresses that `peerjs` asks before it opens its websocket."""
        for path in (PATH, f"{PATH}/"):
            app.router.add_get(path, self._card)
        app.router.add_get(f"{PATH}/{{key}}/id", self._id)
        app.router.add_get(f"{PATH}/{{key}}/peers", self._peers)

    async def _card(self, _: web.Request) -> web.Response:
        return _json(wire.CARD)

    async def _id(self, request: web.Request) -> web.Response:
        self._require_key(request)
        return web.Response(text=new_id(), content_type="text/html", headers=ANYBODY)

    async def _peers(self, request: web.Request) -> web.Response:
        registry = self.registries.get(self._require_key(request))
        if registry is None or not self._discovery:
            return web.Response(text="Unauthorized", status=401, headers=ANYBODY)
        return _json(registry.ids())

    def _require_key(self, request: web.Request) -> str:
        key: str = request.match_info["key"]
        if key not in self.registries and key not in self.namespaces:
            raise web.HTTPNotFound
        return key


def _json(data: object) -> web.Response:
    return web.Response(body=orjson.dumps(data), content_type="application/json", headers=ANYBODY)
