"""The room of signaling: its keys, who may use them, and its HTTP side."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, Protocol

import orjson
from aiohttp import web

from protocol import peer as wire
from protocol.ids import new_id
from protocol.peeraccess import Admission
from server.domains.signaling.caller import Caller
from server.domains.signaling.circles import Circles
from server.domains.signaling.registry import Load, Registry
from server.gateway.handshake import UpgradeRequest
from server.kernel.containment import contained
from server.kernel.sweeping import every
from server.kernel.tasks import Tasks

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


class Door(Protocol):
    """Who may use the keys for members."""

    async def admission(self, token: str, /) -> Admission | None:
        """Say whom a token lets in; None if nobody."""

    async def still(self, admissions: Collection[Admission], /) -> Collection[Admission]:
        """Say which of these would still be let in."""


class Signaling:
    """Everything under `/peerjs`.

    `keys` may be used by anybody, `member_keys` by those whom `door` lets in; `discovery` lets
    `/peers` list the ids of the former.
    """

    def __init__(
        self,
        *,
        keys: frozenset[str],
        member_keys: frozenset[str],
        door: Door,
        tasks: Tasks,
        now: Callable[[], float],
        messages_per_s: float = MESSAGES_PER_S,
        discovery: bool = False,
    ) -> None:
        self.registries: Mapping[str, Registry] = {key: Registry() for key in keys - member_keys}
        self.circles: Mapping[str, Circles] = {key: Circles() for key in member_keys}
        self.members: set[Caller] = set()
        self.door = door
        self.tasks = tasks
        self.now = now
        self.messages_per_s = messages_per_s
        self.refused = 0
        self._discovery = discovery

    def accept(self, request: UpgradeRequest) -> Caller:
        """Make the peer of a new websocket; what is wrong with it is told on the socket."""
        query = request.query
        return Caller(self, query.get("key", ""), query.get("id", ""), query.get("token", ""))

    async def sweep(self) -> None:
        """Give up, each second, what waited too long."""
        await every(SWEEP_EVERY_S, self._expire, "expiring peers and messages")

    async def _expire(self) -> None:
        for registry in self.registries.values():
            with contained("expiring peers"):
                registry.expire(self.now())
        for circles in self.circles.values():
            with contained("expiring peers of lobbies"):
                circles.expire(self.now())

    async def show_out_strangers(self) -> None:
        """End, until cancelled, the peers of those who are not let in any more."""
        await every(ASK_EVERY_S, self._ask_about_members, "looking for peers who left their lobby")

    async def _ask_about_members(self) -> None:
        asked = {caller.admission for caller in self.members if caller.admission is not None}
        if not asked:
            return
        gone = asked.difference(await self.door.still(asked))
        for caller in [caller for caller in self.members if caller.admission in gone]:
            with contained("closing a peer's connection"):
                caller.show_out()

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

    def _loads(self) -> Iterator[Load]:
        yield from (registry.load for registry in self.registries.values())
        yield from (circles.load for circles in self.circles.values())

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
        if key not in self.registries and key not in self.circles:
            raise web.HTTPNotFound
        return key


def _json(data: object) -> web.Response:
    return web.Response(body=orjson.dumps(data), content_type="application/json", headers=ANYBODY)
