"""What fails on one topic, or for one channel, leaves the others as they are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from persistence.broker.memory import MemoryBroker, MemoryHub
from server.core.subscriptions import Subscriptions
from server.domains.integrations.realtime.presence import GONE_AFTER_S, PresenceTopics


class Listening:
    """A channel that keeps who joined and left, or fails to hear of it."""

    def __init__(self, name: str) -> None:
        self.channel_id = name
        self.heard: list[Any] = []
        self.fails = False

    def push_presence(self, diff: bytes) -> None:
        if self.fails:
            raise RuntimeError
        self.heard.append(orjson.loads(diff))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def two_nodes(clock: list[float]) -> AsyncIterator[list[PresenceTopics]]:
    hub = MemoryHub()
    brokers = [MemoryBroker(hub) for _ in range(2)]
    running = [asyncio.create_task(broker.run()) for broker in brokers]
    await settle()
    try:
        yield [PresenceTopics(Subscriptions(each), now=lambda: clock[0]) for each in brokers]
    finally:
        for task in running:
            task.cancel()


async def test_what_cannot_be_written_is_not_kept() -> None:
    async with two_nodes([0.0]) as (presence, _):
        ann, ben = Listening("ann"), Listening("ben")
        presence.join("topic", ann)
        deep: dict[str, Any] = {}
        for _ in range(300):
            deep = {"a": deep}
        with pytest.raises(TypeError):
            presence.track("topic", ann, "a", deep)
        assert presence.join("topic", ben) == {}
        presence.track("topic", ann, "a", {})
        assert list(ben.heard[-1]["joins"]) == ["a"]


async def test_a_topic_that_fails_keeps_no_other_from_being_repeated() -> None:
    clock = [0.0]
    async with two_nodes(clock) as (here, there):
        first, second = Listening("first"), Listening("second")
        for topic, who in (("one", first), ("two", second)):
            here.join(topic, who)
            elsewhere = Listening(f"elsewhere {topic}")
            there.join(topic, elsewhere)
            there.track(topic, elsewhere, "e", {})
        await settle()
        assert [list(each.heard[-1]["joins"]) for each in (first, second)] == [["e"], ["e"]]
        first.fails = True
        clock[0] = GONE_AFTER_S + 1
        await here.repeat()
        assert list(second.heard[-1]["leaves"]) == ["e"]
