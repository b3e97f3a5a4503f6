"""Load tests as runs on one server, with what every process used meanwhile.

Three kinds: scenarios of the load tester; the statements that a game costs the database; and
the same work on another server, which needs Node.js and npm (its packages go into a temporary
folder).
"""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final, NamedTuple

import orjson
import psycopg

from loadtest.benching.elsewhere import BenchCluster
from loadtest.benching.figures import RunResult
from loadtest.benching.machine import (
    CoreAssignment,
    CpuUsage,
    find_file_limit_problem,
    monitor_usage,
    process_cpu_s,
)
from loadtest.benching.servers import BenchNode, BenchServer
from loadtest.epochs.latency import merge_epoch_measurements
from loadtest.measure import CheckResult, Checks, Measurements
from loadtest.players import KINDS
from loadtest.processes import ScenarioFailed, merge_measurements, run_scenarios
from loadtest.report import make_report
from loadtest.scenarios.epoch import EpochScenario
from loadtest.scenarios.idle import IdleScenario
from loadtest.scenarios.matches import MatchesScenario
from loadtest.scenarios.realtime import RealtimeScenario
from loadtest.scenarios.relay import RelayScenario
from loadtest.scenarios.scenario import Barrier, Scenario, Shard
from loadtest.scenarios.signaling import SignalingScenario
from loadtest.simulation.player import PlayerHabits

ROOMS = 100
PLAYERS = 4
WINDOW = 4
PAYLOAD_BYTES = 250

REALTIME_PLAYERS = 8
INPUTS_PER_S = 5.0

# More than can act at once; a day that goes 20 times as fast lets a bot claim every 1.5 s.
BOTS = 40
VOTERS = 60
CLAIMS_PER_S = 4
VOTES_PER_S = 10
EPOCH_SPEED = 20
EPOCH_PROCESSES = 3  # one with those who act

AddUp = Callable[[Sequence[Measurements]], Measurements]


def run_matches(
    node: BenchNode,
    on: CoreAssignment,
    *,
    seconds: float,
    think_s: float = 0,
    rounds: int = 10,
    rooms: int = ROOMS,
    games: int | None = None,
    sample: int = 20,
    ramp_up_s: float | None = None,
) -> RunResult:
    """Play El Dorado in a hundred rooms, or so many games in all."""
    share = MatchesScenario(
        shard=Shard(node.url),
        kind=KINDS["el_dorado"],
        players=PLAYERS,
        concurrency=rooms,
        games=games,
        duration_s=None if games else seconds,
        # So that games do not end all at once.
        ramp_up_s=seconds / 2 if ramp_up_s is None else ramp_up_s,
        habits=PlayerHabits(think_s=think_s),
        config={"rounds": rounds},
        sample=sample,
    )
    what = "El Dorado" if not think_s else f"El Dorado, up to {think_s * 1000:.0f} ms for a move"
    return _run(what, share, node=node, on=on)


def run_relay(
    node: BenchNode,
    on: CoreAssignment,
    *,
    rooms: int,
    seconds: float,
    players: int = PLAYERS,
    payload_bytes: int = PAYLOAD_BYTES,
) -> RunResult:
    """Relay messages."""
    share = RelayScenario(
        shard=Shard(node.url),
        rooms=rooms,
        players=players,
        window=WINDOW,
        payload_bytes=payload_bytes,
        duration_s=seconds,
        ramp_up_s=1,
        sample=10,
    )
    what = f"relay, {rooms} rooms" + (f" of {players}" if players != PLAYERS else "")
    return _run(what, share, node=node, on=on)


def run_realtime(node: BenchNode, on: CoreAssignment, *, rooms: int, seconds: float) -> RunResult:
    """Play the arena in real time."""
    share = RealtimeScenario(
        shard=Shard(node.url),
        rooms=rooms,
        players=REALTIME_PLAYERS,
        inputs_per_s=INPUTS_PER_S,
        duration_s=seconds,
        ramp_up_s=1,
        sample=10,
    )
    return _run(f"arena, {rooms} rooms", share, node=node, on=on)


def run_signaling(
    server: BenchServer, on: CoreAssignment, *, pairs: int, seconds: float, name: str
) -> RunResult:
    """Pass messages on between peers, on our server or on another one."""
    share = SignalingScenario(
        shard=Shard(server.url),
        pairs=pairs,
        window=WINDOW,
        payload_bytes=PAYLOAD_BYTES,
        duration_s=seconds,
        ramp_up_s=1,
        asks=False,
    )
    with monitor_usage(on=on, server=server.pid) as monitor:
        measured = merge_measurements(run_scenarios([share], progress=lambda _: None))
    began, ended = measured.numbers["from s"], measured.numbers["to s"]
    numbers = _numbers(measured)
    return RunResult(
        f"{name}, {pairs} pairs", numbers, measured.checks, monitor.usage_between(began, ended)
    )


def hold_idle(node: BenchNode, on: CoreAssignment, *, connections: int) -> RunResult:
    """Hold idle connections."""
    _require_files(connections)
    share = IdleScenario(shard=Shard(node.url), connections=connections, duration_s=5, pid=node.pid)
    return _run(f"{connections:,} idle connections", share, node=node, on=on)


def hold_idle_on_nodes(nodes: BenchCluster, *, connections: int) -> RunResult:
    """Hold idle connections, an equal part of them on each node, from a process each."""
    *servers, _ = nodes.pids  # the last one is Valkey
    each = connections // len(servers)
    _require_files(each)
    shares = [
        IdleScenario(shard=Shard(url), connections=each, duration_s=5, pid=pid)
        for url, pid in zip(nodes.urls, servers, strict=True)
    ]
    began = [process_cpu_s(pid) for pid in nodes.pids]
    parts = run_scenarios(shares, progress=lambda _: None)
    used_s = [process_cpu_s(pid) - at for pid, at in zip(nodes.pids, began, strict=True)]
    measured = merge_measurements(parts)
    numbers = {
        "bytes per connection": mean(part.numbers["bytes per connection"] for part in parts),
        "nodes µs": sum(used_s[:-1]) / connections * 1e6,
        "Valkey µs": used_s[-1] / connections * 1e6,
    }
    what = f"{connections:,} idle connections on {len(servers)} nodes"
    return RunResult(what, numbers, measured.checks)


def _require_files(connections: int) -> None:
    problem = find_file_limit_problem(connections)
    if problem is not None:
        raise ScenarioFailed(problem)


def watch_epoch(node: BenchNode, on: CoreAssignment, *, watchers: int, seconds: float) -> RunResult:
    """Let bots claim and people vote while thousands watch."""
    bots = node.run_command("epoch", "bots", str(BOTS), "--live", "--speed", str(EPOCH_SPEED))
    voters = node.run_command("epoch", "voters", str(VOTERS))
    barrier = Barrier(EPOCH_PROCESSES)
    shares = [
        EpochScenario(
            shard=Shard(node.url, index, EPOCH_PROCESSES),
            watchers=watchers,
            epoch="current",
            claims_per_s=CLAIMS_PER_S,
            votes_per_s=VOTES_PER_S,
            duration_s=seconds,
            bots=tuple(bots),
            voters=tuple(voters),
            barrier=barrier,
        )
        for index in range(EPOCH_PROCESSES)
    ]
    return _run(
        f"an epoch, {watchers:,} watchers",
        *shares,
        node=node,
        on=on,
        add_up=merge_epoch_measurements,
    )


def _run(
    what: str,
    *shares: Scenario,
    node: BenchNode,
    on: CoreAssignment,
    add_up: AddUp = merge_measurements,
) -> RunResult:
    with monitor_usage(on=on, server=node.pid, database=node.database_pid) as monitor:
        measured = add_up(run_scenarios(shares, progress=lambda _: None))
    assert measured.server is not None
    opened, closed = measured.server
    return RunResult(
        what, _numbers(measured), measured.checks, monitor.usage_between(opened.at_s, closed.at_s)
    )


def _numbers(measured: Measurements) -> dict[str, float]:
    return make_report("", measured, began_at="", settings={}).rows


# ---------------------------------------------------------------------- statements of the database


COUNTED_ROOMS: Final = 4
IDLE_S: Final = 5.0
SETTLE_S: Final = 2.0  # replays are stored after their games
COUNTED: Final = Path(__file__).with_name("statements.sql").read_text("utf-8")
OWNER: Final = "postgres"


class _Count(NamedTuple):
    statements: int
    transactions: int


def count_statements(node: BenchNode, on: CoreAssignment, *, games: int) -> RunResult:
    """Play some games of El Dorado; gives the statements and transactions of one."""
    node.stop()
    node.set_database("shared_preload_libraries", "pg_stat_statements")
    node.start()
    with psycopg.connect(node.dsn(OWNER), autocommit=True) as database:
        database.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        idle = _counted(database, lambda: time.sleep(IDLE_S))
        began = time.monotonic()
        runs: list[RunResult] = []

        def play_counted() -> None:
            runs.append(
                run_matches(node, on, seconds=0, rooms=COUNTED_ROOMS, games=games, sample=0)
            )
            time.sleep(SETTLE_S)

        busy = _counted(database, play_counted)
        share = (time.monotonic() - began) / IDLE_S
    (run,) = runs
    numbers = {
        "statements per game": (busy.statements - share * idle.statements) / games,
        "transactions per game": (busy.transactions - share * idle.transactions) / games,
    }
    return RunResult(f"{games} games, counted", numbers, run.checks, run.usage)


def _counted(database: psycopg.Connection[tuple[int, int]], work: Callable[[], None]) -> _Count:
    database.execute(b"SELECT pg_stat_statements_reset()")
    work()
    row = database.execute(COUNTED.encode()).fetchone()
    assert row is not None
    return _Count(*row)


# ---------------------------------------------------------------------- other servers


SOURCES: Final = Path(__file__).parents[1] / "peers"
INSTALL_TIMEOUT_S: Final = 180.0
LOAD_TIMEOUT_S: Final = 180.0
IN_ORDER: Final = "every client got everybody's messages, in order"
TOOK_EFFECT: Final = "every input had its effect"


class Colyseus:
    """Colyseus on the server's core; installed in a folder and ready once it is made."""

    def __init__(self, folder: Path, *, on: CoreAssignment) -> None:
        self._folder = folder
        self._on = on
        self._node = _found("node")
        self._server = install_peer_server("colyseus", folder, on=on)
        self._server.start()

    def relay(self, *, rooms: int, seconds: float) -> RunResult:
        """Relay messages."""
        asked = {
            "url": self._server.url,
            "rooms": rooms,
            "players": PLAYERS,
            "window": WINDOW,
            "payload_bytes": PAYLOAD_BYTES,
            "ramp_up_s": 1,
            "duration_s": seconds,
        }
        said, usage = self._put_load("load.js", asked)
        window_s = said["to_s"] - said["from_s"]
        numbers = {"window s": window_s, "deliveries/s": said["deliveries"] / window_s}
        checked = CheckResult(said["passed"], said["failed"], said["examples"])
        return RunResult(f"Colyseus, {rooms} rooms", numbers, Checks({IN_ORDER: checked}), usage)

    def play_arena(self, *, rooms: int, seconds: float) -> RunResult:
        """Play the arena in real time."""
        asked = {
            "url": self._server.url,
            "rooms": rooms,
            "players": REALTIME_PLAYERS,
            "inputs_per_s": INPUTS_PER_S,
            "ramp_up_s": 1,
            "duration_s": seconds,
        }
        said, usage = self._put_load("arena_load.js", asked)
        window_s = said["to_s"] - said["from_s"]
        numbers = {
            "window s": window_s,
            "moves/s": said["inputs"] / window_s,
            "deliveries/s": said["deliveries"] / window_s,
            **{f"reply {name} ms": said[f"{name}_ms"] for name in ("p50", "p95", "p99")},
        }
        checks = Checks({TOOK_EFFECT: CheckResult(said["passed"], said["failed"])})
        return RunResult(f"Colyseus, arena, {rooms} rooms", numbers, checks, usage)

    def _put_load(self, program: str, asked: dict[str, object]) -> tuple[dict[str, Any], CpuUsage]:
        load = [self._node, program, orjson.dumps(asked).decode()]
        with monitor_usage(on=self._on, server=self._server.pid) as monitor:
            said = orjson.loads(_run_program(load, self._folder, LOAD_TIMEOUT_S))
        return said, monitor.usage_between(said["from_s"], said["to_s"])

    def destroy(self) -> None:
        """End it."""
        self._server.stop_with_signal(signal.SIGKILL)


def install_peer_server(name: str, folder: Path, *, on: CoreAssignment) -> BenchServer:
    """Install one of `loadtest/peers` into a folder; it is not started yet."""
    shutil.copytree(SOURCES / name, folder)
    _run_program([_found("npm"), "install", "--no-audit", "--no-fund"], folder, INSTALL_TIMEOUT_S)
    return BenchServer(
        [_found("node"), str(folder / "server.js")],
        log=folder / "server.log",
        on=on,
        env={"NODE_ENV": "production"},
    )


class PeerUnavailable(Exception):
    """The other server cannot be run here; the message says why."""


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise PeerUnavailable(f"{program} is missing: the comparison needs Node.js and npm.")
    return path


def _run_program(command: list[str], folder: Path, timeout_s: float) -> bytes:
    done = subprocess.run(  # noqa: S603 - programs that the user asked for
        command, cwd=folder, capture_output=True, check=False, timeout=timeout_s
    )
    if done.returncode:
        raise PeerUnavailable(
            f"{' '.join(command[:2])} failed: {done.stderr.decode(errors='replace')}"
        )
    return done.stdout
