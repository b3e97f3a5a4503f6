"""Messages through games without rules: ordered, logged, committed, and sent to all."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from loadtest.measure import Measurements, Meter, OnProgress
from loadtest.players.kind import RulesetPlayer
from loadtest.players.relay import KIND, RelayBehaviour
from loadtest.scenarios.scenario import Shard, sample_while, simulated_players
from loadtest.simulation.group import MatchSetup, PlayerGroup
from loadtest.simulation.player import PlayerHabits
from loadtest.simulation.trace import FinishedGame, GameTrace, audit_games
from playhall.http import HttpClient


@dataclass(frozen=True, slots=True)
class RelayScenario:
    """One share of: `rooms` games whose players keep `window` messages each under way."""

    shard: Shard
    rooms: int
    players: int
    window: int
    payload_bytes: int
    duration_s: float
    ramp_up_s: float
    sample: int

    async def run(self, on_progress: OnProgress) -> Measurements:
        """Send."""
        async with HttpClient(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.shard.index == 0)
            rooms = self.shard.share_of(self.rooms)
            async with simulated_players(
                http, meter, rooms * self.players, self.shard.random
            ) as players:
                setup = MatchSetup(self._kind(), PlayerHabits(window=self.window))
                groups = [
                    PlayerGroup(
                        players[number * self.players :][: self.players], setup, meter.checks
                    )
                    for number in range(rooms)
                ]
                async with sample_while(meter):
                    await self._measure(http, meter, groups)
            return meter.result()

    async def _measure(self, http: HttpClient, meter: Meter, rooms: list[PlayerGroup]) -> None:
        meter.stage = "sitting down"
        audited = self.shard.share_of(self.sample)
        async with asyncio.TaskGroup() as tasks:
            starting = [
                tasks.create_task(group.start_game(is_audited=number < audited))
                for number, group in enumerate(rooms)
            ]
        meter.stage = "sending"
        for group in rooms:
            group.begin_playing()
        await asyncio.sleep(self.ramp_up_s)
        await meter.open_window()
        await asyncio.sleep(self.duration_s)
        await meter.close_window()
        for group in rooms:
            group.pause_playing()
        meter.stage = "checking"
        finished = [
            await _end(group, task.result()) for group, task in zip(rooms, starting, strict=True)
        ]
        for game in finished[:audited]:
            if game is not None:
                await audit_games(http, game, meter.checks)
                meter.done += 1

    def _kind(self) -> RulesetPlayer:
        behaviour = partial(_behaviour, payload_bytes=self.payload_bytes)
        return replace(KIND, behaviour=behaviour, seats=self.players)


async def _end(group: PlayerGroup, trace: GameTrace) -> FinishedGame | None:
    if not trace.went_wrong:
        await group.stop_game()
    return await group.wait_for_end(trace)


def _behaviour(me: str, chance: Random, *, payload_bytes: int) -> RelayBehaviour:
    return RelayBehaviour(me, chance, payload_bytes=payload_bytes)
