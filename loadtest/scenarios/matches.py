"""Whole games: rooms of players who play one after the other, by the rules."""

import asyncio
import time
from dataclasses import dataclass, field

from loadtest.crowd.audit import Reservoir, audit
from loadtest.crowd.player import Habits
from loadtest.crowd.room import Room, Table
from loadtest.line.web import Web
from loadtest.measure.meter import Measured, Meter, Tell
from loadtest.players.kind import Kind
from loadtest.scenarios.share import Place, crowd, sampled
from protocol.game import Json


@dataclass(frozen=True, slots=True)
class Matches:
    """One share of: `concurrency` rooms that play until `games` are played, or for a time.

    `sample` is how many finished games are read again over HTTP and compared.
    """

    place: Place
    kind: Kind
    players: int
    concurrency: int
    games: int | None
    duration_s: float | None
    ramp_up_s: float = 0.0
    habits: Habits = field(default_factory=Habits)
    config: Json = field(default_factory=dict)
    sample: int = 100

    async def run(self, tell: Tell) -> Measured:
        """Play."""
        async with Web(self.place.url) as web:
            meter = Meter(web, tell=tell, asks=self.place.index == 0)
            finished = Reservoir(self.place.part(self.sample), self.place.chance)
            rooms = self.place.part(self.concurrency)
            async with crowd(web, meter, rooms * self.players, self.place.chance) as players:
                table = Table(self.kind, self.habits, self.config)
                seats = range(0, len(players), self.players)
                parties = [players[first : first + self.players] for first in seats]
                evening = _Evening(self, meter, finished)
                async with sampled(meter) as tasks:
                    for number, party in enumerate(parties):
                        room = Room(party, table, meter.checks)
                        tasks.create_task(evening.spend(room, number / len(parties)))
                    tasks.create_task(evening.watch_the_clock())
                await meter.close_window()
                await _audit(web, meter, finished)
            return meter.result()


class _Evening:
    """Who may begin another game, and when the load is full."""

    def __init__(self, share: Matches, meter: Meter, finished: Reservoir) -> None:
        self._share = share
        self._meter = meter
        self._finished = finished
        self._left = None if share.games is None else share.place.part(share.games)
        self._began = time.monotonic()
        self._over = asyncio.Event()

    async def spend(self, room: Room, arrival: float) -> None:
        """Play game after game; `arrival` is when, as a share of the ramp-up."""
        await asyncio.sleep(arrival * self._share.ramp_up_s)
        while await self._begins_another():
            game = await room.play()
            self._meter.done += 1
            if game is not None:
                self._finished.offer(game)

    async def watch_the_clock(self) -> None:
        """Open the window after the ramp-up; end the evening when its time is over."""
        if await self._is_over_within(self._share.ramp_up_s):
            return
        if self._share.ramp_up_s:
            await self._meter.open_window()
        if self._share.duration_s is not None:
            await self._is_over_within(self._share.duration_s)
            await self._end()

    async def _begins_another(self) -> bool:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                await self._end()
        return not self._over.is_set()

    async def _end(self) -> None:
        self._over.set()
        await self._meter.close_window()

    async def _is_over_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return False
        return True


async def _audit(web: Web, meter: Meter, finished: Reservoir) -> None:
    meter.stage, meter.done = "checking", 0
    for game in finished.kept:
        await audit(web, game, meter.checks)
        meter.done += 1
        meter.say()
