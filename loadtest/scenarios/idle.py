"""Connections that only show life: what each costs the server."""

import asyncio
from dataclasses import dataclass
from typing import Final

from loadtest.crowd.gathering import connected, sign_in
from loadtest.line.web import Web
from loadtest.measure.meter import Measured, Meter, Tell
from loadtest.measure.scrape import resident_bytes, scrape
from loadtest.scenarios.share import Place, sampled

STAYED: Final = "every connection stayed open"


@dataclass(frozen=True, slots=True)
class Idle:
    """One share of: `connections` that are held for `duration_s`.

    The memory is that of process `pid` of this machine, or what the server says of itself.
    The guests sign in first, so that their accounts do not count.
    """

    place: Place
    connections: int
    duration_s: float
    pid: int | None

    async def run(self, tell: Tell) -> Measured:
        """Connect, and wait."""
        async with Web(self.place.url) as web:
            meter = Meter(web, tell=tell, asks=self.place.index == 0)
            count = self.place.part(self.connections)
            meter.stage = "signing in"
            async with sampled(meter):
                accounts = await sign_in(web, count, came=lambda came: _done(meter, came))
            before = await self._memory_bytes(web)
            async with connected(
                web, accounts, tally=meter.tally, chance=self.place.chance
            ) as players:
                meter.stage, meter.done = "holding", len(players)
                await meter.begin()
                async with sampled(meter):
                    await asyncio.sleep(self.duration_s)
                after = await self._memory_bytes(web)
                await meter.close_window()
                for player in players:
                    stayed = player.link.reconnects == 0 and player.link.failure is None
                    meter.checks.note(STAYED, None if stayed else f"{player.player_id} lost it")
            meter.tally.counts["connections"] = count
            if self.place.index == 0:
                # Every process connects at the same time, so the growth is everybody's.
                meter.numbers["bytes per connection"] = (after - before) / self.connections
            return meter.result()

    async def _memory_bytes(self, web: Web) -> float:
        if self.pid is not None:
            return resident_bytes(self.pid)
        told = await scrape(web.url)
        return 0.0 if told is None else told.memory_bytes


def _done(meter: Meter, count: int) -> None:
    meter.done = count
