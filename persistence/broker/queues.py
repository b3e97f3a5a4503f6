"""What waits to be sent: a bounded queue that knows what it could not hold.

Both brokers publish through it, so `publish` costs an append, whatever the server does.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from persistence.broker.port import PAYLOAD_BYTES_MAX, BrokerMetrics, Notice, check_topic

# About as many as a busy node publishes in a second or two; payloads have a bound of their own.
NOTICES_MAX: Final = 10_000
BYTES_MAX: Final = 8 << 20
# Topics of which notices were dropped. Beyond that many, only the periodic look at the database
# finds what was missed.
LOST_TOPICS_MAX: Final = 100_000


class SendQueue:
    """Notices in order, and the topics of which some were dropped.

    A dropped notice is not simply gone: its topic is remembered, and once the queue moves again,
    the topic is announced as one with a gap.
    """

    __slots__ = ("_bytes", "_bytes_max", "_lost", "_metrics", "_notices", "_notices_max")

    def __init__(
        self, metrics: BrokerMetrics, *, notices_max: int = NOTICES_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._metrics = metrics
        self._notices: deque[Notice] = deque()
        self._lost: dict[str, None] = {}  # in the order in which they were lost
        self._bytes = 0
        self._notices_max = notices_max
        self._bytes_max = bytes_max

    def __len__(self) -> int:
        return len(self._notices) + len(self._lost)

    def put(self, notice: Notice) -> None:
        """Append a notice, or remember its topic if there is no room. Raise `InvalidTopic`.

        A payload that is too large is left out: it is never the only place where something is.
        """
        check_topic(notice.topic)
        if len(notice.payload) > PAYLOAD_BYTES_MAX:
            self._metrics.stripped += 1
            notice = notice._replace(payload=b"")
        size = len(notice.payload)
        if len(self._notices) >= self._notices_max or self._bytes + size > self._bytes_max:
            self.mark_lost((notice,))
        else:
            self._notices.append(notice)
            self._bytes += size

    def mark_lost(self, notices: Iterable[Notice], topics: Iterable[str] = ()) -> None:
        """Remember the topics of notices that were dropped, or of which nobody knows.

        `topics` had a gap before, which was not announced. What still waits is kept: its order
        is as it was, and a gap may be announced before it.
        """
        for notice in notices:
            self._metrics.dropped += 1
            self._note(notice.topic)
        for topic in topics:
            self._note(topic)

    def take(self, notices_max: int, bytes_max: int) -> tuple[list[str], list[Notice]]:
        """Take what is sent next: topics with a gap, then notices; at least one if there is any.

        Gaps go first. A receiver reads the database once it is notified of a gap, and so finds what
        any notice that comes after it says.
        """
        lost = list(self._lost)[:notices_max]
        for topic in lost:
            del self._lost[topic]
        batch: list[Notice] = []
        size = 0
        while self._notices and len(lost) + len(batch) < notices_max:
            size += len(self._notices[0].payload)
            if batch and size > bytes_max:
                break
            batch.append(self._notices.popleft())
        self._bytes -= sum(len(notice.payload) for notice in batch)
        return lost, batch

    def _note(self, topic: str) -> None:
        if len(self._lost) < LOST_TOPICS_MAX:
            self._lost[topic] = None


async def wait_until_drained(
    backlog: Callable[[], int], sent: asyncio.Event, *, timeout_s: float
) -> bool:
    """Wait until nothing waits to be sent; False if it takes longer. `sent` says when to look."""
    try:
        async with asyncio.timeout(timeout_s):
            while backlog():
                sent.clear()
                await sent.wait()
    except TimeoutError:
        return False
    return True
