"""Connections that only show life: what each costs the server."""

import asyncio
from dataclasses import dataclass
from typing import Final

from loadtest.measure import Measurements, Meter, OnProgress, process_rss_bytes, scrape_metrics
from loadtest.scenarios.scenario import Shard, sample_while
from loadtest.simulation.player import connected_players, sign_in_guests
from playhall.http import HttpClient

STAYED: Final = "every connection stayed open"


@dataclass(frozen=True, slots=True)
class IdleScenario:
    """One share of: `connections` that are held for `duration_s`.

    The memory is that of process `pid` of this machine, or what the server says of itself.
    The guests sign in first, so that their accounts do not count.
    """

    shard: Shard
    connections: int
    duration_s: float
    pid: int | None

    async def run(self, on_progress: OnProgress) -> Measurements:
        """Connect, and wait."""
        async with HttpClient(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.shard.index == 0)
            count = self.shard.share_of(self.connections)
            meter.stage = "signing in"
            async with sample_while(meter):
                accounts = await sign_in_guests(
                    http, count, on_count=lambda on_count: _done(meter, on_count)
                )
            before = await self._memory_bytes(http)
            async with connected_players(
                http, accounts, counters=meter.counters, chance=self.shard.random
            ) as players:
                meter.stage, meter.done = "holding", len(players)
                await meter.begin()
                async with sample_while(meter):
                    await asyncio.sleep(self.duration_s)
                after = await self._memory_bytes(http)
                await meter.close_window()
                for player in players:
                    stayed = player.connection.reconnects == 0 and player.connection.failure is None
                    meter.checks.note_check(
                        STAYED, None if stayed else f"{player.player_id} lost it"
                    )
            meter.counters.counts["connections"] = count
            if self.shard.index == 0:
                # Every process connects at the same time, so the growth is everybody's.
                meter.numbers["bytes per connection"] = (after - before) / self.connections
            return meter.result()

    async def _memory_bytes(self, http: HttpClient) -> float:
        if self.pid is not None:
            return process_rss_bytes(self.pid)
        metrics = await scrape_metrics(http.url)
        return 0.0 if metrics is None else metrics.memory_bytes


def _done(meter: Meter, count: int) -> None:
    meter.done = count
