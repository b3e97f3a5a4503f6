"""Peers that are connected to different nodes, and reach each other.

All peers of a circle (those of one lobby, or everybody with a public key) are in one registry, on
their *meeting node*, which the database names alike to all nodes. A peer that is connected to
another node has its place there through a link::

    socket -> PeerConnection -> MessageQueue ---- peers.say ----> RemoteLink -> PeerRegistry
    socket <- PeerConnection <--- peers.deliver ---- MessageQueue <- RemoteLink

So who has an id, whose messages wait for whom and who is told of whose leaving is decided in one
place, as on a single node.

**Order.** A link has one call under way in each direction; what comes meanwhile makes the next one.
Calls are sent again until they are answered and carried out once (`NodeCalls`), so messages arrive
once and in order.

**When the meeting node is gone,** or has been restarted and knows the link no more, the peer takes
a place on its own node, with what was not delivered, and `settle` moves it to the next meeting node
as soon as the database names one. Its client notices nothing. A node that is gone takes its peers
with it: `settle` has them leave.

Without a broker, and while it is away, each node's peers meet on that node.
"""

import logging
import secrets
import zlib
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from itertools import count
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import orjson

from protocol.errors import PlayhallError
from server.core.node_calls import Body, CallTooLarge, NodeCalls, NodeSilent
from server.core.tasks import Tasks
from server.domains.play.signaling.registry import PeerLink, PeerPlace

log = logging.getLogger(__name__)

# What waits for one call to be answered; a peer sends some dozens of messages of a few kilobytes.
WAITING_MAX: Final = 256
WAITING_BYTES_MAX: Final = 1024 * 1024
# What one call has; one larger message goes alone. Beyond the second size it is compressed.
CALL_BYTES_MAX: Final = 32 * 1024
PLAIN_BYTES_MAX: Final = 16 * 1024
# For how long a node that gave no answer is not asked for a place.
SILENT_S: Final = 1.0


class Entrant(NamedTuple):
    """Who wants a place, and in which circle; that is empty for a key that anybody may use."""

    key: str
    circle: str
    owner: str
    peer_id: str


class Place(Protocol):
    """A peer's place in a registry, on this node or another one."""

    @property
    def node(self) -> str | None:
        """The other node, if it is on one."""

    def handle_message(self, message: bytes, now: float, /) -> None:
        """Carry out what the peer says."""

    def leave(self, *, is_moving: bool = False) -> None:
        """Leave; the peers with which it talked are told, unless it only moves."""


class LinkEnd(Protocol):
    """The connection of a peer, as the node that has it knows it."""

    def send(self, message: bytes) -> None:
        """Send it a message."""

    def drop(self) -> None:
        """Close it."""

    def lose_place(self, unsent: list[bytes]) -> None:
        """Find it another place; `unsent` may not have been delivered."""


EnterHere: TypeAlias = Callable[[Entrant, PeerLink], PeerPlace | bytes]
Unsent: TypeAlias = Callable[[list[bytes]], None]


class MessageQueue:
    """Messages to the other end of a link: in order, one call at a time.

    `is_gone` is called where the other end does not know the link, `is_silent` where it does not
    answer; both get what may not have been delivered, and the queue is at its end with `is_gone`.
    """

    def __init__(
        self,
        ask: Callable[[Body], Awaitable[Body]],
        link_id: str,
        *,
        tasks: Tasks,
        is_gone: Unsent,
        is_silent: Unsent,
    ) -> None:
        self._ask = ask
        self._link_id = link_id
        self._tasks = tasks
        self._is_gone = is_gone
        self._is_silent = is_silent
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._end: str | None = None  # how the link ends, once it does
        self._is_running = False
        self._is_over = False

    def put(self, message: bytes) -> None:
        """Send a message; one that does not fit any more is lost."""
        if self._end is not None or self._is_over:
            return
        if len(self._waiting) >= WAITING_MAX or self._bytes + len(message) > WAITING_BYTES_MAX:
            return
        self._waiting.append(message)
        self._bytes += len(message)
        self._start()

    def end(self, how: str) -> None:
        """End the link, after what waits."""
        if self._end is None and not self._is_over:
            self._end = how
            self._start()

    def _start(self) -> None:
        if not self._is_running:
            self._is_running = True
            self._tasks.start_work(self._send_all(), name="messages to a peer of another node")

    async def _send_all(self) -> None:
        try:
            while (self._waiting or self._end is not None) and not self._is_over:
                await self._send_some()
        finally:
            self._is_running = False

    async def _send_some(self) -> None:
        some = self._take()
        end = None if self._waiting else self._end
        body: dict[str, Any] = {"link": self._link_id, "messages": _pack(some), "end": end}
        self._is_over = end is not None
        try:
            answer = await self._ask(body)
        except CallTooLarge:
            log.info("a message to a peer of another node is too large, and lost")
        except (NodeSilent, PlayhallError):
            self._is_silent(some + self._take_all())
        else:
            if answer.get("gone") and not self._is_over:
                self._is_over = True
                self._is_gone(some + self._take_all())

    def _take(self) -> list[bytes]:
        some: list[bytes] = []
        size = 0
        while self._waiting and (not some or size + len(self._waiting[0]) <= CALL_BYTES_MAX):
            some.append(self._waiting.popleft())
            size += len(some[-1])
        self._bytes -= size
        return some

    def _take_all(self) -> list[bytes]:
        left, self._bytes = list(self._waiting), 0
        self._waiting.clear()
        return left


class RemotePlace:
    """A peer's place on its meeting node, as its own node has it."""

    def __init__(self, node: str, link_id: str, queue: MessageQueue, forget: Callable[[], None]):
        self._node = node
        self._link_id = link_id
        self._queue = queue
        self._forget = forget

    @property
    def node(self) -> str | None:
        """The meeting node."""
        return self._node

    def handle_message(self, message: bytes, _: float, /) -> None:
        """Have it carried out there."""
        self._queue.put(message)

    def leave(self, *, is_moving: bool = False) -> None:
        """Leave there."""
        self._forget()
        self._queue.end("moving" if is_moving else "leaving")


class RemoteLink:
    """The way from a registry on this node to a peer that is connected to another one."""

    def __init__(self, node: str, queue: MessageQueue) -> None:
        self.node = node
        self.place: PeerPlace | None = None
        self._queue = queue

    def send(self, message: bytes) -> None:
        """Send the peer a message."""
        self._queue.put(message)

    def drop(self) -> None:
        """Close the peer's connection."""
        self.place = None
        self._queue.end("dropped")


class PeersOnNodes:
    """The links between this node's connections and registries, and those of others.

    `enter_here` gives a peer a place in a registry of this node.
    """

    def __init__(
        self, calls: NodeCalls, *, tasks: Tasks, enter_here: EnterHere, now: Callable[[], float]
    ) -> None:
        self._calls = calls
        self._tasks = tasks
        self._enter_here = enter_here
        self._now = now
        # Ids are unique among all lives of this node: a link of an earlier one has no end here.
        self._life = secrets.token_hex(6)
        self._numbers = count(1)
        self._ends: dict[str, LinkEnd] = {}  # connections here, by their links
        self._links: dict[tuple[str, str], RemoteLink] = {}  # registered here, by node and link
        self._silent_until: dict[str, float] = {}
        calls.serve("peers.enter", self._enter_for_node)
        calls.serve("peers.say", self._say_for_node)
        calls.serve("peers.deliver", self._deliver_for_node)

    @property
    def node(self) -> str:
        """This node."""
        return self._calls.node

    def is_reachable(self, node: str) -> bool:
        """Whether there is a point in asking another node at present."""
        return self._calls.is_possible and self._silent_until.get(node, 0.0) <= self._now()

    async def enter(self, node: str, entrant: Entrant, end: LinkEnd) -> Place | bytes:
        """Give a connection of this node a place on another; or say why not, in a message.

        Raise `NodeSilent`.
        """
        link_id = f"{self._life}.{next(self._numbers)}"

        def forget() -> None:
            self._ends.pop(link_id, None)

        def lose(unsent: list[bytes]) -> None:
            if self._ends.pop(link_id, None) is not None:
                end.lose_place(unsent)

        def fall_silent(unsent: list[bytes]) -> None:
            self._note_silent(node)
            lose(unsent)

        queue = MessageQueue(
            lambda body: self._calls.ask(node, "peers.say", body),
            link_id,
            tasks=self._tasks,
            is_gone=lose,
            is_silent=fall_silent,
        )
        self._ends[link_id] = end
        try:
            body = {"link": link_id, "entrant": list(entrant)}
            answer = await self._calls.ask(node, "peers.enter", body)
        except BaseException as error:
            forget()
            if isinstance(error, PlayhallError):
                raise NodeSilent(node) from error
            if isinstance(error, NodeSilent):
                self._note_silent(node)
                queue.end("moving")  # it may have a place there after all, where nobody reads
            raise
        if (refusal := answer.get("refused")) is not None:
            forget()
            return str(refusal).encode()
        return RemotePlace(node, link_id, queue, forget)

    def drop_links_of(self, is_alive: Callable[[str], bool]) -> None:
        """Have those leave whose node is gone."""
        for (node, link_id), link in list(self._links.items()):
            if not is_alive(node):
                self._leave(node, link_id)
                log.debug("a peer left with its node %s: %s", node, link.node)

    def linked_nodes(self) -> set[str]:
        """List the nodes that have a peer registered here."""
        return {node for node, _ in self._links}

    # ------------------------------------------------------------------ for other nodes

    async def _enter_for_node(self, node: str, body: dict[str, Any]) -> Body:
        link_id, entrant = str(body["link"]), Entrant(*map(str, body["entrant"]))
        queue = MessageQueue(
            lambda body: self._calls.ask(node, "peers.deliver", body),
            link_id,
            tasks=self._tasks,
            is_gone=lambda _: self._leave(node, link_id),
            is_silent=lambda _: None,  # lost; if the node is gone, the database will say so
        )
        link = RemoteLink(node, queue)
        entered = self._enter_here(entrant, link)
        if isinstance(entered, bytes):
            return {"refused": entered.decode()}
        link.place = entered
        self._links[node, link_id] = link
        return {}

    async def _say_for_node(self, node: str, body: dict[str, Any]) -> Body:
        link = self._links.get((node, body["link"]))
        if link is None or link.place is None:
            self._links.pop((node, body["link"]), None)
            return {"gone": True}
        for message in _unpack(body["messages"]):
            if link.place is not None:  # else it said that it leaves
                link.place.handle_message(message, self._now())
        if body["end"] is not None:
            self._leave(node, body["link"], is_moving=body["end"] == "moving")
        return {}

    async def _deliver_for_node(self, _: str, body: dict[str, Any]) -> Body:
        end = self._ends.get(body["link"])
        if end is None:
            return {"gone": True}
        for message in _unpack(body["messages"]):
            end.send(message)
        if body["end"] is not None:
            del self._ends[body["link"]]
            end.drop()
        return {}

    # ------------------------------------------------------------------ details

    def _leave(self, node: str, link_id: str, *, is_moving: bool = False) -> None:
        link = self._links.pop((node, link_id), None)
        if link is not None and link.place is not None:
            place, link.place = link.place, None
            place.leave(is_moving=is_moving)

    def _note_silent(self, node: str) -> None:
        now = self._now()
        self._silent_until = {n: until for n, until in self._silent_until.items() if until > now}
        self._silent_until[node] = now + SILENT_S


def _pack(messages: Iterable[bytes]) -> Any:
    """Write messages as a part of a call: as they are, or compressed if they are long."""
    texts = [message.decode() for message in messages]
    if sum(map(len, texts)) <= PLAIN_BYTES_MAX:
        return texts
    return b64encode(zlib.compress(orjson.dumps(texts), 1)).decode()


def _unpack(packed: Any) -> list[bytes]:
    if isinstance(packed, str):
        packed = orjson.loads(zlib.decompress(b64decode(packed)))
    return [text.encode() for text in packed]
