"""Signaling for PeerJS clients: its keys, its websockets, and its HTTP side."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from typing import Final

import orjson
from aiohttp import web

from protocol import signaling as wire
from protocol.errors import Overloaded, Unavailable
from protocol.ids import new_id
from protocol.signaling import PeerAdmission
from server.core.containment import contain_failures
from server.core.node_calls import NodeCalls, NodeSilent
from server.core.periodic import repeat_every
from server.core.rate_limits import TokenBucket
from server.core.tasks import Tasks
from server.domains.interfaces import PeerAdmissions
from server.domains.play.signaling.nodes import Entrant, PeersOnNodes, Place
from server.domains.play.signaling.registry import (
    PeerLink,
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
OWNER_BYTES: Final = 16
NORMAL: Final = (1000, "")


class PeerConnection:
    """One peer's socket. `admission` is by what it is in a circle, once it is."""

    __slots__ = (
        "_bucket",
        "_early",
        "_id",
        "_is_open",
        "_key",
        "_place",
        "_signaling",
        "_socket",
        "_token",
        "admission",
        "entrant",
        "is_moving",
    )

    _socket: Socket

    def __init__(self, signaling: "SignalingService", key: str, peer_id: str, token: str) -> None:
        self.admission: PeerAdmission | None = None
        self.entrant: Entrant | None = None  # what it has, or wants, a place with
        self.is_moving = False
        self._is_open = False  # its client was told so
        self._signaling = signaling
        self._key = key
        self._id = peer_id
        self._token = token
        self._place: Place | None = None
        self._early: list[bytes] = []
        self._bucket = TokenBucket(signaling.messages_per_s, signaling.messages_per_s * BURST_S)

    # ------------------------------------------------------------------ the socket calls these

    def on_open(self, socket: Socket) -> None:
        """Enter, or get the reason why not; a key for members asks first who this is."""
        self._socket = socket
        problem = self._problem()
        if problem is not None:
            self._refuse(problem)
        elif self._key in self._signaling.namespaces:
            self._signaling.tasks.start_work(self._be_admitted(), name="a peer's token")
        else:
            # Whose a peer is goes to other nodes, and the token itself is nobody's business.
            owner = blake2b(self._token.encode(), digest_size=OWNER_BYTES).hexdigest()
            self._enter(Entrant(self._key, "", owner, self._id))

    def on_message(self, message: bytes) -> None:
        """Pass a message on, or have it wait until this peer is in."""
        now = self._socket.last_seen  # this very moment: the socket took note of it
        if not self._bucket.take(now):
            self._signaling.refused += 1
            self._socket.close((1008, "too many messages"))
        elif (place := self._place) is not None:
            place.handle_message(message, now)
        elif not self._socket.closing and len(self._early) < wire.EARLY_MESSAGES_MAX:
            self._early.append(message)

    def on_close(self) -> None:
        """Leave."""
        self._signaling.connections.discard(self)
        if self._place is not None:
            self._place.leave()

    # ------------------------------------------------------------- `SignalingService` calls these

    def send(self, message: bytes) -> None:
        """Write a message to the socket."""
        if message == wire.OPEN:
            if self._is_open:
                return  # its place is another one now, which is nothing to its client
            self._is_open = True
        self._socket.send(text_frame(message))

    def drop(self) -> None:
        """Close the socket; nothing more is passed on."""
        self._place = None
        self._socket.close(NORMAL)

    def disconnect(self) -> None:
        """Take out somebody who is no member any more."""
        if self._place is not None:
            self._place.leave()
            self._refuse(wire.SHOWN_OUT)
            self._place = None

    def lose_place(self, unsent: list[bytes]) -> None:
        """Go on in this node's own registry, until the next meeting node is known."""
        if self._socket.closing or self.entrant is None:
            return
        self._place = None
        self._early = [*unsent, *self._early][: wire.EARLY_MESSAGES_MAX]
        self._take_place(self._signaling.enter_here(self.entrant, self))

    async def move(self, node: str) -> None:
        """Take a place on another node, or on this one, and give the present one up."""
        assert self.entrant is not None
        self.is_moving = True
        try:
            place = await self._signaling.enter_at(node, self.entrant, self)
        except NodeSilent:
            return  # it stays where it is, and is moved later
        finally:
            self.is_moving = False
        before, self._place = self._place, None
        if before is not None:
            before.leave(is_moving=True)
        self._take_place(place)

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

    async def _be_admitted(self) -> None:
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
        self._enter(Entrant(self._key, admission.circle, admission.person, self._id))

    def _enter(self, entrant: Entrant) -> None:
        self.entrant = entrant
        if self._signaling.nodes is None:
            self._take_place(self._signaling.enter_here(entrant, self))
        else:
            work = self._enter_somewhere(entrant)
            self._signaling.tasks.start_work(work, name="a peer's place")

    async def _enter_somewhere(self, entrant: Entrant) -> None:
        self._take_place(await self._signaling.enter_anywhere(entrant, self))

    def _take_place(self, place: Place | bytes) -> None:
        if isinstance(place, bytes):
            self._refuse(place)
            return
        if self._socket.closing:
            place.leave()
            return
        self._place = place
        self._signaling.connections.add(self)
        early, self._early = self._early, []
        for message in early:
            if self._place is not place:  # it said that it leaves
                return
            place.handle_message(message, self._signaling.now())

    @property
    def node(self) -> str | None:
        """The other node on which its place is, if there is one."""
        return None if self._place is None else self._place.node

    def _refuse(self, problem: bytes) -> None:
        self._signaling.refused += 1
        self.send(problem)
        self._socket.close(NORMAL)


PATH: Final = "/peerjs"
SOCKET_PATH: Final = f"{PATH}/peerjs"
SWEEP_EVERY_S: Final = 1.0
# How soon a peer goes whose person left the lobby, on whichever node that was.
ASK_EVERY_S: Final = 2.0
SETTLE_EVERY_S: Final = 2.0
# PeerJS gathers some dozens of candidates within a second of each offer.
MESSAGES_PER_S: Final = 100.0
# No cookie and no password is ever read here, so a page of any origin may ask; the PeerJS
# server answers alike.
ANYBODY: Final = {"Access-Control-Allow-Origin": "*"}


class SignalingService:
    """Everything under `/peerjs`.

    `calls` asks other nodes, where there may be any. `keys` may be used by anybody, `member_keys`
    by those whom `admissions` lets in; `discovery` lets `/peers` list the ids of the former.
    """

    def __init__(
        self,
        *,
        keys: frozenset[str],
        member_keys: frozenset[str],
        admissions: PeerAdmissions,
        tasks: Tasks,
        now: Callable[[], float],
        calls: NodeCalls | None = None,
        messages_per_s: float = MESSAGES_PER_S,
        discovery: bool = False,
    ) -> None:
        self.registries: Mapping[str, PeerRegistry] = {
            key: PeerRegistry() for key in keys - member_keys
        }
        self.namespaces: Mapping[str, PeerNamespaces] = {
            key: PeerNamespaces() for key in member_keys
        }
        self.connections: set[PeerConnection] = set()  # those that have a place
        self.admissions = admissions
        self.tasks = tasks
        self.now = now
        self.messages_per_s = messages_per_s
        self.refused = 0
        self.nodes: PeersOnNodes | None = None
        if calls is not None:
            self.nodes = PeersOnNodes(calls, tasks=tasks, enter_here=self.enter_here, now=now)
        self._discovery = discovery

    def accept(self, request: UpgradeRequest) -> PeerConnection:
        """Make the peer of a new websocket; what is wrong with it is sent on the socket."""
        query = request.query
        return PeerConnection(
            self, query.get("key", ""), query.get("id", ""), query.get("token", "")
        )

    # ------------------------------------------------------------------ places

    def enter_here(self, entrant: Entrant, link: PeerLink) -> PeerPlace | bytes:
        """Give a peer a place in a registry of this node; or say why not, in a message."""
        registry = self.registries.get(entrant.key)
        if registry is not None:
            entered = registry.enter(entrant.peer_id, entrant.owner, link, self.now())
            if isinstance(entered, RegisteredPeer):
                return PeerPlace(registry, entered)
            return entered
        namespaces = self.namespaces.get(entrant.key)
        if namespaces is None:
            return wire.WRONG_KEY
        admission = PeerAdmission(entrant.circle, entrant.owner, "")
        return namespaces.enter(entrant.peer_id, admission, link, self.now())

    async def enter_at(
        self, node: str, entrant: Entrant, connection: PeerConnection
    ) -> Place | bytes:
        """Give a peer a place on a node; raise `NodeSilent` if that gives no answer."""
        if self.nodes is None or node == self.nodes.node:
            return self.enter_here(entrant, connection)
        return await self.nodes.enter(node, entrant, connection)

    async def enter_anywhere(self, entrant: Entrant, connection: PeerConnection) -> Place | bytes:
        """Give a peer a place where its circle meets; on this node while that cannot be reached."""
        assert self.nodes is not None
        try:
            found = await self.admissions.find_meeting_nodes([entrant.circle])
            node = found.get(entrant.circle, self.nodes.node)
            if node == self.nodes.node or self.nodes.is_reachable(node):
                return await self.enter_at(node, entrant, connection)
        except (NodeSilent, Unavailable, Overloaded):
            pass  # `settle` tries again
        return self.enter_here(entrant, connection)

    async def settle(self) -> None:
        """Move peers, until cancelled, to where their circle meets now."""
        await repeat_every(SETTLE_EVERY_S, self._settle, "moving peers to where they meet")

    async def _settle(self) -> None:
        nodes = self.nodes
        if nodes is None:
            return
        if linked := nodes.linked_nodes():
            alive = await self.admissions.find_live_nodes(linked)
            nodes.drop_links_of(alive.__contains__)
        placed = [
            (each, each.entrant)
            for each in self.connections
            if each.entrant is not None and not each.is_moving
        ]
        if not placed:
            return
        found = await self.admissions.find_meeting_nodes({who.circle for _, who in placed})
        for connection, entrant in placed:
            node = found.get(entrant.circle, nodes.node)
            is_here = node == nodes.node
            if connection.node == (None if is_here else node):
                continue
            if is_here or nodes.is_reachable(node):
                self.tasks.start_work(connection.move(node), name="a peer's place")

    # ------------------------------------------------------------------ sweeps

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
        asked = {each.admission for each in self.connections if each.admission is not None}
        if not asked:
            return
        gone = asked.difference(await self.admissions.still_members(asked))
        for connection in [each for each in self.connections if each.admission in gone]:
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
