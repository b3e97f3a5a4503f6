"""Messages through games without rules: ordered, logged, committed, and sent to all."""

import asyncio
from dataclasses import dataclass
from functools import partial
from random import Random

from loadtest.crowd.audit import audit
from loadtest.crowd.player import Habits
from loadtest.crowd.record import Finished, Record
from loadtest.crowd.room import Room, Table
from loadtest.line.web import Web
from loadtest.measure.meter import Measured, Meter, Tell
from loadtest.players.kind import Kind
from loadtest.players.relay import KIND, RelayBehaviour
from loadtest.scenarios.share import Place, crowd, sampled


@dataclass(frozen=True, slots=True)
class Relay:
    """One share of: `rooms` games whose players keep `window` messages each under way."""

    place: Place
    rooms: int
    players: int
    window: int
    payload_bytes: int
    duration_s: float
    ramp_up_s: float
    sample: int

    async def run(self, tell: Tell) -> Measured:
        """Send."""
        async with Web(self.place.url) as web:
            meter = Meter(web, tell=tell, asks=self.place.index == 0)
            rooms = self.place.part(self.rooms)
            async with crowd(web, meter, rooms * self.players, self.place.chance) as players:
                table = Table(self._kind(), Habits(window=self.window))
                parties = [
                    Room(players[number * self.players :][: self.players], table, meter.checks)
                    for number in range(rooms)
                ]
                async with sampled(meter):
                    await self._measure(web, meter, parties)
            return meter.result()

    async def _measure(self, web: Web, meter: Meter, rooms: list[Room]) -> None:
        meter.stage = "sitting down"
        async with asyncio.TaskGroup() as tasks:
            sitting_down = [tasks.create_task(room.sit_down()) for room in rooms]
        meter.stage = "sending"
        for room in rooms:
            room.begin()
        await asyncio.sleep(self.ramp_up_s)
        await meter.open_window()
        await asyncio.sleep(self.duration_s)
        await meter.close_window()
        for room in rooms:
            room.rest()
        meter.stage = "checking"
        finished = [
            await _end(room, task.result()) for room, task in zip(rooms, sitting_down, strict=True)
        ]
        for game in finished[: self.place.part(self.sample)]:
            if game is not None:
                await audit(web, game, meter.checks)
                meter.done += 1

    def _kind(self) -> Kind:
        behaviour = partial(_behaviour, payload_bytes=self.payload_bytes)
        return Kind(KIND.ruleset, behaviour, KIND.score, self.players)


async def _end(room: Room, record: Record) -> Finished | None:
    if not record.went_wrong:
        await room.stop()
    return await room.end(record)


def _behaviour(me: str, chance: Random, *, payload_bytes: int) -> RelayBehaviour:
    return RelayBehaviour(me, chance, payload_bytes=payload_bytes)
