"""What each connection, lobby, game, watcher and peer costs in memory, by growing their number.

Each kind has a server of its own. Whoever is needed connects first, so that a lobby's cost is that
of the lobby alone; then the number grows in steps, and the server's memory is read after each. The
cost is the slope through these points, without the first ones: they fill memory that was free.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final, NamedTuple

from loadtest.benching.figures import RunResult
from loadtest.benching.recovery import run_in_new_loop
from loadtest.benching.servers import BenchServer
from loadtest.benching.slopes import fit_slope
from loadtest.measure import Checks, Counters, Meter, process_anonymous_bytes
from loadtest.processes import ScenarioFailed
from loadtest.scenarios.scenario import Shard
from loadtest.scenarios.signaling import SignalingScenario
from loadtest.simulation.player import SimulatedPlayer, connected_players, sign_in_guests
from playhall.errors import ClientError
from playhall.http import HttpClient

FILLING_STEPS: Final = 2
SETTLE_S: Final = 1.5  # caches and collected garbage follow what was just done
AT_ONCE: Final = 16
WATCHERS_PER_GAME: Final = 40
EL_DORADO_PLAYERS: Final = 4
STAYED: Final = "every connection stayed open"


class MemoryPoint(NamedTuple):
    """How many there were, and the memory of the server then."""

    there: int
    memory_bytes: int


@dataclass(slots=True)
class Growth:
    """One server whose number of something grows; a `Kind` makes it grow."""

    http: HttpClient
    pid: int
    steps: int
    each: int  # how many a step adds
    points: list[MemoryPoint] = field(default_factory=list)
    checks: Checks = field(default_factory=Checks)

    @property
    def whole(self) -> int:
        """How many there are in the end."""
        return self.steps * self.each

    async def note(self, there: int) -> None:
        """Take note of the memory, now that there are so many."""
        await asyncio.sleep(SETTLE_S)
        self.points.append(MemoryPoint(there, process_anonymous_bytes(self.pid)))

    async def in_steps(self, add: Callable[[int], Awaitable[None]]) -> None:
        """Add the first, the second, … some of them at a time, and note the memory each step."""
        await self.note(0)
        for start in range(0, self.whole, self.each):
            await _some_at_once([add(n) for n in range(start, start + self.each)])
            await self.note(start + self.each)

    @asynccontextmanager
    async def connected(self, count: int) -> AsyncIterator[list[SimulatedPlayer]]:
        """Connect so many players for a block, and check at its end that they are there."""
        accounts = await sign_in_guests(self.http, count, on_count=lambda _: None)
        async with connected_players(
            self.http,
            accounts,
            counters=Counters(),
            chance=Random(0),  # noqa: S311 - play
        ) as players:
            yield players
            self.check(players)

    def check(self, players: Sequence[SimulatedPlayer]) -> None:
        """Check that nobody had to connect again."""
        for player in players:
            stayed = player.connection.reconnects == 0 and player.connection.failure is None
            self.checks.note_check(STAYED, None if stayed else f"{player.player_id} lost it")


async def _some_at_once(work: Sequence[Awaitable[None]]) -> None:
    turnstile = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[None]) -> None:
        async with turnstile:
            await each

    async with asyncio.TaskGroup() as tasks:
        for each in work:
            tasks.create_task(one(each))


# ---------------------------------------------------------------------- what grows


async def _connections(growth: Growth) -> None:
    accounts = await sign_in_guests(growth.http, growth.whole, on_count=lambda _: None)
    async with AsyncExitStack() as stack:
        await growth.note(0)
        for start in range(0, growth.whole, growth.each):
            players = await stack.enter_async_context(
                connected_players(
                    growth.http,
                    accounts[start : start + growth.each],
                    counters=Counters(),
                    chance=Random(start),  # noqa: S311 - play
                )
            )
            stack.callback(growth.check, players)
            await growth.note(start + growth.each)


async def _lobbies(growth: Growth) -> None:
    async with growth.connected(growth.whole) as players:

        async def open_lobby(n: int) -> None:
            await players[n].connection.call("lobby.create", ruleset="relay", seats=4)

        await growth.in_steps(open_lobby)


async def _relay_games(growth: Growth) -> None:
    async with growth.connected(growth.whole) as players:

        async def start_game(n: int) -> None:
            await _start_game(players[n : n + 1], "relay")

        await growth.in_steps(start_game)


async def _el_dorado_games(growth: Growth) -> None:
    async with growth.connected(growth.whole * EL_DORADO_PLAYERS) as players:

        async def start_game(n: int) -> None:
            first = n * EL_DORADO_PLAYERS
            await _start_game(players[first : first + EL_DORADO_PLAYERS], "el_dorado")

        await growth.in_steps(start_game)


async def _watchers(growth: Growth) -> None:
    games = -(-growth.whole // WATCHERS_PER_GAME)
    async with growth.connected(growth.whole + games) as players:
        watchers, hosts = players[: growth.whole], players[growth.whole :]
        game_ids = [await _start_game([host], "relay") for host in hosts]

        async def watch(n: int) -> None:
            game_id = game_ids[n // WATCHERS_PER_GAME]
            await watchers[n].connection.call("game.watch", game_id=game_id)

        await growth.in_steps(watch)


async def _peers(growth: Growth) -> None:
    """Connect PeerJS peers; none of them has sent anything."""
    meter = Meter(growth.http, on_progress=lambda _: None, asks=False)
    async with AsyncExitStack() as stack:
        await growth.note(0)
        for step in range(growth.steps):
            scenario = SignalingScenario(
                shard=Shard(growth.http.url, step, growth.steps),
                pairs=growth.whole // 2,
                window=1,
                payload_bytes=0,
                duration_s=0,
                ramp_up_s=0,
            )
            peers = await stack.enter_async_context(scenario.connected(meter))
            await growth.note((step + 1) * growth.each)
            for peer in peers:
                growth.checks.note_check(STAYED, peer.fault)


async def _start_game(players: Sequence[SimulatedPlayer], ruleset: str) -> str:
    """Start a game that anybody may watch, and that its players follow; nobody moves."""
    host, *others = [player.connection for player in players]
    opened = await host.call("lobby.create", ruleset=ruleset, seats=len(players))
    lobby = opened["lobby"]
    for connection in others:
        await connection.call("lobby.join", code=lobby["join_code"])
        await connection.call("lobby.ready", lobby_id=lobby["lobby_id"])
    started = await host.call("lobby.start", lobby_id=lobby["lobby_id"])
    game_id = str(started["lobby"]["game_id"])
    for connection in (host, *others):
        await connection.call("game.resume", game_id=game_id, after=-1)
    return game_id


class Kind(NamedTuple):
    """Something whose number can grow, and by how many in a step."""

    what: str
    each: int
    grow: Callable[[Growth], Coroutine[None, None, None]]


KINDS: Final = {
    "connection": Kind("idle connections", 500, _connections),
    "lobby": Kind("lobbies of one player", 250, _lobbies),
    "relay game": Kind("games of the relay, followed by one player", 250, _relay_games),
    "El Dorado game": Kind("games of El Dorado, followed by four", 100, _el_dorado_games),
    "watcher": Kind("watchers of a game, 40 each", 500, _watchers),
    "peer": Kind("signaling peers", 500, _peers),
}


# ---------------------------------------------------------------------- measuring


def measure_growth(server: BenchServer, name: str, *, steps: int, each: int) -> RunResult:
    """Grow the number of something on a server that has none of it; gives bytes for each.

    Raise `ValueError` for fewer than four steps, whose first two fill memory that was free.
    """
    try:
        growth = run_in_new_loop(_grow(server, KINDS[name], steps=steps, each=each))
    except BaseExceptionGroup as group:
        _, others = group.split(ClientError)
        if others is not None:
            raise
        raise ScenarioFailed(f"{KINDS[name].what}: {_first_of(group)}") from group
    cost = fit_slope(growth.points[FILLING_STEPS:])
    numbers = {"bytes each": cost.value, "± bytes": cost.margin}
    return RunResult(f"{growth.whole:,} {KINDS[name].what}", numbers, growth.checks)


def _first_of(error: BaseException) -> BaseException:
    return _first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _grow(server: BenchServer, kind: Kind, *, steps: int, each: int) -> Growth:
    async with HttpClient(server.url) as http:
        growth = Growth(http, server.pid, steps, each)
        await kind.grow(growth)
    return growth
