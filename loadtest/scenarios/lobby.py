"""Lobbies made, listed, joined, left and closed, as fast as they are answered."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from loadtest.measure import Measurements, Meter, OnProgress
from loadtest.scenarios.scenario import Shard, sample_while, simulated_players
from loadtest.simulation.player import SimulatedPlayer
from playhall import Json
from playhall.errors import RequestRefused
from playhall.http import HttpClient, full_jitter_pause_s

MEMBERS: Final = "a lobby's members are who joined and did not leave"
TRIES_MAX: Final = 10  # of one command; the pauses between them come to some 15 s
# Nothing was done: the same again does it. After another refusal it may have been done already.
UNDONE: Final = frozenset({"rate_limited", "overloaded"})


@dataclass(frozen=True, slots=True)
class LobbyScenario:
    """One share of: `pairs` of players, one of whom hosts while the other comes and goes."""

    shard: Shard
    pairs: int
    duration_s: float
    ruleset: str

    async def run(self, on_progress: OnProgress) -> Measurements:
        """Churn."""
        async with HttpClient(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.shard.index == 0)
            pairs = self.shard.share_of(self.pairs)
            async with simulated_players(http, meter, 2 * pairs, self.shard.random) as players:
                until = time.monotonic() + self.duration_s
                async with sample_while(meter) as tasks:
                    for number in range(pairs):
                        pair = _Pair(players[2 * number], players[2 * number + 1], meter)
                        tasks.create_task(pair.churn(self.ruleset, until))
                    await asyncio.sleep(self.duration_s)
                    await meter.close_window()
            return meter.result()


class _Pair:
    """A host and a guest."""

    def __init__(self, host: SimulatedPlayer, guest: SimulatedPlayer, meter: Meter) -> None:
        self._host = host
        self._guest = guest
        self._meter = meter

    async def churn(self, ruleset: str, until: float) -> None:
        """Open, list, join, leave and close lobbies until a monotonic time."""
        while time.monotonic() < until:
            try:
                await self._one_lobby(ruleset)
            except RequestRefused as refused:
                self._meter.counters.refusals[refused.code] += 1
                if not refused.retry:
                    raise

    async def _one_lobby(self, ruleset: str) -> None:
        lobby = (await self._ask(self._host, "lobby.create", ruleset=ruleset))["lobby"]
        both = {self._host.player_id, self._guest.player_id}
        await self._ask(self._guest, "lobby.list", ruleset=ruleset)
        joined = await self._ask(self._guest, "lobby.join", code=lobby["join_code"])
        self._check(joined["lobby"], both)
        await self._ask(self._guest, "lobby.leave", lobby_id=lobby["lobby_id"])
        ready = await self._ask(self._host, "lobby.ready", lobby_id=lobby["lobby_id"])
        self._check(ready["lobby"], {self._host.player_id})
        await self._ask(self._host, "lobby.leave", lobby_id=lobby["lobby_id"])
        self._meter.done += 1

    async def _ask(self, player: SimulatedPlayer, command: str, **fields: object) -> Json:
        """Give the reply; a lobby that was opened is also left where the server asks to wait."""
        for attempt in range(TRIES_MAX - 1):
            try:
                return await self._ask_once(player, command, **fields)
            except RequestRefused as refused:
                if refused.code not in UNDONE:
                    raise
                self._meter.counters.refusals[refused.code] += 1
                await asyncio.sleep(full_jitter_pause_s(attempt))
        return await self._ask_once(player, command, **fields)

    async def _ask_once(self, player: SimulatedPlayer, command: str, **fields: object) -> Json:
        began = time.perf_counter()
        reply = await player.connection.call(command, **fields)
        self._meter.counters.latency.record(time.perf_counter() - began)
        self._meter.counters.counts["commands"] += 1
        return reply

    def _check(self, lobby: Json, expected: set[str]) -> None:
        members = {member["player_id"] for member in lobby["members"]}
        fault = f"lobby {lobby['lobby_id']}: {members} instead of {expected}"
        self._meter.checks.note_check(MEMBERS, None if members == expected else fault)
