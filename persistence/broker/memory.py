"""A broker without a server: the nodes of one process share a hub.

For one node, which has nobody to notify, and for tests that run several nodes in one process.
"""

import asyncio
from typing import Final

from persistence.broker.dispatch import HandlerRegistry
from persistence.broker.port import (
    PAYLOAD_BYTES_MAX,
    BrokerMetrics,
    Notice,
    NoticeHandler,
)
from persistence.broker.queues import SendQueue, wait_until_drained

# How many notices are handed over in one turn of the loop.
AT_ONCE: Final = 256


class MemoryHub:
    """Where the brokers of one process find each other."""

    def __init__(self) -> None:
        self.brokers: list[MemoryBroker] = []


class MemoryBroker:
    """Hands notices to the other brokers of its hub, in a later turn of the loop.

    `is_whole` says that the hub has all nodes that there are. A server without Redis cannot know
    that: other processes may serve the same database, so by default it is False, and whoever
    depends on notices keeps looking at the database.
    """

    def __init__(self, hub: MemoryHub | None = None, *, is_whole: bool = False) -> None:
        self.metrics = BrokerMetrics()
        self._hub = MemoryHub() if hub is None else hub
        self._hub.brokers.append(self)
        self._is_whole = is_whole
        self._handlers = HandlerRegistry(self.metrics)
        self._queue = SendQueue(self.metrics)
        self._woken = asyncio.Event()
        self._sent = asyncio.Event()
        self._running = False

    @property
    def is_live(self) -> bool:
        """Whether the hub has every node, and this one's notices are handed over."""
        return self._is_whole and self._running

    @property
    def has_peers(self) -> bool:
        """Whether another broker shares the hub."""
        return len(self._hub.brokers) > 1

    @property
    def backlog(self) -> int:
        """How many notices wait to be handed over."""
        return len(self._queue)

    async def run(self) -> None:
        """Hand notices over, until cancelled."""
        if self not in self._hub.brokers:  # it ran before
            self._hub.brokers.append(self)
        self._running = True
        try:
            for topic in self._handlers.topics():
                self._handlers.dispatch_gap(topic)  # whatever was published before was not for us
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._queue:
                    self._hand_over()
                    await asyncio.sleep(0)
                self._sent.set()
        finally:
            self._running = False
            self._hub.brokers.remove(self)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything is handed over; False if it takes longer."""
        return await wait_until_drained(lambda: self.backlog, self._sent, timeout_s=timeout_s)

    def publish(self, notice: Notice) -> None:
        """Queue a notice for the other nodes. Raise `InvalidTopic`."""
        if not self.has_peers:
            return
        self._queue.put(notice)
        self._woken.set()

    def subscribe(self, topic: str, handler: NoticeHandler) -> None:
        """Have a handler called for a topic. Raise `InvalidTopic` or `ValueError`."""
        self._handlers.add(topic, handler)

    def unsubscribe(self, topic: str) -> None:
        """Have nothing called for a topic any more."""
        self._handlers.remove(topic)

    def _hand_over(self) -> None:
        lost, notices = self._queue.take(AT_ONCE, PAYLOAD_BYTES_MAX)
        self.metrics.published += len(notices)
        for broker in [each for each in self._hub.brokers if each is not self]:
            broker._receive(lost, notices)

    def _receive(self, lost: list[str], notices: list[Notice]) -> None:
        if not self._running:
            return
        for topic in lost:
            self._handlers.dispatch_gap(topic)
        for notice in notices:
            if notice.topic in self._handlers:
                self._handlers.dispatch_notice(notice)
