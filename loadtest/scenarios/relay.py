"""Messages through games without rules: ordered, logged, committed, and sent to all."""

import asyncio
from dataclasses import dataclass
from functools import partial
from random import Random

from loadtest.measure import Measured, Meter, OnProgress
from loadtest.players.kind import Kind
from loadtest.players.relay import KIND, RelayBehaviour
from loadtest.scenarios.scenario import Shard, sampled, simulated_players
from loadtest.simulation.group import MatchSetup, PlayerGroup
from loadtest.simulation.player import Habits
from loadtest.simulation.trace import FinishedGame, GameTrace, audit
from playhall.http import Http


@dataclass(frozen=True, slots=True)
class Relay:
    """One share of: `rooms` games whose players keep `window` messages each under way."""

    shard: Shard
    rooms: int
    players: int
    window: int
    payload_bytes: int
    duration_s: float
    ramp_up_s: float
    sample: int

    async def run(self, on_progress: OnProgress) -> Measured:
        """Send."""
        async with Http(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.shard.index == 0)
            rooms = self.shard.part(self.rooms)
            async with simulated_players(
                http, meter, rooms * self.players, self.shard.chance
            ) as players:
                setup = MatchSetup(self._kind(), Habits(window=self.window))
                groups = [
                    PlayerGroup(
                        players[number * self.players :][: self.players], setup, meter.checks
                    )
                    for number in range(rooms)
                ]
                async with sampled(meter):
                    await self._measure(http, meter, groups)
            return meter.result()

    async def _measure(self, http: Http, meter: Meter, rooms: list[PlayerGroup]) -> None:
        meter.stage = "sitting down"
        async with asyncio.TaskGroup() as tasks:
            starting = [tasks.create_task(group.start_game()) for group in rooms]
        meter.stage = "sending"
        for group in rooms:
            group.begin()
        await asyncio.sleep(self.ramp_up_s)
        await meter.open_window()
        await asyncio.sleep(self.duration_s)
        await meter.close_window()
        for group in rooms:
            group.pause()
        meter.stage = "checking"
        finished = [
            await _end(group, task.result()) for group, task in zip(rooms, starting, strict=True)
        ]
        for game in finished[: self.shard.part(self.sample)]:
            if game is not None:
                await audit(http, game, meter.checks)
                meter.done += 1

    def _kind(self) -> Kind:
        behaviour = partial(_behaviour, payload_bytes=self.payload_bytes)
        return Kind(KIND.ruleset, behaviour, KIND.score, self.players)


async def _end(group: PlayerGroup, trace: GameTrace) -> FinishedGame | None:
    if not trace.went_wrong:
        await group.stop()
    return await group.end(trace)


def _behaviour(me: str, chance: Random, *, payload_bytes: int) -> RelayBehaviour:
    return RelayBehaviour(me, chance, payload_bytes=payload_bytes)
