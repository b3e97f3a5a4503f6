"""The room of signaling: one registry a key, on sockets, and its HTTP side."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import orjson
from aiohttp import web

from protocol import peer as wire
from protocol.ids import new_id
from server.domains.signaling.registry import Peer, Registry
from server.gateway.framing import text_frame
from server.gateway.handshake import UpgradeRequest
from server.gateway.limits import TokenBucket
from server.gateway.peer import Socket

PATH: Final = "/peerjs"
SOCKET_PATH: Final = f"{PATH}/peerjs"
SWEEP_EVERY_S: Final = 1.0
# PeerJS gathers some dozens of candidates within a second of each offer.
MESSAGES_PER_S: Final = 100.0
BURST_S: Final = 5.0
NORMAL: Final = (1000, "")
# No cookie and no password is ever read here, so a page of any origin may ask; the PeerJS
# server answers alike.
ANYBODY: Final = {"Access-Control-Allow-Origin": "*"}


class Signaling:
    """Everything under `/peerjs`. `keys` may be used; `discovery` lets `/peers` list ids."""

    def __init__(
        self,
        *,
        keys: frozenset[str],
        now: Callable[[], float],
        messages_per_s: float = MESSAGES_PER_S,
        discovery: bool = False,
    ) -> None:
        self.registries: Mapping[str, Registry] = {key: Registry() for key in keys}
        self.now = now
        self.messages_per_s = messages_per_s
        self._discovery = discovery

    def accept(self, request: UpgradeRequest) -> "Caller":
        """Make the peer of a new websocket; what is wrong with it is told on the socket."""
        query = request.query
        return Caller(self, query.get("key", ""), query.get("id", ""), query.get("token", ""))

    async def sweep(self) -> None:
        """Give up, each second, what waited too long."""
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            for registry in self.registries.values():
                registry.expire(self.now())

    @property
    def peers(self) -> int:
        """How many are there."""
        return sum(map(len, self.registries.values()))

    @property
    def relayed(self) -> int:
        """How many messages were passed on, ever."""
        return sum(registry.relayed for registry in self.registries.values())

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
        self._registry(request)
        return web.Response(text=new_id(), content_type="text/html", headers=ANYBODY)

    async def _peers(self, request: web.Request) -> web.Response:
        registry = self._registry(request)
        if not self._discovery:
            return web.Response(text="Unauthorized", status=401, headers=ANYBODY)
        return _json(registry.ids())

    def _registry(self, request: web.Request) -> Registry:
        registry = self.registries.get(request.match_info["key"])
        if registry is None:
            raise web.HTTPNotFound
        return registry


class Caller:
    """A websocket at `/peerjs/peerjs`: who it wants to be, and who it became."""

    def __init__(self, room: Signaling, key: str, peer_id: str, token: str) -> None:
        self._room = room
        self._key = key
        self._id = peer_id
        self._token = token
        self._peer: Peer | None = None
        self._bucket = TokenBucket(room.messages_per_s, room.messages_per_s * BURST_S)
        self._socket: Socket

    # ------------------------------------------------------------------ the socket calls these

    def on_open(self, socket: Socket) -> None:
        """Enter, or be told why not."""
        self._socket = socket
        entered = self._enter()
        if isinstance(entered, Peer):
            self._peer = entered
        else:
            self.send(entered)
            socket.close(NORMAL)

    def on_message(self, message: bytes) -> None:
        """Pass a message on; one that is no JSON object is let go."""
        if self._peer is None:
            return
        if not self._bucket.take(self._room.now()):
            self._socket.close((1008, "too many messages"))
            return
        try:
            said = orjson.loads(message)
        except orjson.JSONDecodeError:
            return
        if isinstance(said, dict):
            registry = self._room.registries[self._key]
            kind, dst, payload = said.get("type"), said.get("dst"), said.get("payload")
            registry.take(self._peer, kind, dst, payload, self._room.now())

    def on_close(self) -> None:
        """Leave."""
        if self._peer is not None:
            self._room.registries[self._key].leave(self._peer)

    # ------------------------------------------------------------------ the registry calls these

    def send(self, message: bytes) -> None:
        """Write a message to the socket."""
        self._socket.send(text_frame(message))

    def drop(self) -> None:
        """Close the socket."""
        self._socket.close(NORMAL)

    def _enter(self) -> Peer | bytes:
        if not (self._id and self._token and self._key):
            return wire.MISSING
        registry = self._room.registries.get(self._key)
        if registry is None:
            return wire.WRONG_KEY
        if len(self._id) > wire.ID_CHARS_MAX or len(self._token) > wire.TOKEN_CHARS_MAX:
            return wire.TOO_LONG
        return registry.enter(self._id, self._token, self, self._room.now())


def _json(data: object) -> web.Response:
    return web.Response(body=orjson.dumps(data), content_type="application/json", headers=ANYBODY)
