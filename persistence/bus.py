"""Fan-out of updates to whoever follows a topic.

In process for now: a topic's frames reach the followers on this node. A second
implementation may carry them between nodes; nothing durable ever depends on it.
"""

from collections.abc import Callable
from functools import partial

Deliver = Callable[[bytes], None]

TOPICS_MAX = 200_000
FOLLOWERS_PER_TOPIC_MAX = 20_000


class TooManyFollowers(Exception):
    """The topic, or the bus, is full."""


class Bus:
    """Topics and their followers; a frame is handed to each follower as it is."""

    def __init__(self) -> None:
        self._followers: dict[str, dict[object, Deliver]] = {}

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
            deliver(frame)

    def count(self, topic: str) -> int:
        """Say how many follow a topic on this node."""
        return len(self._followers.get(topic, ()))

    def _stop(self, topic: str, who: object) -> None:
        followers = self._followers.get(topic)
        if followers is not None:
            followers.pop(who, None)
            if not followers:
                del self._followers[topic]
