"""Nodes that do nothing but publish and take note of what they receive."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

from persistence.broker import Broker, Notice
from persistence.broker.redis import RedisBroker

WAIT_S = 20.0
KEYS = [b"k" * 32]


def own_keys() -> list[bytes]:
    """What the nodes of these tests sign with."""
    return KEYS


class Recorder:
    """A handler that remembers; it may be made to fail."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.gaps: list[str] = []
        self.fails = False

    def on_notice(self, notice: Notice) -> None:
        self.notices.append(notice)
        if self.fails:
            raise RuntimeError("a bug in a handler")

    def on_gap(self, topic: str) -> None:
        self.gaps.append(topic)
        if self.fails:
            raise RuntimeError("a bug in a handler")

    @property
    def numbers(self) -> list[int]:
        return [notice.number for notice in self.notices]


class Node:
    """A broker, and the task that runs it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self.broker.run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def live(self) -> None:
        await until(lambda: self.broker.is_live)

    async def follow(self, topic: str) -> Recorder:
        """Subscribe, and wait until notices come."""
        recorder = Recorder()
        self.broker.subscribe(topic, recorder)
        await self.live()
        if isinstance(self.broker, RedisBroker):
            # Subscriptions are confirmed in order, so the topic is live when this one is.
            marker = Recorder()
            self.broker.subscribe(f"marker:{uuid4()}", marker)
            await until(lambda: marker.gaps != [])
        return recorder


async def until(holds: Callable[[], bool], *, within_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        await asyncio.sleep(0.005)


async def within(seconds: float, work: Awaitable[object]) -> None:
    async with asyncio.timeout(seconds):
        await work
