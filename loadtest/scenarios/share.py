"""What every load test's share has in common."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Protocol

from loadtest.crowd.gathering import connected, sign_in
from loadtest.crowd.player import Player
from loadtest.line.web import Web
from loadtest.measure.meter import Measured, Meter, Tell


class Share(Protocol):
    """One process's share of a load test."""

    async def run(self, tell: Tell) -> Measured:
        """Put the load on the server; tells how far it is, gives what was measured."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which share of how many this is, and of which server."""

    url: str
    index: int = 0
    of: int = 1

    def part(self, whole: int) -> int:
        """Give this share's part of a number; the parts add up to it."""
        return whole // self.of + (self.index < whole % self.of)

    @property
    def chance(self) -> Random:
        """The share's source of chance: the same in each run."""
        return Random(self.index)  # noqa: S311 - games, no secrets


@asynccontextmanager
async def sampled(meter: Meter) -> AsyncIterator[asyncio.TaskGroup]:
    """Take samples while a block runs; the block may add tasks, which are waited for."""
    async with asyncio.TaskGroup() as tasks:
        sampling = tasks.create_task(meter.sample())
        try:
            async with asyncio.TaskGroup() as block:
                yield block
        finally:
            sampling.cancel()


@asynccontextmanager
async def crowd(web: Web, meter: Meter, count: int, chance: Random) -> AsyncIterator[list[Player]]:
    """Bring players together for a block."""
    meter.stage = "signing in"
    accounts = await sign_in(web, count, came=_count(meter))
    meter.stage, meter.done = "connecting", 0
    meter.say()
    async with connected(web, accounts, tally=meter.tally, chance=chance) as players:
        meter.stage = "playing"
        await meter.begin()
        yield players


def _count(meter: Meter) -> Callable[[int], None]:
    def came(count: int) -> None:
        meter.done = count
        meter.say()

    return came
