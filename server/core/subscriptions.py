"""Live streams: who on this node receives what, and how they hear of other nodes.

**Topics.** A topic is one stream: a game, a lobby, the public list, a day. Topics of the same sort
are a `TopicKind`, which a domain declares once. A topic exists while somebody subscribes to it or
holds it. Subscribers are connections; each has a *view*, and subscribers with equal views receive
the same bytes. What happens on this node is delivered to them directly, in the same turn of the
event loop.

**Other nodes.** While a topic has subscribers here (or a hold), this node follows it at the broker
(`persistence.broker`), whose notices say which number the topic has reached. `Topic.number` is what
was delivered here last. For each notice there are three cases:

==================================  ==============================================================
the number is not above ours        ignored: it was read from the database meanwhile
it follows ours, with a payload     the domain's `TopicSource.on_notice` delivers the payload
anything else                       the topic is *behind*: the domain reads the database
==================================  ==============================================================

A topic is also behind when the broker says that notices may have been missed, and whenever its
kind's poll is due. Topics that are behind are caught up in batches by one task for each kind, so
that a thousand of them after an outage cost a few queries. With a broker that is live the poll is a
backstop; without one it is how changes of other nodes arrive at all, so it is more frequent.

**What its users need of it.**

- *Games*: a topic for each game, held and owned (`owned=True`) by the node that plays it: it
  publishes and needs no notices. The view is a seat, or None for spectators. The owner encodes
  committed events once for each of `Topic.views` and calls `send_views`; this is the hottest path
  of a node. A node whose clients follow a game of another one holds its topic too: numbered by
  event, the payload being the committed events themselves, of which that node makes the frames of
  its own viewers.
- *Lobbies*: a topic for each lobby, numbered by its version. Who may see a change depends on the
  lobby as it is now, so the domain goes through `subscribers()`, dismisses those who may not see it
  any longer, and sends the rest. A notice has the version only; the lobby itself is read.
  `catch_up` compares the versions of a batch of lobbies in one query.
- *The public list*: one topic without numbers; the view is a filter. The domain makes a frame for
  each filter that a changed lobby passes, or passed before. A notice has what of the lobby filters
  look at, before and after, and its card. After a gap, the versions of the list are compared.
- *Epochs*: a topic for each day, numbered by version, held for as long as its board is kept.
  Notices only mark it as behind: `catch_up` wakes the task that keeps the board, which reads new
  events and spreads them to thousands of watchers (`spread`).

What has no truth to read again, such as chat, is a kind without a source: frames are relayed as
they are, and what is lost is lost. What ends sessions or revokes tokens is an `AnnouncedSweep`: a
held topic without any subscriber.

Must not know: what is in a frame or a payload, who may see what.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from persistence.broker import NO_NUMBER, Broker, Notice
from server.core.containment import log_failure
from server.core.periodic import AWAY

log = logging.getLogger(__name__)

Deliver: TypeAlias = Callable[[bytes], None]
Stop: TypeAlias = Callable[[], None]

# Without `Final` what tests change: compiled code would have its value as it is written here.
TOPICS_MAX = 200_000
SUBSCRIBERS_PER_TOPIC_MAX = 20_000
# How many subscribers get a frame in one turn of the loop when it is spread: a write takes some
# microseconds, and whatever else the node does waits for the turn's end.
SPREAD_AT_ONCE: Final = 256
# Up to how many subscribers it takes longer to ask whether all have one view than to go by views.
FEW: Final = 3
# How many topics a source is asked to catch up with at once.
CAUGHT_UP_AT_ONCE = 1000
# For how long sweeps rest between announcements.
SWEEP_REST_S = 0.25
RETRY_BASE_S = 0.2
RETRY_MAX_S: Final = 10.0

Who = TypeVar("Who", bound=Hashable)


class TooManySubscribers(Exception):
    """The topic, or the node, is full."""


class Subscriber(NamedTuple):
    """How to reach somebody, and what they may see."""

    deliver: Deliver
    view: Hashable


class PollPolicy(NamedTuple):
    """How often a kind's topics are compared with the database.

    `live_s` holds while the broker brings the notices of all other nodes, `alone_s` otherwise.
    """

    live_s: float
    alone_s: float


# How often what ended is looked for.
SWEEP_POLL = PollPolicy(live_s=10.0, alone_s=2.0)


class TopicSource(Protocol[Who]):
    """The truth about topics of one kind, as a domain reads it."""

    def on_notice(self, topic: "Topic[Who]", notice: Notice, /) -> bool:
        """Deliver a notice's payload, which follows what was delivered before.

        Return False if it cannot be used; then the topic is caught up with.
        """

    async def deliver_missed(self, topics: Sequence["Topic[Who]"], /) -> None:
        """Deliver all that the database has beyond each topic's number.

        Notices may be delivered meanwhile: compare with `Topic.number` again in the turn of the
        loop that delivers. What is raised has the whole batch tried again later.
        """


@dataclass(slots=True)
class SubscriptionMetrics:
    """Totals since the start, of one service."""

    notices: int = 0  # that arrived for a topic that is followed here
    stale: int = 0  # of them, known already
    behind: int = 0  # times that a topic fell behind, for whatever reason
    caught_up: int = 0  # topics that a source was asked to catch up with


class Topic(Generic[Who]):
    """One stream on this node. Made by `TopicKind`; gone when nobody subscribes to or holds it."""

    __slots__ = (
        "_delivers",
        "_holds",
        "_is_followed",
        "_is_owned",
        "_kind",
        "_pairs",
        "_subscribers",
        "key",
        "name",
        "number",
        "views",
    )

    def __init__(self, kind: "TopicKind[Who]", key: str) -> None:
        self.key = key
        self.name = kind.topic_name(key)
        # What was delivered here last; `NO_NUMBER` before anything was, or without numbers.
        self.number = NO_NUMBER
        self._kind = kind
        self._subscribers: dict[Who, Subscriber] = {}
        # Made of the subscribers when they are needed, so that a stream with a steady audience
        # copies nothing. They are replaced, never changed, so whoever goes through them is safe.
        self._delivers: tuple[Deliver, ...] | None = None
        self._pairs: tuple[tuple[Deliver, Hashable], ...] | None = None
        # How many subscribers have which view. Kept up as they come and go, and a plain attribute,
        # since a game's owner goes through it for each move.
        self.views: dict[Any, int] = {}
        self._holds = 0
        self._is_owned = False
        self._is_followed = False

    def __len__(self) -> int:
        return len(self._subscribers)

    # ------------------------------------------------------------------ who receives it

    def subscribers(self) -> list[Who]:
        """List the subscribers."""
        return list(self._subscribers)

    def subscribe(self, who: Who, deliver: Deliver, *, view: Hashable = None) -> Stop:
        """Deliver to somebody from now on; returns how to stop. Replaces what they had before.

        Raise `TooManySubscribers`.
        """
        if who not in self._subscribers and len(self) >= SUBSCRIBERS_PER_TOPIC_MAX:
            raise TooManySubscribers
        if (old := self._subscribers.get(who)) is not None:
            self._uncount(old.view)
        subscriber = Subscriber(deliver, view)
        self._subscribers[who] = subscriber
        self.views[view] = self.views.get(view, 0) + 1
        self._changed()
        return partial(self._stop, who, subscriber)

    def hold(self, *, owned: bool = False) -> None:
        """Keep the topic, and follow it, without a subscriber; until as many calls of `release`.

        `owned`: everything about it is published by this node, so it is not followed elsewhere.
        """
        self._holds += 1
        self._is_owned |= owned
        self._changed()

    @property
    def is_owned(self) -> bool:
        """Whether this node publishes everything about the topic."""
        return self._is_owned

    def release(self, *, owned: bool = True) -> None:
        """End a hold. A topic that was owned is not any more: another node may publish it now.

        `owned` is False for another hold than the owner's, of a topic that this node owns.
        """
        self._holds -= 1
        self._is_owned &= not owned
        self._changed()

    # ------------------------------------------------------------------ delivering here

    def send(self, frame: bytes) -> None:
        """Deliver a frame to every subscriber."""
        delivers = self._delivers
        if delivers is None:
            delivers = self._delivers = tuple(each.deliver for each in self._subscribers.values())
        for deliver in delivers:
            try:
                deliver(frame)
            except Exception:
                self._failed()

    def send_views(self, frames: Mapping[Any, bytes]) -> None:
        """Deliver to each view its frame; a view without one gets nothing."""
        pairs = self._pairs
        if pairs is None:  # plain tuples: those with names are taken apart twice as slowly
            pairs = self._pairs = tuple(
                (each.deliver, each.view) for each in self._subscribers.values()
            )
        if len(pairs) > FEW and len(self.views) == 1:
            frame = frames.get(pairs[0][1])
            if frame is not None:
                self.send(frame)
            return
        for deliver, view in pairs:
            if view in frames:  # two look-ups by an operator take less than one by a call
                try:
                    deliver(frames[view])
                except Exception:
                    self._failed()

    async def send_gradually(self, frame: bytes) -> None:
        """Deliver a frame to all who subscribe now, to some in each turn of the loop.

        Who stops meanwhile, or begins, does not get it. For a topic's only publisher, who waits
        for the end of one frame before the next.
        """
        waiting = list(self._subscribers.items())
        for start in range(0, len(waiting), SPREAD_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            for who, subscriber in waiting[start : start + SPREAD_AT_ONCE]:
                if self._subscribers.get(who) is subscriber:
                    try:
                        subscriber.deliver(frame)
                    except Exception:
                        self._failed()

    # ------------------------------------------------------------------ numbers

    def note_delivered(self, number: int) -> None:
        """Note what was delivered here; a number never goes back by this."""
        if number > self.number:
            self.number = number

    def note_read(self, number: int) -> None:
        """Note what a new subscriber has read by itself.

        The lowest counts until the next delivery: who has read less must not miss the rest.
        """
        known = self.number if len(self) > 1 and self.number != NO_NUMBER else number
        self.number = min(known, number)

    def request_catch_up(self) -> None:
        """Have the source catch up with this topic, soon."""
        self._kind.request_catch_up(self)

    def notify(
        self, *, number: int = NO_NUMBER, after: int = NO_NUMBER, payload: bytes = b""
    ) -> None:
        """Notify the other nodes what the topic has reached; it must be committed before."""
        self._kind.notify(self.key, number=number, after=after, payload=payload)

    # ------------------------------------------------------------------ details

    @property
    def is_wanted(self) -> bool:
        """Whether anything needs this topic on this node."""
        return bool(self._subscribers) or self._holds > 0

    def _stop(self, who: Who, subscriber: Subscriber) -> None:
        if self._subscribers.get(who) is subscriber:  # else it was replaced
            del self._subscribers[who]
            self._uncount(subscriber.view)
            self._changed()

    def _uncount(self, view: Hashable) -> None:
        self.views[view] -= 1
        if not self.views[view]:
            del self.views[view]

    def _changed(self) -> None:
        self._delivers = self._pairs = None
        is_followed = self.is_wanted and not self._is_owned
        if is_followed is not self._is_followed:
            self._is_followed = is_followed
            self._kind.set_followed(self, is_followed=is_followed)
        if not self.is_wanted:
            self._kind.remove_unused_topic(self)

    def _failed(self) -> None:
        log_failure(f"delivering to a subscriber of {self.name}")


class TopicKind(Generic[Who]):
    """All topics of one sort on this node, and what keeps them up with other nodes."""

    def __init__(
        self,
        subscriptions: "Subscriptions",
        name: str,
        *,
        source: TopicSource[Who] | None,
        poll: PollPolicy | None,
    ) -> None:
        self.name = name
        self._subscriptions = subscriptions
        self._broker = subscriptions.broker
        self._source = source
        self._poll = poll
        self._topics: dict[str, Topic[Who]] = {}  # by name
        self._behind: dict[Topic[Who], None] = {}  # in the order in which they fell behind
        self._woken = asyncio.Event()

    def __len__(self) -> int:
        return len(self._topics)

    def topic_name(self, key: str) -> str:
        """Name a topic as all nodes do."""
        return f"{self.name}:{key}"

    def get(self, key: str) -> Topic[Who] | None:
        """Find a topic that somebody here needs."""
        return self._topics.get(self.topic_name(key))

    def topics(self) -> list[Topic[Who]]:
        """List the topics that somebody here needs."""
        return list(self._topics.values())

    def subscribe(self, key: str, who: Who, deliver: Deliver, *, view: Hashable = None) -> Stop:
        """Subscribe somebody to a topic; see `Topic.subscribe`. Raise `TooManySubscribers`."""
        topic = self.get(key)
        if topic is None:
            if self._subscriptions.topics >= TOPICS_MAX:
                raise TooManySubscribers
            topic = self._open(key)
        return topic.subscribe(who, deliver, view=view)

    def hold(self, key: str, *, owned: bool = False) -> Topic[Who]:
        """Hold a topic; see `Topic.hold`. Never refused: whoever holds has bounds of their own."""
        topic = self.get(key)
        if topic is None:  # not `or`: a topic without subscribers is falsy
            topic = self._open(key)
        topic.hold(owned=owned)
        return topic

    def notify(
        self, key: str, *, number: int = NO_NUMBER, after: int = NO_NUMBER, payload: bytes = b""
    ) -> None:
        """Notify the other nodes what a topic has reached, whether or not anybody here needs it."""
        self._broker.publish(Notice(self.topic_name(key), number, after, payload))

    def relay(self, key: str, frame: bytes) -> None:
        """Deliver a frame here and on all other nodes; for a kind without a source."""
        topic = self.get(key)
        if topic is not None:
            topic.send(frame)
        self.notify(key, payload=frame)

    # ------------------------------------------------------------------ the broker calls these

    def on_notice(self, notice: Notice) -> None:
        """Deliver a notice, ignore it, or note that something is missing."""
        topic = self._topics.get(notice.topic)
        if topic is None:
            return
        metrics = self._subscriptions.metrics
        metrics.notices += 1
        if self._source is None:
            topic.send(notice.payload)
        elif notice.number != NO_NUMBER and notice.number <= topic.number:
            metrics.stale += 1
        elif (
            not notice.payload
            or notice.after != topic.number
            or not self._source.on_notice(topic, notice)
        ):
            self.request_catch_up(topic)

    def on_gap(self, topic: str) -> None:
        """Note that notices may have been missed."""
        found = self._topics.get(topic)
        if found is not None:
            self.request_catch_up(found)

    # ------------------------------------------------------------------ topics call these

    def set_followed(self, topic: Topic[Who], *, is_followed: bool) -> None:
        """Follow a topic at the broker, or stop."""
        if is_followed:
            self._broker.subscribe(topic.name, self)
        else:
            self._broker.unsubscribe(topic.name)

    def remove_unused_topic(self, topic: Topic[Who]) -> None:
        """Let go of a topic that nobody needs."""
        if self._topics.get(topic.name) is topic:
            del self._topics[topic.name]
            self._subscriptions.topics -= 1
        self._behind.pop(topic, None)

    def request_catch_up(self, topic: Topic[Who]) -> None:
        """Have the source catch up with a topic."""
        if self._source is not None and topic not in self._behind:
            self._subscriptions.metrics.behind += 1
            self._behind[topic] = None
            self._woken.set()

    # ------------------------------------------------------------------ catching up

    async def keep_up(self) -> None:
        """Catch up with what is behind, and poll, until cancelled."""
        source = self._source
        if source is None:
            return
        loop = asyncio.get_running_loop()
        polled_at = loop.time()
        attempts = 0
        while True:
            if not self._behind:
                await self._rest()
            if self._poll is not None and loop.time() - polled_at >= self._poll_s(self._poll):
                polled_at = loop.time()
                self._behind = dict.fromkeys(each for each in self.topics() if each.is_wanted)
            some = list(self._behind)[:CAUGHT_UP_AT_ONCE]
            for topic in some:
                del self._behind[topic]
            if not some:
                continue
            try:
                await source.deliver_missed(some)
            except (Exception, asyncio.CancelledError) as error:
                if _is_ending(error):
                    raise
                self._not_caught_up(some, error, is_first=attempts == 0)
                attempts += 1
                bound_s = min(RETRY_MAX_S, RETRY_BASE_S * 2 ** min(attempts, 10))
                await asyncio.sleep(random.uniform(0.0, bound_s))  # noqa: S311 - spreads nodes
            else:
                attempts = 0
                self._subscriptions.metrics.caught_up += len(some)

    async def _rest(self) -> None:
        """Wait until a topic is behind, or until the poll might be due."""
        self._woken.clear()
        # In steps of the shorter interval: the broker may stop being live meanwhile.
        pause_s = self._poll.alone_s if self._poll is not None and self._topics else None
        try:
            async with asyncio.timeout(pause_s):
                await self._woken.wait()
        except TimeoutError:
            pass

    def _poll_s(self, poll: PollPolicy) -> float:
        return poll.live_s if self._broker.is_live else poll.alone_s

    def _not_caught_up(
        self, topics: Sequence[Topic[Who]], error: BaseException, *, is_first: bool
    ) -> None:
        """Keep a batch for later, without those that nobody needs any more."""
        self._behind.update(dict.fromkeys(each for each in topics if each.is_wanted))
        if not isinstance(error, AWAY):
            log_failure(f"catching up with {self.name} topics")
        elif is_first:  # said once, however long it lasts
            log.warning("catching up with %s topics waits: %s", self.name, error.message)

    def _open(self, key: str) -> Topic[Who]:
        topic = Topic(self, key)
        self._topics[topic.name] = topic
        self._subscriptions.topics += 1
        self._woken.set()  # there is something to poll for
        return topic


class Subscriptions:
    """Every live stream of this node; see the module's docstring."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.metrics = SubscriptionMetrics()
        self.topics = 0  # of all kinds
        self._kinds: dict[str, TopicKind[Any]] = {}

    @property
    def has_peers(self) -> bool:
        """Whether there may be another node; if not, no payload need be made."""
        return self.broker.has_peers

    def kind(
        self, name: str, *, source: TopicSource[Who] | None = None, poll: PollPolicy | None = None
    ) -> TopicKind[Who]:
        """Declare a kind of topics, before `run`. Raise `ValueError` for a name that is taken."""
        if name in self._kinds:
            raise ValueError(f"there is a kind of topics called {name} already")
        kind: TopicKind[Who] = TopicKind(self, name, source=source, poll=poll)
        self._kinds[name] = kind
        return kind

    async def run(self) -> None:
        """Keep up with other nodes, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for kind in self._kinds.values():
                group.create_task(kind.keep_up(), name=f"subscriptions: {kind.name}")


class AnnouncedSweep:
    """A sweep over what the database has, done whenever another node announces that it is due.

    For what a node must hear of though nobody here subscribes to it: a topic that is always held.
    The sweep is the poll as well: seldom while the broker is live, often otherwise. What is
    announced while it rests is one more sweep, however much that is.
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        name: str,
        sweep: Callable[[], Awaitable[object]],
        *,
        poll: PollPolicy | None = None,
    ) -> None:
        self._sweep = sweep
        self._kind: TopicKind[object] = subscriptions.kind(
            name, source=self, poll=poll or SWEEP_POLL
        )
        self._topic = self._kind.hold(_EVERYTHING)

    def announce_sweep(self) -> None:
        """Have the other nodes sweep; what they are to find must be committed."""
        self._topic.notify()

    def on_notice(self, _: Topic[object], __: Notice) -> bool:
        """Have it swept; a notice says no more than that."""
        return False

    async def deliver_missed(self, _: Sequence[Topic[object]]) -> None:
        """Sweep, and rest."""
        await self._sweep()
        await asyncio.sleep(SWEEP_REST_S)


_EVERYTHING: Final = "all"


def _is_ending(error: BaseException) -> bool:
    """Say whether this task was cancelled, or only something that it awaited."""
    task = asyncio.current_task()
    is_cancelled = isinstance(error, asyncio.CancelledError)
    return is_cancelled and (task is None or task.cancelling() > 0)
