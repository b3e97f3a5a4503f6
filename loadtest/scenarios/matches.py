"""Whole games: rooms of players who play one after the other, by the rules."""

import asyncio
import time
from dataclasses import dataclass, field

from loadtest.measure import Measurements, Meter, OnProgress
from loadtest.players.kind import RulesetPlayer
from loadtest.scenarios.scenario import Shard, sample_while, simulated_players
from loadtest.simulation.group import MatchSetup, PlayerGroup
from loadtest.simulation.player import PlayerHabits
from loadtest.simulation.trace import GameSample, audit_games
from playhall import Json
from playhall.http import HttpClient


@dataclass(frozen=True, slots=True)
class MatchesScenario:
    """One share of: `concurrency` rooms that play until `games` are played, or for a time.

    `sample` is how many finished games are read again over HTTP and compared.
    """

    shard: Shard
    kind: RulesetPlayer
    players: int
    concurrency: int
    games: int | None
    duration_s: float | None
    ramp_up_s: float = 0.0
    habits: PlayerHabits = field(default_factory=PlayerHabits)
    config: Json = field(default_factory=dict)
    sample: int = 100

    async def run(self, on_progress: OnProgress) -> Measurements:
        """Play."""
        async with HttpClient(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.shard.index == 0)
            finished = GameSample(self.shard.share_of(self.sample), self.shard.random)
            rooms = self.shard.share_of(self.concurrency)
            async with simulated_players(
                http, meter, rooms * self.players, self.shard.random
            ) as players:
                setup = MatchSetup(self.kind, self.habits, self.config)
                seats = range(0, len(players), self.players)
                groups = [players[first : first + self.players] for first in seats]
                schedule = _Schedule(self, meter, finished)
                async with sample_while(meter) as tasks:
                    for number, members in enumerate(groups):
                        group = PlayerGroup(members, setup, meter.checks)
                        tasks.create_task(schedule.play_games(group, number / len(groups)))
                    tasks.create_task(schedule.run_clock())
                await meter.close_window()
                await _audit(http, meter, finished)
            return meter.result()


class _Schedule:
    """Who may begin another game, and when the load is full."""

    def __init__(self, share: MatchesScenario, meter: Meter, finished: GameSample) -> None:
        self._share = share
        self._meter = meter
        self._finished = finished
        self._left = None if share.games is None else share.shard.share_of(share.games)
        self._began = time.monotonic()
        self._over = asyncio.Event()

    async def play_games(self, group: PlayerGroup, arrival: float) -> None:
        """Play game after game; `arrival` is when, as a share of the ramp-up."""
        await asyncio.sleep(arrival * self._share.ramp_up_s)
        while await self._begins_another():
            game = await group.play_game()
            self._meter.done += 1
            if game is not None:
                self._finished.offer_game(game)

    async def run_clock(self) -> None:
        """Open the window after the ramp-up; stop starting games when the time is over."""
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


async def _audit(http: HttpClient, meter: Meter, finished: GameSample) -> None:
    meter.stage, meter.done = "checking", 0
    for game in finished.kept:
        await audit_games(http, game, meter.checks)
        meter.done += 1
        meter.report_progress()
