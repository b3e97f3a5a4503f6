"""A cache forgets what another node changed, whenever it was read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from persistence.broker.memory import MemoryBroker, MemoryHub
from server.core.shared_cache import SharedCache
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks


class Values:
    """What the database has; `hold` keeps who reads."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stored = {"a": 1}
        self.loads = 0
        self.go = asyncio.Event()
        self.go.set()

    async def load(self, key: str) -> int:
        self.loads += 1
        value = self.stored.get(key, 0)
        await self.go.wait()
        return value


@asynccontextmanager
async def two_nodes(
    values: Values, entries_max: int = 3
) -> AsyncIterator[tuple[SharedCache[int], SharedCache[int]]]:
    hub = MemoryHub()
    async with Tasks() as tasks:
        caches = []
        for _ in range(2):
            broker = MemoryBroker(hub, is_whole=True)
            subscriptions = Subscriptions(broker)
            cache = SharedCache(
                subscriptions,
                "values",
                values.load,
                now=lambda: values.now,
                entries_max=entries_max,
                ttl_s=10.0,
            )
            caches.append(cache)
            tasks.start_loop(broker.run(), name="broker")
            tasks.start_loop(subscriptions.run(), name="subscriptions")
        for _ in range(10):  # the brokers say first that notices may have been missed
            await asyncio.sleep(0)
        yield caches[0], caches[1]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_change_on_one_node_is_seen_on_the_other() -> None:
    values = Values()
    async with two_nodes(values) as (here, there):
        assert [await there.get("a"), await there.get("a")] == [1, 1]
        assert (values.loads, there.hits, there.misses) == (1, 1, 1)
        values.stored["a"] = 2
        here.invalidate("a")
        await settle()
        assert await there.get("a") == 2
        assert await here.get("a") == 2


async def test_what_was_being_read_when_it_changed_is_not_kept() -> None:
    values = Values()
    async with two_nodes(values) as (here, there):
        values.go.clear()
        reading = asyncio.create_task(there.get("a"))
        await settle()
        values.stored["a"] = 2
        here.invalidate("a")
        await settle()
        values.go.set()
        assert await reading == 1
        assert len(there) == 0
        assert await there.get("a") == 2


async def test_it_is_bounded_in_number_and_time() -> None:
    values = Values()
    async with two_nodes(values, entries_max=3) as (here, _):
        for key in ("a", "b", "c"):
            await here.get(key)
        await here.get("a")
        await here.get("d")
        assert len(here) == 3
        loads = values.loads
        await here.get("a")  # was used last, and stayed
        assert values.loads == loads
        values.now = 10.0
        values.stored["a"] = 5
        assert await here.get("a") == 5


async def test_a_gap_drops_everything() -> None:
    values = Values()
    async with two_nodes(values) as (here, _):
        await here.get("a")
        await here.deliver_missed([])
        assert len(here) == 0
