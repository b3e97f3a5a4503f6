"""A broker over the publish/subscribe of a Redis or Valkey server.

Two connections: one publishes, in pipelined batches, one subscribes. Each topic is a channel,
`<prefix>:<database>:<topic>`. Redis keeps nothing of what is published, so a node that was away for
a moment has missed what came meanwhile; it hears so from `on_gap` of each of its topics, when the
server has confirmed that the topic is subscribed to again.

**Publishing.** A batch is in flight at a time, and what comes meanwhile makes the next one: a
quiet node sends at once, a busy one in batches. If a batch is not answered in time nobody knows
what became of it. It is not sent again, since that would repeat notices, but its topics are
announced as gaps.

**Subscribing.** Topics that were asked for on this connection are in `_asked`; those that should
be are in the handlers. Each change wakes the writer, which sends the difference, so a topic that
comes and goes within a moment costs nothing.

**Back-pressure.** Notices are handed to handlers as fast as they are read. A node that does not
keep up is disconnected by Redis (`client-output-buffer-limit pubsub`), which is a gap like any
other.

**Trust.** What is published is signed with a key that all nodes share, and what is not is refused
(`envelopes.py`). Who can read on the server still sees everything, and who can write there can hold
back what they like. So give it a password, and TLS (`rediss://`) where the network is not ours.

Sharded publish/subscribe (`SSUBSCRIBE`) would need another connection for each shard and no other
names; see the port about those.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Final

from redis.asyncio.connection import AbstractConnection

from persistence.broker.dispatch import HandlerRegistry
from persistence.broker.envelopes import (
    EnvelopeKind,
    Envelopes,
    ForgedEnvelope,
    MalformedEnvelope,
)
from persistence.broker.link import ReconnectingLink, RedisServer, RedisTimeouts
from persistence.broker.port import BrokerMetrics, Notice, NoticeHandler, check_topic
from persistence.broker.queues import SendQueue, wait_until_drained
from persistence.hook_points import HookPoint

log = logging.getLogger(__name__)

PREFIX: Final = "playhall"

BATCH_NOTICES_MAX: Final = 512
BATCH_BYTES_MAX: Final = 1 << 20
# How many channels one command names.
CHANNELS_AT_ONCE: Final = 500
# After how many messages the others on the event loop have a turn, where more wait already.
READ_AT_ONCE: Final = 128
# How often at most the log says that messages are refused.
WARN_EVERY_S: Final = 60.0

_MESSAGE: Final = b"message"
_SUBSCRIBED: Final = b"subscribe"


class ServerSilent(TimeoutError):
    """The server answers no ping."""


class ConnectionGone(ConnectionError):
    """The server closed a connection while nothing was sent on it."""


class RedisBroker:
    """Carries notices through a Redis server.

    `prefix` keeps apart what shares a server, and so does the number of the URL's database, which
    is part of our channels' names: Redis itself does not separate channels by it. `keys` gives
    what notices are signed with, the first, and checked with, any; it is asked once, by `run`.
    """

    def __init__(
        self,
        url: str,
        *,
        keys: Callable[[], Sequence[bytes]],
        prefix: str = PREFIX,
        pace: RedisTimeouts | None = None,
    ) -> None:
        """Raise `InvalidRedisUrl`, or `InvalidTopic` for the prefix."""
        check_topic(prefix)
        self.metrics = BrokerMetrics()
        self._pace = pace or RedisTimeouts()
        server = RedisServer(url, timeout_s=self._pace.timeout_s)
        self._publishing = ReconnectingLink(
            server, "publishing", pace=self._pace, metrics=self.metrics
        )
        self._listening = ReconnectingLink(
            server, "subscribing", pace=self._pace, metrics=self.metrics
        )
        self._keys = keys
        self._channels = f"{prefix}:{server.database}:"
        self._handlers = HandlerRegistry(self.metrics)

        self._queue = SendQueue(self.metrics)
        self._in_flight = 0
        self._queued = asyncio.Event()
        self._sent = asyncio.Event()

        self._asked: set[str] = set()  # on the present connection
        self._changes: dict[str, None] = {}  # topics whose handler came or went
        self._changed = asyncio.Event()
        self._unconfirmed = 0
        self._is_live = False
        self._heard_at = 0.0
        self._warned_at = -math.inf

    @cached_property
    def _envelopes(self) -> Envelopes:
        return Envelopes(self._keys())

    @property
    def is_live(self) -> bool:
        """Whether the server confirmed every topic that there was when the connection was made."""
        return self._is_live

    @property
    def has_peers(self) -> bool:
        """Whether there may be another node; nobody knows, so it is assumed."""
        return True

    @property
    def backlog(self) -> int:
        """How many notices wait to be sent, or to be confirmed by the server."""
        return len(self._queue) + self._in_flight

    async def run(self) -> None:
        """Keep both connections, until cancelled."""
        assert self._envelopes.sender  # the keys are read here, and not amid the first message
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self._publishing.keep_connected(self._publish_all), name="broker: publish"
            )
            group.create_task(
                self._listening.keep_connected(self._listen), name="broker: subscribe"
            )

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything was sent and confirmed; False if it takes longer."""
        return await wait_until_drained(lambda: self.backlog, self._sent, timeout_s=timeout_s)

    def publish(self, notice: Notice) -> None:
        """Queue a notice. Raise `InvalidTopic`."""
        if (observed := PUBLISHING.around) is None:
            self._publish(notice)
        else:
            observed(self, notice)

    def _publish(self, notice: Notice) -> None:
        self._queue.put(notice)
        self._queued.set()

    def subscribe(self, topic: str, handler: NoticeHandler) -> None:
        """Have a handler called for a topic. Raise `InvalidTopic` or `ValueError`."""
        self._handlers.add(topic, handler)
        self._change(topic)

    def unsubscribe(self, topic: str) -> None:
        """Have nothing called for a topic any more."""
        if self._handlers.remove(topic):
            self._change(topic)

    # ------------------------------------------------------------------ publishing

    async def _publish_all(self, connection: AbstractConnection) -> None:
        while True:
            while self._queue:
                await self._publish_batch(connection)
            self._sent.set()
            await self._queued.wait()
            self._queued.clear()
            if await connection.can_read():  # nothing is due, so this is its end
                raise ConnectionGone

    async def _publish_batch(self, connection: AbstractConnection) -> None:
        lost, notices = self._queue.take(BATCH_NOTICES_MAX, BATCH_BYTES_MAX)
        self._in_flight = len(lost) + len(notices)
        try:
            async with asyncio.timeout(self._pace.timeout_s):
                packed = connection.pack_commands(self._commands(lost, notices))
                await connection.send_packed_command(packed, check_health=False)
                for _ in range(self._in_flight):
                    await connection.read_response(timeout=math.inf)
        except BaseException:
            self._queue.mark_lost(notices, lost)
            raise
        finally:
            self._in_flight = 0
        self.metrics.published += len(notices)

    def _commands(self, lost: list[str], notices: list[Notice]) -> Iterator[tuple[bytes, ...]]:
        envelopes = self._envelopes
        for topic in lost:
            channel = self._channel(topic)
            yield b"PUBLISH", channel, envelopes.encode_gap(channel)
        for notice in notices:
            channel = self._channel(notice.topic)
            yield b"PUBLISH", channel, envelopes.encode_notice(channel, notice)

    def _channel(self, topic: str) -> bytes:
        return f"{self._channels}{topic}".encode("ascii")

    # ------------------------------------------------------------------ subscribing

    def _change(self, topic: str) -> None:
        self._changes[topic] = None
        self._changed.set()

    async def _listen(self, connection: AbstractConnection) -> None:
        self._asked.clear()
        self._unconfirmed = 0
        self._heard_at = asyncio.get_running_loop().time()
        self._changes = dict.fromkeys(self._handlers.topics())
        self._changed.set()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(connection), name="broker: read")
                group.create_task(self._write(connection), name="broker: write")
        finally:
            self._is_live = False

    async def _write(self, connection: AbstractConnection) -> None:
        """Send changes of what is subscribed to, and pings where there are none."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(self._pace.ping_every_s):
                    await self._changed.wait()
            except TimeoutError:
                await connection.send_command("PING", check_health=False)
            else:
                self._changed.clear()
                await self._send_changes(connection)
            if loop.time() - self._heard_at > self._pace.silent_max_s:
                raise ServerSilent

    async def _send_changes(self, connection: AbstractConnection) -> None:
        changes, self._changes = self._changes, {}
        begin = [each for each in changes if each in self._handlers and each not in self._asked]
        end = [each for each in changes if each in self._asked and each not in self._handlers]
        self._asked.update(begin)
        self._asked.difference_update(end)
        self._unconfirmed += len(begin)
        for command, topics in ((b"SUBSCRIBE", begin), (b"UNSUBSCRIBE", end)):
            for some in _portions(topics):
                channels = (self._channel(topic) for topic in some)
                await connection.send_command(command, *channels, check_health=False)
        self._note_confirmed(0)

    async def _read(self, connection: AbstractConnection) -> None:
        loop = asyncio.get_running_loop()
        count = 0
        while True:
            message = await connection.read_response(timeout=math.inf)
            self._heard_at = loop.time()
            self._receive(message)
            count += 1
            if count % READ_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _receive(self, message: object) -> None:
        match message:
            case [bytes(kind), bytes(channel), bytes(body)] if kind == _MESSAGE:
                self._open(channel, body)
            case [bytes(kind), bytes(channel), int()] if kind == _SUBSCRIBED:
                # Also where it was given up meanwhile, and taken up again: the handler is notified
                # of a gap once more than needed, never once less.
                self._handlers.dispatch_gap(self._topic(channel))
                self._note_confirmed(1)
            case _:
                pass  # a pong, or the end of a subscription

    def _open(self, channel: bytes, body: bytes) -> None:
        topic = self._topic(channel)
        try:
            kind, sender, notice = self._envelopes.decode(channel, topic, body)
        except MalformedEnvelope:
            self.metrics.malformed += 1
            return
        except ForgedEnvelope:
            self._refuse(topic)
            return
        if sender == self._envelopes.sender:
            self.metrics.echoes += 1
        elif kind is EnvelopeKind.GAP:
            self._handlers.dispatch_gap(topic)
        else:
            self._handlers.dispatch_notice(notice)

    def _refuse(self, topic: str) -> None:
        self.metrics.refused += 1
        if self._heard_at - self._warned_at >= WARN_EVERY_S:
            self._warned_at = self._heard_at
            log.warning(
                "refused a message on Redis for %s, which no node with our keys has signed, or "
                "which came twice; all nodes need the same PLAYHALL_SECRET_KEYS",
                topic,
            )

    def _note_confirmed(self, topics: int) -> None:
        self._unconfirmed -= topics
        if self._unconfirmed == 0:
            self._is_live = True

    def _topic(self, channel: bytes) -> str:
        return channel[len(self._channels) :].decode("ascii", "replace")


PUBLISHING: Final = HookPoint(RedisBroker._publish)


def _portions(topics: list[str]) -> Iterator[Iterable[str]]:
    for start in range(0, len(topics), CHANNELS_AT_ONCE):
        yield islice(topics, start, start + CHANNELS_AT_ONCE)
