"""Connections that only show life: what each costs the server."""

import asyncio
from dataclasses import dataclass
from typing import Final

from loadtest.measure import Measured, Meter, OnProgress, resident_bytes, scrape
from loadtest.scenarios.scenario import Shard, sampled
from loadtest.simulation.player import connected, sign_in
from playhall.http import Http

STAYED: Final = "every connection stayed open"


@dataclass(frozen=True, slots=True)
class Idle:
    """One share of: `connections` that are held for `duration_s`.

    The memory is that of process `pid` of this machine, or what the server says of itself.
    The guests sign in first, so that their accounts do not count.
    """

    shard: Shard
    connections: int
    duration_s: float
    pid: int | None

    async def run(self, on_progress: OnProgress) -> Measured:
        """Connect, and wait."""
        async with Http(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.shard.index == 0)
            count = self.shard.part(self.connections)
            meter.stage = "signing in"
            async with sampled(meter):
                accounts = await sign_in(
                    http, count, on_count=lambda on_count: _done(meter, on_count)
                )
            before = await self._memory_bytes(http)
            async with connected(
                http, accounts, counters=meter.counters, chance=self.shard.chance
            ) as players:
                meter.stage, meter.done = "holding", len(players)
                await meter.begin()
                async with sampled(meter):
                    await asyncio.sleep(self.duration_s)
                after = await self._memory_bytes(http)
                await meter.close_window()
                for player in players:
                    stayed = player.connection.reconnects == 0 and player.connection.failure is None
                    meter.checks.note(STAYED, None if stayed else f"{player.player_id} lost it")
            meter.counters.counts["connections"] = count
            if self.shard.index == 0:
                # Every process connects at the same time, so the growth is everybody's.
                meter.numbers["bytes per connection"] = (after - before) / self.connections
            return meter.result()

    async def _memory_bytes(self, http: Http) -> float:
        if self.pid is not None:
            return resident_bytes(self.pid)
        metrics = await scrape(http.url)
        return 0.0 if metrics is None else metrics.memory_bytes


def _done(meter: Meter, count: int) -> None:
    meter.done = count
