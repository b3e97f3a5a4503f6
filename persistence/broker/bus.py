"""Fan-out of updates to whoever follows a topic on this node.

Nothing durable depends on it: what other nodes did is read from the database, by whoever
keeps a lobby or an epoch board that is followed here. A second implementation may carry frames
between nodes.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

log = logging.getLogger(__name__)

Deliver = Callable[[bytes], None]

TOPICS_MAX = 200_000
FOLLOWERS_PER_TOPIC_MAX = 20_000
# How many followers get a frame in one turn of the loop, where a topic may have thousands: a
# write takes some microseconds, and whatever else the node does waits for the turn's end.
AT_ONCE: Final = 256


class TooManyFollowers(Exception):
    """The topic, or the bus, is full."""


class Bus:
    """Topics and their followers; a frame is handed to each follower as it is.

    A follower that raises misses the frame, and the others get it; `failures` counts those.
    """

    def __init__(self) -> None:
        self._followers: dict[str, dict[object, Deliver]] = {}
        self.failures = 0

    def follow(self, topic: str, who: object, deliver: Deliver) -> Callable[[], None]:
        """Follow a topic; returns how to stop. Following again replaces what was there."""
        followers = self._followers.get(topic)
        if followers is None:
            if len(self._followers) >= TOPICS_MAX:
                raise TooManyFollowers
            followers = self._followers[topic] = {}
        if len(followers) >= FOLLOWERS_PER_TOPIC_MAX:
            raise TooManyFollowers
        followers[who] = deliver
        return partial(self._stop, topic, who)

    def publish(self, topic: str, frame: bytes) -> None:
        """Hand a frame to everybody who follows the topic."""
        for deliver in list(self._followers.get(topic, {}).values()):
            try:
                deliver(frame)
            except Exception:
                self._failed(topic)

    async def spread(self, topic: str, frame: bytes) -> None:
        """Hand a frame to everybody who follows the topic now, to some in each turn of the loop.

        Who stops meanwhile, or begins, does not get it. For a topic's only publisher, who waits
        for the end of one frame before the next.
        """
        followers = self._followers.get(topic, {})
        waiting = list(followers.items())
        for start in range(0, len(waiting), AT_ONCE):
            if start:
                await asyncio.sleep(0)
            for who, deliver in waiting[start : start + AT_ONCE]:
                if followers.get(who) is deliver:
                    try:
                        deliver(frame)
                    except Exception:
                        self._failed(topic)

    def count(self, topic: str) -> int:
        """Say how many follow a topic on this node."""
        return len(self._followers.get(topic, ()))

    def _failed(self, topic: str) -> None:
        self.failures += 1
        log.exception("a follower of %s failed", topic)

    def _stop(self, topic: str, who: object) -> None:
        followers = self._followers.get(topic)
        if followers is not None:
            followers.pop(who, None)
            if not followers:
                del self._followers[topic]
