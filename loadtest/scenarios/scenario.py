"""What every scenario shares: its protocol, its share of the load, its players, its samples."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from random import Random
from threading import BrokenBarrierError
from typing import Final, Protocol

from loadtest.measure import Measurements, Meter, OnProgress
from loadtest.simulation.player import SimulatedPlayer, connected_players, sign_in_guests
from playhall.errors import ClientError
from playhall.http import HttpClient


class Scenario(Protocol):
    """One process's share of a load test."""

    async def run(self, on_progress: OnProgress) -> Measurements:
        """Put the load on the server; reports how far it is, gives what was measured."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Which share of how many this is, and of which server."""

    url: str
    index: int = 0
    of: int = 1

    def share_of(self, whole: int) -> int:
        """Give this share's part of a number; the parts add up to it."""
        return whole // self.of + (self.index < whole % self.of)

    @property
    def random(self) -> Random:
        """The share's source of chance: the same in each run."""
        return Random(self.index)  # noqa: S311 - games, no secrets


@asynccontextmanager
async def sample_while(meter: Meter) -> AsyncIterator[asyncio.TaskGroup]:
    """Take samples while a block runs; the block may add tasks, which are waited for."""
    async with asyncio.TaskGroup() as tasks:
        sampling = tasks.create_task(meter.sample())
        try:
            async with asyncio.TaskGroup() as block:
                yield block
        finally:
            sampling.cancel()


@asynccontextmanager
async def simulated_players(
    http: HttpClient, meter: Meter, count: int, chance: Random
) -> AsyncIterator[list[SimulatedPlayer]]:
    """Bring players together for a block."""
    meter.stage = "signing in"
    accounts = await sign_in_guests(http, count, on_count=_count(meter))
    meter.stage, meter.done = "connecting", 0
    meter.report_progress()
    async with connected_players(http, accounts, counters=meter.counters, chance=chance) as players:
        meter.stage = "playing"
        await meter.begin()
        yield players


def _count(meter: Meter) -> Callable[[int], None]:
    def on_count(count: int) -> None:
        meter.done = count
        meter.report_progress()

    return on_count


# ---------------------------------------- processes that wait for each other


WAIT_MAX_S: Final = 600.0


class Barrier:
    """Lets all processes go on at the same time; made where they are started."""

    def __init__(self, processes: int = 1) -> None:
        context = get_context("spawn")  # as the processes are
        self._barrier = context.Barrier(processes) if processes > 1 else None

    async def wait(self) -> None:
        """Wait for everybody, without keeping this process's connections waiting."""
        if self._barrier is None:
            return
        try:
            await asyncio.to_thread(self._barrier.wait, WAIT_MAX_S)
        except BrokenBarrierError:
            raise ClientError("Another process of the load test did not come this far.") from None
