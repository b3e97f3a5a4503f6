"""A cache of what the database has, which every node drops as soon as one of them changes it.

Whoever changes something calls `invalidate` after the commit. This node forgets it at once, the
others when the broker's notice comes. A notice can be lost, so what is kept is also dropped after
a time, and all of it when the broker says that notices may have been missed. Bounded: the least
recently used goes.

A value that was being read while it was invalidated is given to who waits for it, and not kept: it
may have been read before the commit.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from persistence.broker import Notice
from server.core.subscriptions import PollPolicy, Subscriptions, Topic

V = TypeVar("V")

_EVERYTHING: Final = "all"
# How often everything is dropped: seldom while the broker is live, often without one, since then
# other nodes may change what is kept here unheard.
POLL_S: Final = (60.0, 2.0)


class SharedCache(Generic[V]):
    """Values by key, loaded when they are asked for."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        name: str,
        load: Callable[[str], Awaitable[V]],
        *,
        now: Callable[[], float],
        entries_max: int,
        ttl_s: float,
    ) -> None:
        self.hits = 0
        self.misses = 0
        self._load = load
        self._now = now
        self._entries_max = entries_max
        self._ttl_s = ttl_s
        self._kept: OrderedDict[str, tuple[float, V]] = OrderedDict()  # until when, and what
        # Changes with every invalidation, of whatever key: a load that began before is not kept.
        self._generation = 0
        kind = subscriptions.kind(name, source=self, poll=PollPolicy(*POLL_S))
        self._topic: Topic[object] = kind.hold(_EVERYTHING)

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: str) -> V:
        """Give a value, from here or from the database; raises what loading raises."""
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._now():
            self._kept.move_to_end(key)
            self.hits += 1
            return kept[1]
        self.misses += 1
        generation = self._generation
        value = await self._load(key)
        if generation == self._generation:
            self._kept[key] = (self._now() + self._ttl_s, value)
            self._kept.move_to_end(key)
            while len(self._kept) > self._entries_max:
                self._kept.popitem(last=False)
        return value

    def invalidate(self, key: str) -> None:
        """Drop a value on all nodes; what changed it must be committed."""
        self._drop(key)
        self._topic.notify(payload=key.encode())

    def on_notice(self, _: Topic[object], notice: Notice) -> bool:
        """Drop what another node has changed."""
        self._drop(notice.payload.decode("utf-8", "replace"))
        return True

    async def deliver_missed(self, _: Sequence[Topic[object]]) -> None:
        """Drop everything: nobody knows what was missed."""
        self._generation += 1
        self._kept.clear()

    def _drop(self, key: str) -> None:
        self._generation += 1
        self._kept.pop(key, None)
