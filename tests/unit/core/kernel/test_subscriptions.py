"""Who receives what on a node, and how a node keeps up with the others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial

import pytest

from persistence.broker import Notice
from persistence.broker.memory import MemoryBroker, MemoryHub
from protocol.errors import Unavailable
from server.core import subscriptions as module
from server.core.containment import FAILURES
from server.core.subscriptions import (
    SPREAD_AT_ONCE,
    AnnouncedSweep,
    PollPolicy,
    Subscriptions,
    TooManySubscribers,
    Topic,
)

WAIT_S = 10.0
NEVER = PollPolicy(live_s=3600, alone_s=3600)


class Hall:
    """A node with one kind of topics, whose truth is a number for each."""

    def __init__(
        self, hub: MemoryHub, truth: dict[str, int], *, poll: PollPolicy, is_whole: bool
    ) -> None:
        self.truth = truth
        self.broker = MemoryBroker(hub, is_whole=is_whole)
        self.subscriptions = Subscriptions(self.broker)
        self.kind = self.subscriptions.kind("topic", source=self, poll=poll)
        self.caught_up: list[list[str]] = []
        self.trouble: list[BaseException] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(each.run()) for each in (self.broker, self.subscriptions)]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def follow(self, key: str = "1") -> list[bytes]:
        heard: list[bytes] = []
        self.kind.subscribe(key, object(), heard.append)
        return heard

    def change(self, key: str = "1", *, payload: bytes = b"") -> int:
        """Commit a change, deliver it here, and notify the other nodes."""
        number = self.truth[key] = self.truth.get(key, 0) + 1
        topic = self.kind.get(key)
        if topic is not None:
            topic.note_delivered(number)
            topic.send(b"%d" % number)
        self.kind.notify(key, number=number, after=number - 1, payload=payload)
        return number

    def on_notice(self, topic: Topic[object], notice: Notice) -> bool:
        if notice.payload == b"unreadable":
            return False
        topic.note_delivered(notice.number)
        topic.send(notice.payload)
        return True

    async def deliver_missed(self, topics: Sequence[Topic[object]]) -> None:
        self.caught_up.append([topic.key for topic in topics])
        if self.trouble:
            raise self.trouble.pop(0)
        await asyncio.sleep(0)
        for topic in topics:
            for number in range(topic.number + 1, self.truth.get(topic.key, 0) + 1):
                topic.note_delivered(number)
                topic.send(b"read %d" % number)


class Halls:
    def __init__(self) -> None:
        self.hub = MemoryHub()
        self.truth: dict[str, int] = {}
        self.all: list[Hall] = []

    async def make(self, *, poll: PollPolicy = NEVER, is_whole: bool = True) -> Hall:
        hall = Hall(self.hub, self.truth, poll=poll, is_whole=is_whole)
        hall.start()
        self.all.append(hall)
        await turns()
        return hall


@pytest.fixture
async def halls() -> AsyncIterator[Halls]:
    halls = Halls()
    yield halls
    for hall in halls.all:
        await hall.stop()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(0.001)


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def local() -> Subscriptions:
    return Subscriptions(MemoryBroker())


def crowd(topic_of: Callable[..., object], size: int) -> tuple[list[list[bytes]], list]:
    heard: list[list[bytes]] = [[] for _ in range(size)]
    stops = [topic_of("1", who, heard[who].append) for who in range(size)]
    return heard, stops


# ---------------------------------------------------------------------- delivering on a node


async def test_each_subscriber_gets_each_frame() -> None:
    kind = local().kind("topic")
    heard, stops = crowd(kind.subscribe, 3)
    kind.get("1").send(b"1")
    stops[1]()
    kind.get("1").send(b"2")
    assert heard == [[b"1", b"2"], [b"1"], [b"1", b"2"]]


async def test_views_get_their_own_frames_and_only_those() -> None:
    kind = local().kind("topic")
    heard = {who: [] for who in "abcd"}
    for who, view in zip("abcd", [0, 1, None, None], strict=True):
        kind.subscribe("1", who, heard[who].append, view=view)
    topic = kind.get("1")
    assert set(topic.views) == {0, 1, None}
    topic.send_views({0: b"zero", None: b"all", 7: b"nobody"})
    assert heard == {"a": [b"zero"], "b": [], "c": [b"all"], "d": [b"all"]}


async def test_subscribing_again_replaces_and_the_old_end_ends_nothing() -> None:
    kind = local().kind("topic")
    first: list[bytes] = []
    second: list[bytes] = []
    stop_first = kind.subscribe("1", "a", first.append, view=0)
    kind.subscribe("1", "a", second.append, view=1)
    stop_first()
    topic = kind.get("1")
    topic.send_views({0: b"0", 1: b"1"})
    assert (first, second) == ([], [b"1"])
    assert set(topic.views) == {1}


async def test_many_with_one_view_get_its_frame_and_no_other() -> None:
    kind = local().kind("topic")
    heard: list[list[bytes]] = [[] for _ in range(10)]
    stops = [kind.subscribe("1", who, heard[who].append, view=7) for who in range(10)]
    topic = kind.get("1")
    topic.send_views({7: b"seven", 8: b"eight"})
    topic.send_views({8: b"eight"})
    assert heard == [[b"seven"]] * 10
    for stop in stops:
        stop()
    assert not topic.views


async def test_failing_subscriber_is_counted_and_the_others_are_served() -> None:
    kind = local().kind("topic")

    def fail(_: bytes) -> None:
        raise RuntimeError("a bug")

    before = FAILURES.total
    kind.subscribe("1", "bad", fail)
    heard: list[bytes] = []
    kind.subscribe("1", "good", heard.append)
    topic = kind.get("1")
    topic.send(b"1")
    topic.send_views({None: b"2"})
    await topic.send_gradually(b"3")
    assert heard == [b"1", b"2", b"3"]
    assert FAILURES.total == before + 3


async def test_subscriber_that_stops_another_while_it_is_served_disturbs_nothing() -> None:
    kind = local().kind("topic")
    heard: list[bytes] = []
    stops = []
    kind.subscribe("1", "a", lambda _: stops[0]())
    stops.append(kind.subscribe("1", "b", lambda _: None))
    kind.subscribe("1", "c", heard.append)
    kind.get("1").send(b"1")
    kind.get("1").send(b"2")
    assert heard == [b"1", b"2"]
    assert kind.get("1").subscribers() == ["a", "c"]


async def test_topic_is_gone_with_its_last_subscriber() -> None:
    subscriptions = local()
    kind = subscriptions.kind("topic")
    stops = crowd(kind.subscribe, 2)[1]
    for stop in stops:
        assert kind.get("1") is not None
        stop()
        stop()
    assert kind.get("1") is None
    assert subscriptions.topics == len(kind) == 0


async def test_topics_and_subscribers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOPICS_MAX", 2)
    monkeypatch.setattr(module, "SUBSCRIBERS_PER_TOPIC_MAX", 2)
    subscriptions = local()
    one, other = subscriptions.kind("one"), subscriptions.kind("other")
    crowd(one.subscribe, 2)
    with pytest.raises(TooManySubscribers):
        one.subscribe("1", "third", lambda _: None)
    one.subscribe("1", 0, lambda _: None)  # a replacement takes no room
    stop = other.subscribe("1", 0, lambda _: None)
    with pytest.raises(TooManySubscribers):
        other.subscribe("2", 0, lambda _: None)
    stop()
    other.subscribe("2", 0, lambda _: None)


# ---------------------------------------------------------------------- spreading


async def test_spread_frame_reaches_each_once_and_in_order() -> None:
    kind = local().kind("topic")
    heard, _ = crowd(kind.subscribe, 3 * SPREAD_AT_ONCE + 1)
    for frame in (b"1", b"2"):
        await kind.get("1").send_gradually(frame)
    assert all(frames == [b"1", b"2"] for frames in heard)


async def test_others_have_their_turn_while_it_is_spread() -> None:
    kind = local().kind("topic")
    heard, _ = crowd(kind.subscribe, 3 * SPREAD_AT_ONCE)
    seen = []
    asyncio.get_running_loop().call_soon(lambda: seen.append(sum(map(len, heard))))
    await kind.get("1").send_gradually(b"1")
    assert seen == [SPREAD_AT_ONCE]


async def test_who_stops_begins_or_begins_again_meanwhile_does_not_get_it() -> None:
    kind = local().kind("topic")
    heard, stops = crowd(kind.subscribe, 2 * SPREAD_AT_ONCE)
    again: list[bytes] = []
    late: list[bytes] = []

    def change() -> None:
        stops[-1]()
        kind.subscribe("1", 2 * SPREAD_AT_ONCE - 2, again.append)
        kind.subscribe("1", "late", late.append)

    asyncio.get_running_loop().call_soon(change)
    await kind.get("1").send_gradually(b"1")
    assert [len(frames) for frames in heard[-3:]] == [1, 0, 0]
    assert again == late == []
    await kind.get("1").send_gradually(b"2")
    assert again == late == [b"2"]


# ---------------------------------------------------------------------- other nodes


async def test_payload_that_follows_is_delivered_without_a_read(halls: Halls) -> None:
    here, there = await halls.make(), await halls.make()
    heard = there.follow()
    there.kind.get("1").note_read(0)
    here.change(payload=b"one")
    here.change(payload=b"two")
    await until(lambda: heard == [b"one", b"two"])
    assert there.caught_up == []
    assert there.kind.get("1").number == 2


@pytest.mark.parametrize("payload", [b"", b"unreadable"])
async def test_notice_that_says_too_little_has_the_truth_read(halls: Halls, payload: bytes) -> None:
    here, there = await halls.make(), await halls.make()
    heard = there.follow()
    there.kind.get("1").note_read(0)
    here.change(payload=payload)
    await until(lambda: heard == [b"read 1"])


async def test_missing_number_has_the_truth_read(halls: Halls) -> None:
    here, there = await halls.make(), await halls.make()
    heard = there.follow()
    there.kind.get("1").note_read(0)
    halls.truth["1"] = 1  # whose notice was lost
    here.change(payload=b"two")
    await until(lambda: heard == [b"read 1", b"read 2"])


async def test_known_number_is_ignored(halls: Halls) -> None:
    here, there = await halls.make(), await halls.make()
    heard = there.follow()
    there.kind.get("1").note_read(5)
    here.kind.notify("1", number=5, after=4, payload=b"five")
    await until(lambda: there.subscriptions.metrics.stale == 1)
    assert heard == there.caught_up == []


async def test_announced_gap_has_every_topic_read_in_one_batch(halls: Halls) -> None:
    there = await halls.make()
    halls.truth.update({"1": 1, "2": 2})
    heard = [there.follow(key) for key in "12"]
    for key in "12":
        there.kind.get(key).note_read(0)
        there.kind.on_gap(f"topic:{key}")
    await until(lambda: heard == [[b"read 1"], [b"read 1", b"read 2"]])
    assert there.caught_up == [["1", "2"]]


async def test_batches_are_bounded(halls: Halls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CAUGHT_UP_AT_ONCE", 2)
    there = await halls.make()
    for key in "12345":
        there.follow(key)
        there.kind.get(key).request_catch_up()
    await until(lambda: there.subscriptions.metrics.caught_up == 5)
    assert there.caught_up == [["1", "2"], ["3", "4"], ["5"]]


async def test_database_that_is_away_is_tried_again(
    halls: Halls, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_BASE_S", 0.001)
    there = await halls.make()
    there.trouble = [Unavailable(), Unavailable(), RuntimeError("a bug"), asyncio.CancelledError()]
    before = FAILURES.total
    halls.truth["1"] = 1
    heard = there.follow()
    there.kind.get("1").note_read(0)
    there.kind.get("1").request_catch_up()
    await until(lambda: heard == [b"read 1"])
    assert len(there.caught_up) == 5
    assert FAILURES.total == before + 2
    assert caplog.text.count("catching up with topic topics waits") == 1


@pytest.mark.parametrize(("is_whole", "polls"), [(False, True), (True, False)])
async def test_poll_is_frequent_only_where_the_broker_brings_not_everything(
    halls: Halls, is_whole: bool, polls: bool
) -> None:
    there = await halls.make(poll=PollPolicy(live_s=3600, alone_s=0.01), is_whole=is_whole)
    heard = there.follow()
    there.kind.get("1").note_read(0)
    halls.truth["1"] = 1
    await asyncio.sleep(0.15)
    assert heard == ([b"read 1"] if polls else [])


async def test_only_what_somebody_needs_is_followed(halls: Halls) -> None:
    here, there = await halls.make(), await halls.make()
    stop = there.kind.subscribe("1", "a", lambda _: None)
    assert "topic:1" in there.broker._handlers
    stop()
    assert "topic:1" not in there.broker._handlers
    here.change()
    await turns()
    assert there.subscriptions.metrics.notices == 0


async def test_held_topic_is_followed_without_subscribers(halls: Halls) -> None:
    here, there = await halls.make(), await halls.make()
    topic = there.kind.hold("1")
    here.change()
    await until(lambda: there.caught_up == [["1"]] and topic.number == 1)
    topic.release()
    assert there.kind.get("1") is None


async def test_owned_topic_is_not_followed_until_it_is_released(halls: Halls) -> None:
    here, there = await halls.make(), await halls.make()
    topic = there.kind.hold("1", owned=True)
    heard = there.follow()
    topic.note_delivered(3)
    assert "topic:1" not in there.broker._handlers
    topic.release()
    assert "topic:1" in there.broker._handlers
    halls.truth["1"] = 3
    here.change(payload=b"four")
    await until(lambda: heard == [b"four"])


async def test_frames_without_a_truth_are_relayed(halls: Halls) -> None:
    hub = MemoryHub()
    brokers = [MemoryBroker(hub), MemoryBroker(hub)]
    kinds = [Subscriptions(broker).kind("chat") for broker in brokers]
    heard: list[list[bytes]] = [[], []]
    for kind, frames in zip(kinds, heard, strict=True):
        kind.subscribe("1", "a", frames.append)
    tasks = [asyncio.get_running_loop().create_task(broker.run()) for broker in brokers]
    await turns()
    kinds[0].relay("1", b"hello")
    kinds[1].relay("1", b"hi")
    kinds[0].relay("nobody-is-here", b"?")
    await until(lambda: heard == [[b"hello", b"hi"], [b"hi", b"hello"]])
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_lowest_number_that_somebody_has_read_counts() -> None:
    kind = local().kind("topic")
    for who, number, known in (("a", 7, 7), ("b", 9, 7), ("c", 5, 5)):
        kind.subscribe("1", who, lambda _: None)
        kind.get("1").note_read(number)
        assert kind.get("1").number == known
    kind.get("1").note_delivered(9)
    kind.get("1").note_delivered(8)
    assert kind.get("1").number == 9


def test_kind_has_a_name_of_its_own() -> None:
    subscriptions = local()
    subscriptions.kind("topic")
    with pytest.raises(ValueError, match="topic"):
        subscriptions.kind("topic")


# ---------------------------------------------------------------------- announced sweeps


async def test_announced_sweep_is_done_on_the_other_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SWEEP_REST_S", 0.01)
    hub = MemoryHub()
    swept: list[int] = [0, 0]
    nodes = [Subscriptions(MemoryBroker(hub, is_whole=True)) for _ in swept]

    async def sweep(node: int) -> None:
        swept[node] += 1

    sweeps = [AnnouncedSweep(node, "sweep", partial(sweep, n)) for n, node in enumerate(nodes)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part.run()) for node in nodes for part in (node.broker, node)]
        await until(lambda: swept == [1, 1])  # each looks once when it begins to hear
        for _ in range(100):
            sweeps[0].announce_sweep()
        await until(lambda: swept[1] > 1)
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
    assert swept[0] == 1
    assert swept[1] <= 4, "what is announced while a sweep rests is one more sweep"


async def test_sweep_that_fails_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_BASE_S", 0.001)
    monkeypatch.setattr(module, "SWEEP_REST_S", 0.0)
    subscriptions = local()
    outcomes: list[BaseException] = [Unavailable(), RuntimeError("a bug")]

    async def sweep() -> None:
        if outcomes:
            raise outcomes.pop(0)
        done.set()

    done = asyncio.Event()
    AnnouncedSweep(subscriptions, "sweep", sweep, poll=PollPolicy(3600, 0.01))
    task = asyncio.get_running_loop().create_task(subscriptions.run())
    async with asyncio.timeout(WAIT_S):
        await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
