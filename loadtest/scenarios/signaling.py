"""Signaling: pairs of PeerJS peers who answer each other's messages without a pause.

It works on any server that speaks the PeerJS server's protocol; Playhall's is one.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import orjson

from loadtest.measure import Measurements, Meter, OnProgress
from loadtest.scenarios.scenario import Shard, sample_while
from loadtest.transport import open_picows
from playhall.errors import ClientError, ServerUnreachable
from playhall.http import HttpClient
from playhall.transport import Transport

AT_ONCE: Final = 16
OPEN_TIMEOUT_S: Final = 30.0
IN_ORDER: Final = "every message came once, in order, from whom it said"
TOO_MANY: Final = 1008  # RFC 6455: a rule of the server's was broken, here its rate limit


@dataclass(frozen=True, slots=True)
class SignalingScenario:
    """One share of: `pairs` of peers who keep `window` messages each under way.

    A peer sends at most `messages_per_s`; 0 is as fast as its messages are answered.
    `path` and `key` are where the server signals; `asks` lets it read Playhall's own numbers.
    """

    shard: Shard
    pairs: int
    window: int
    payload_bytes: int
    duration_s: float
    ramp_up_s: float
    path: str = "/peerjs"
    key: str = "peerjs"
    asks: bool = True
    messages_per_s: float = 0

    async def run(self, on_progress: OnProgress) -> Measurements:
        """Send."""
        async with HttpClient(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.asks and self.shard.index == 0)
            meter.stage = "connecting"
            async with self.connected(meter) as peers, sample_while(meter):
                await self._measure(meter, peers)
            return meter.result()

    async def _measure(self, meter: Meter, peers: list["SignalingPeer"]) -> None:
        meter.stage = "sending"
        await meter.begin()
        for peer in peers:
            peer.begin(self.window)
        await meter.run_window(ramp_up_s=self.ramp_up_s, duration_s=self.duration_s)
        for peer in peers:
            meter.checks.note_check(IN_ORDER, peer.fault)

    @asynccontextmanager
    async def connected(self, meter: Meter) -> AsyncIterator[list["SignalingPeer"]]:
        """Connect this share's peers for a block; none of them has sent anything."""
        pad = "x" * self.payload_bytes
        names = [
            (f"{self.shard.index}-{n}-a", f"{self.shard.index}-{n}-b")
            for n in range(self.shard.share_of(self.pairs))
        ]
        pause_s = 1 / self.messages_per_s if self.messages_per_s else 0.0
        peers = [
            SignalingPeer(me, other, meter, pad, pause_s=pause_s)
            for a, b in names
            for me, other in ((a, b), (b, a))
        ]
        url = self.shard.url.replace("http", "ws", 1).rstrip("/")
        async with asyncio.TaskGroup() as tasks:
            for start in range(0, len(peers), AT_ONCE):
                group = peers[start : start + AT_ONCE]
                for peer in group:
                    query = f"key={self.key}&id={peer.me}&token=t&version=1.5.5"
                    tasks.create_task(peer.run(f"{url}{self.path}/peerjs?{query}"))
                for peer in group:
                    await peer.ready()
            try:
                yield peers
            finally:
                for peer in peers:
                    peer.close()


class SignalingPeer:
    """One peer; it numbers what it sends and expects its partner to do so."""

    def __init__(self, me: str, other: str, meter: Meter, pad: str, *, pause_s: float) -> None:
        self.me = me
        self.fault: str | None = None
        self._other = other
        self._meter = meter
        self._pad = pad
        self._pause_s = pause_s
        self._may_send_at = 0.0
        self._next = 0
        self._expected = 0
        self._open = asyncio.Event()
        self._closing = False
        self._transport: Transport | None = None

    async def run(self, url: str) -> None:
        """Carry messages until it is closed here."""
        self._transport = await open_picows(url, self._take)
        closed = await self._transport.run()
        if not self._closing:
            remedy = "; raise its PLAYHALL_PEER_MESSAGES_PER_S" if closed.code == TOO_MANY else ""
            self.fault = f"peer {self.me} was closed: {closed.code} {closed.reason}{remedy}"
            self._open.set()

    async def ready(self) -> None:
        """Wait until the server let it in."""
        try:
            await asyncio.wait_for(self._open.wait(), OPEN_TIMEOUT_S)
        except TimeoutError:
            raise ServerUnreachable(f"Peer {self.me} was not let in.") from None
        if self.fault is not None:
            raise ClientError(self.fault)

    def begin(self, window: int) -> None:
        """Send the first messages; each that comes is answered by the next one."""
        for _ in range(window):
            self._send_in_turn("OFFER")

    def close(self) -> None:
        """Close the connection."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    def _send_in_turn(self, kind: str) -> None:
        """Send now, or when the server's limit for one peer lets it."""
        loop = asyncio.get_running_loop()
        at = max(loop.time(), self._may_send_at)
        self._may_send_at = at + self._pause_s
        if at > loop.time():
            loop.call_at(at, self._send, kind)
        else:
            self._send(kind)

    def _send(self, kind: str) -> None:
        assert self._transport is not None
        if self._closing or self.fault is not None:
            return
        payload = {"n": self._next, "pad": self._pad}
        self._next += 1
        self._transport.send(orjson.dumps({"type": kind, "dst": self._other, "payload": payload}))

    def _take(self, frame: bytes) -> None:
        message = orjson.loads(frame)
        if message["type"] == "OPEN":
            self._open.set()
            return
        self._meter.counters.counts["deliveries"] += 1
        self._check(message)
        if not self._closing and self.fault is None:
            self._send_in_turn("CANDIDATE")

    def _check(self, message: dict[str, object]) -> None:
        payload = message.get("payload")
        number = payload.get("n") if isinstance(payload, dict) else None
        if (message.get("src"), number) != (self._other, self._expected) and self.fault is None:
            self.fault = f"peer {self.me}: {message['type']} {number} of {message.get('src')} came "
            self.fault += f"where {self._expected} of {self._other} was due"
        self._expected += 1
