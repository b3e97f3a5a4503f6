"""Who is present on which topic, on all nodes, and what they say about themselves.

A node keeps what its own channels track, and what other nodes said of theirs. It announces each
change, repeats everything that is its own from time to time, and asks the others when its first
channel joins a topic. What is not repeated for long enough is gone: its node is.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import orjson

from server.core.containment import contain_failures
from server.core.periodic import repeat_every
from server.core.subscriptions import Stop, Subscriptions, TopicKind

REPEAT_EVERY_S: Final = 10.0
GONE_AFTER_S: Final = 30.0
META_BYTES_MAX: Final = 4096
PRESENT_MAX: Final = 1000  # on one topic
_NOTICE_BYTES_MAX: Final = 40_000


class TooManyPresent(Exception):
    """A topic has as many as it can."""


class Listener(Protocol):
    """A channel, as far as presence goes."""

    @property
    def channel_id(self) -> str:
        """Tells it from all others, on any node."""

    def push_presence(self, diff: bytes) -> None:
        """Send who joined and left, written as JSON."""


class _Present(NamedTuple):
    key: str
    meta: dict[str, Any]
    is_ours: bool
    seen_at: float


class _Topic:
    __slots__ = ("key", "listeners", "present", "stop")

    def __init__(self, key: str) -> None:
        self.key = key
        self.listeners: dict[Listener, None] = {}
        self.present: dict[str, _Present] = {}
        self.stop: Stop | None = None


class PresenceTopics:
    """The topics that channels of this node are on; `now` is monotonic."""

    def __init__(self, subscriptions: Subscriptions, *, now: Callable[[], float]) -> None:
        self._kind: TopicKind[PresenceTopics] = subscriptions.kind("realtime-presence")
        self._subscriptions = subscriptions
        self._now = now
        self._topics: dict[str, _Topic] = {}

    def join(self, key: str, who: Listener) -> dict[str, Any]:
        """Have a channel told who joins and leaves, from who is there on.

        Raises `TooManySubscribers`.
        """
        topic = self._topics.get(key)
        if topic is None:
            topic = _Topic(key)
            topic.stop = self._kind.subscribe(key, self, lambda raw: self._take_notice(topic, raw))
            self._topics[key] = topic
            self._announce(topic, {"ask": True})
        topic.listeners[who] = None
        return group_by_key((each.key, each.meta) for each in topic.present.values())

    def leave(self, key: str, who: Listener) -> None:
        """Forget a channel, and what it tracked; harmless if it is not there."""
        topic = self._topics.get(key)
        if topic is None:
            return
        topic.listeners.pop(who, None)
        if not topic.listeners and topic.stop is not None:
            topic.stop()
            del self._topics[key]
        self._untrack(topic, who)

    def track(self, key: str, who: Listener, presence_key: str, meta: Mapping[str, Any]) -> None:
        """Say what a channel that has joined tells of itself; raise `TooManyPresent`."""
        topic = self._topics[key]
        before = topic.present.get(who.channel_id)
        if before is None and len(topic.present) >= PRESENT_MAX:
            raise TooManyPresent
        shown = {**meta, "phx_ref": secrets.token_urlsafe(9)}
        if before is not None:
            shown["phx_ref_prev"] = before.meta["phx_ref"]
        changes = {who.channel_id: (presence_key, shown)}
        self._apply(topic, changes, (), is_ours=True)
        self._announce(topic, {"put": changes})

    def untrack(self, key: str, who: Listener) -> None:
        """Have a channel tell nothing of itself any more."""
        topic = self._topics.get(key)
        if topic is not None:
            self._untrack(topic, who)

    def _untrack(self, topic: _Topic, who: Listener) -> None:
        if who.channel_id in topic.present:
            self._apply(topic, {}, [who.channel_id], is_ours=True)
            self._announce(topic, {"gone": [who.channel_id]})

    async def run(self) -> None:
        """Repeat what is ours, and forget what others do not repeat, until cancelled."""
        await repeat_every(REPEAT_EVERY_S, self.repeat, "repeating who is present")

    async def repeat(self) -> None:
        """Do it once."""
        for topic in list(self._topics.values()):
            with contain_failures("repeating who is present on a topic"):
                self._repeat_one(topic)

    def _repeat_one(self, topic: _Topic) -> None:
        since = self._now() - GONE_AFTER_S
        self._announce_all(topic)
        gone = [
            name
            for name, each in topic.present.items()
            if not each.is_ours and each.seen_at < since
        ]
        self._apply(topic, {}, gone, is_ours=False)

    # ------------------------------------------------------------------ other nodes

    def _announce(self, topic: _Topic, said: Mapping[str, Any]) -> None:
        if self._subscriptions.has_peers:
            self._kind.notify(topic.key, payload=orjson.dumps(said))

    def _announce_all(self, topic: _Topic) -> None:
        """Say everything that is ours, in as many notices as it takes."""
        if not self._subscriptions.has_peers:
            return
        some: dict[str, tuple[str, dict[str, Any]]] = {}
        size = 0
        for name, each in topic.present.items():
            if each.is_ours:
                some[name] = each.key, each.meta
                size += len(orjson.dumps(each.meta)) + 300
            if size > _NOTICE_BYTES_MAX:
                self._announce(topic, {"put": some})
                some, size = {}, 0
        if some:
            self._announce(topic, {"put": some})

    def _take_notice(self, topic: _Topic, raw: bytes) -> None:
        if not raw:  # it was too large, and is repeated
            return
        said = orjson.loads(raw)
        if said.get("ask"):
            self._announce_all(topic)
        changes = {name: (key, meta) for name, (key, meta) in said.get("put", {}).items()}
        self._apply(topic, changes, said.get("gone", ()), is_ours=False)

    def _apply(
        self,
        topic: _Topic,
        put: Mapping[str, tuple[str, dict[str, Any]]],
        gone: Iterable[str],
        *,
        is_ours: bool,
    ) -> None:
        """Take note of changes, and tell the channels here of what is new."""
        joins, leaves = [], []
        there = topic.present.copy()
        for name, (key, meta) in put.items():
            before = there.get(name)
            if before is None and len(there) >= PRESENT_MAX:
                continue
            there[name] = _Present(key, meta, is_ours, self._now())
            if before is None or before.meta != meta:
                joins.append((key, meta))
                if before is not None:
                    leaves.append((before.key, before.meta))
        for name in gone:
            known = there.pop(name, None)
            if known is not None:
                leaves.append((known.key, known.meta))
        # Written before anything is kept: what cannot be written would stay in everybody's way.
        diff = orjson.dumps({"joins": group_by_key(joins), "leaves": group_by_key(leaves)})
        topic.present = there
        if joins or leaves:
            for who in list(topic.listeners):
                who.push_presence(diff)


def group_by_key(present: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Write who is present as Phoenix does: by their keys, with everything said under each."""
    out: dict[str, Any] = {}
    for key, meta in present:
        out.setdefault(key, {"metas": []})["metas"].append(meta)
    return out
