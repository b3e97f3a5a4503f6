"""`make bench`: measure a server of its own, pinned to one core, and compare with the budgets.

    python -m loadtest.bench [--quick] [--targets] [--only matches …] [--peer colyseus|peerjs …]
                             [--peer el-dorado --el-dorado FOLDER] [--json FILE] [--update-docs]

Linux only. See docs/operations/benchmarks.md for what each figure means.
"""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from loadtest.benching import (
    elsewhere,
    flat,
    loads,
    memory,
    progression,
    recovery,
    rest,
    social,
    waits,
)
from loadtest.benching.figures import (
    BenchFigures,
    RunResult,
    format_json,
    format_markdown,
    print_run,
    print_table,
    replace_between_markers,
)
from loadtest.benching.loads import Colyseus, PeerUnavailable, install_peer_server
from loadtest.benching.machine import CoreAssignment, allow_files, assign_cores
from loadtest.benching.original import OriginalServer
from loadtest.benching.servers import BenchNode, BenchServer, ServerDidNotStart
from loadtest.processes import ScenarioFailed
from playhall.errors import ClientError

DOCS: Final = Path(__file__).parents[1] / "docs" / "operations" / "benchmarks.md"
RESUME_EVENTS: Final = 400
RECOVERY_EVENTS: Final = 200
HALF_LOAD_ROUNDS: Final = 4
STARTS: Final = 5
PAIRS: Final = 100
FANOUT_PLAYERS: Final = (2, 4, 8, 16)
FANOUT_CONNECTIONS: Final = 160

out = Console(highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class ComparedServer(StrEnum):
    """Another server to do the same work."""

    COLYSEUS = "colyseus"
    PEERJS = "peerjs"
    EL_DORADO = "el-dorado"


class Measurement(StrEnum):
    """What can be measured by itself."""

    MATCHES = "matches"
    STATEMENTS = "statements"
    LATENCY = "latency"
    RELAY = "relay"
    REALTIME = "realtime"
    RESUME = "resume"
    IDLE = "idle"
    RECOVERY = "recovery"
    START = "start"
    SIGNALING = "signaling"
    EPOCH = "epoch"
    PROGRESSION = "progression"
    SOCIAL = "social"
    REST = "rest"
    ELSEWHERE = "elsewhere"
    FANOUT = "fanout"
    NODES = "nodes"
    MEMORY = "memory"
    FLAT = "flat"


# What the targets for speed are about.
TARGETS: Final = (
    Measurement.MATCHES,
    Measurement.STATEMENTS,
    Measurement.LATENCY,
    Measurement.RELAY,
    Measurement.SIGNALING,
    Measurement.IDLE,
    Measurement.START,
    Measurement.EPOCH,
)


@dataclass(frozen=True, slots=True)
class BenchScale:
    """How much is done: enough to count, or just enough to see that it works."""

    seconds: float = 10.0
    original_seconds: float = 45.0  # beside the original server, one of whose games takes so long
    times: int = 3
    starts: int = STARTS
    rooms: tuple[int, ...] = (50, 500)
    arenas: int = 40
    connections: int = 5000
    resumes: int = 50
    games: int = 1000
    counted_games: int = 40
    watchers: int = 10_000
    epoch_seconds: float = 20.0
    writes: int = 16_000
    batches: int = 400
    manifests: int = 24_000
    people: int = 50_000
    creations: int = 1_000_000
    feed_pages: int = 6_000
    searches: int = 500
    likes: int = 4_000
    inbox: int = 100_000
    rest_requests: int = 24_000
    memory_steps: int = 8
    memory_each: float = 1.0  # of what a step adds
    flat_minutes: float = 10.0


QUICK: Final = BenchScale(
    seconds=2.0,
    original_seconds=5.0,
    times=1,
    starts=2,
    arenas=4,
    connections=500,
    resumes=10,
    games=200,
    counted_games=8,
    watchers=500,
    epoch_seconds=3.0,
    writes=400,
    batches=16,
    manifests=400,
    people=500,
    creations=5_000,
    feed_pages=400,
    searches=100,
    likes=200,
    inbox=2_000,
    rest_requests=400,
    memory_steps=4,
    memory_each=0.1,
    flat_minutes=0.5,
)


class BenchRun:
    """All measurements, on nodes in one temporary folder."""

    def __init__(
        self,
        folder: Path,
        *,
        on: CoreAssignment,
        scale: BenchScale,
        peers: Sequence[ComparedServer],
        original: Path | None,
        seeded: Path | None,
    ) -> None:
        self.figures = BenchFigures(
            games=scale.games,
            watchers=scale.watchers,
            creations=scale.creations,
            inbox=scale.inbox,
            arenas=scale.arenas,
        )
        self._folder = folder
        self._on = on
        self._scale = scale
        self._peers = peers
        self._original = original
        self._seeded = seeded

    def run(self, parts: list[Measurement]) -> None:
        """Measure; what cannot be measured is said, and the rest goes on."""
        for part in parts:
            try:
                self._measure(part)
            except (ClientError, ScenarioFailed, ServerDidNotStart, PeerUnavailable) as error:
                out.print(f"[red]{part}: not measured:[/red] {escape(str(error))}", soft_wrap=True)

    def _measure(self, part: Measurement) -> None:
        if part is Measurement.ELSEWHERE:
            self._elsewhere()
            return
        if part is Measurement.NODES:
            self._nodes()
            return
        if part is Measurement.MEMORY:
            self._memory()
            return
        measures: dict[Measurement, Callable[[BenchNode], None]] = {
            Measurement.MATCHES: self._matches,
            Measurement.STATEMENTS: self._statements,
            Measurement.LATENCY: self._latency,
            Measurement.RELAY: self._relay,
            Measurement.REALTIME: self._realtime,
            Measurement.RESUME: self._resume,
            Measurement.IDLE: self._idle,
            Measurement.RECOVERY: self._recovery,
            Measurement.START: self._start,
            Measurement.SIGNALING: self._signaling,
            Measurement.EPOCH: self._epoch,
            Measurement.PROGRESSION: self._progression,
            Measurement.SOCIAL: self._social,
            Measurement.REST: self._rest,
            Measurement.FANOUT: self._fanout,
            Measurement.FLAT: self._flat,
        }
        with self._node(part) as node:
            measures[part](node)

    def _elsewhere(self) -> None:
        """Follow games at their owner's node and at another one, in turns, and play there."""
        folder = self._folder / "elsewhere"
        with elsewhere.several_nodes(folder, on=self._on, count=2, spread_games=False) as nodes:
            owner, other = nodes.urls
            for _ in range(self._scale.times):
                for players, watchers in ((owner, owner), (owner, other), (other, other)):
                    places = elsewhere.Places(owner, players, watchers)
                    work = elsewhere.follow(places, nodes.pids, seconds=self._scale.seconds)
                    self._record(recovery.run_in_new_loop(work))

    def _nodes(self) -> None:
        """Spread connections and games over three nodes."""
        folder = self._folder / "nodes"
        with elsewhere.several_nodes(folder, on=self._on, count=3, spread_games=True) as nodes:
            for _ in range(self._scale.times):
                for urls in (nodes.urls, nodes.urls[:1]):
                    work = elsewhere.spread(nodes, starting_at=urls, seconds=self._scale.seconds)
                    self._record(recovery.run_in_new_loop(work))

    def _flat(self, node: BenchNode) -> None:
        """Play for minutes, and see whether the memory grows."""
        found = flat.measure_flat(node, self._on, minutes=self._scale.flat_minutes)
        values = {"flat": found.server.value, "flat database": found.database.value}
        self._record(found.run, **values)

    def _memory(self) -> None:
        """Grow the number of each kind of thing, on a server of its own."""
        for name, kind in memory.KINDS.items():
            with self._node(f"memory of a {name}") as node:
                steps, each = self._scale.memory_steps, int(kind.each * self._scale.memory_each)
                run = memory.measure_growth(node, name, steps=steps, each=each)
                self._record(run, **{f"memory {name}": run.numbers["bytes each"] / 1000})

    @contextmanager
    def _node(self, name: str) -> Iterator[BenchNode]:
        """Start a node with an empty database for a block: nothing is left of an earlier part."""
        kept = self._seeded if name == Measurement.SOCIAL else None
        env = waits.SETTINGS if name == Measurement.LATENCY else {}
        node = BenchNode(self._folder / name if kept is None else kept, on=self._on, env=env)
        try:
            node.start()
            yield node
            if kept is not None:
                node.stop()
        finally:
            node.destroy()

    def _record(self, run: RunResult, **values: float) -> None:
        print_run(run, out)
        self.figures.record(run, {_KEYS.get(name, name): value for name, value in values.items()})

    # ------------------------------------------------------------------ the parts

    def _matches(self, node: BenchNode) -> None:
        """Play in turns with the original server; a game has as many moves on both."""
        pairs: list[tuple[RunResult, RunResult]] = []
        with self._original_server() as peer:
            seconds = self._scale.seconds if peer is None else self._scale.original_seconds
            for _ in range(self._scale.times):
                ours = loads.run_matches(node, self._on, seconds=seconds)
                moves, games = ours.numbers["moves/s"], ours.numbers.get("games/s", 0.0)
                costs = _costs(ours, "move", "moves/s")
                self._record(ours, moves=moves, games=games, **costs)
                if peer is not None:
                    theirs = peer.run_matches(seconds=seconds)
                    self._record_original(theirs)
                    pairs.append((ours, theirs))
        if pairs:
            self.figures.compare("original", pairs, lambda run: run.numbers["moves/s"])

    def _record_original(self, run: RunResult) -> None:
        moves, games = run.numbers["moves/s"], run.numbers.get("games/s", 0.0)
        values = {"original moves": moves, "original games": games}
        self._record(run, **values, **_costs(run, "original", "moves/s"))

    @contextmanager
    def _original_server(self) -> Iterator[OriginalServer | None]:
        if ComparedServer.EL_DORADO not in self._peers:
            yield None
            return
        peer = OriginalServer(self._original, self._folder / "original", on=self._on)
        try:
            yield peer
        finally:
            peer.destroy()

    def _statements(self, node: BenchNode) -> None:
        run = loads.count_statements(node, self._on, games=self._scale.counted_games)
        numbers = (run.numbers[f"{name} per game"] for name in ("statements", "transactions"))
        self._record(run, **dict(zip(("statements", "transactions"), numbers, strict=True)))

    def _latency(self, node: BenchNode) -> None:
        """Let everybody think for so long that about half of the moves are made."""
        full = self.figures.by_key["moves/s"].values or [
            loads.run_matches(node, self._on, seconds=self._scale.seconds).numbers["moves/s"]
        ]
        think_s = 2 * loads.ROOMS * 2 / median(full)
        half_load = partial(
            loads.run_matches,
            node,
            self._on,
            seconds=self._scale.seconds,
            think_s=think_s,
            rounds=HALF_LOAD_ROUNDS,
        )
        waits.prepare(node)
        for _ in range(self._scale.times):
            run = waits.measure(node, half_load, out)
            names = {"p50": "p50", "p99": "p99", "worst": "max"}
            self._record(run, **{key: run.numbers[f"reply {of} ms"] for key, of in names.items()})

    def _relay(self, node: BenchNode) -> None:
        with self._colyseus() as peer:
            for rooms in self._scale.rooms:
                self._relay_in(rooms, node, peer)

    def _fanout(self, node: BenchNode) -> None:
        """Relay among ever more players of a room, and as many altogether: see loadtest.scaling."""
        for _ in range(self._scale.times):
            for players in FANOUT_PLAYERS:
                rooms = FANOUT_CONNECTIONS // players
                run = loads.run_relay(
                    node, self._on, rooms=rooms, seconds=self._scale.seconds, players=players
                )
                self._record(run)

    def _relay_in(self, rooms: int, node: BenchNode, peer: Colyseus | None) -> None:
        """Relay in turns with the peer, so that both have the same machine."""
        pairs: list[tuple[RunResult, RunResult]] = []
        for _ in range(self._scale.times):
            ours = loads.run_relay(node, self._on, rooms=rooms, seconds=self._scale.seconds)
            self._record_relay(f"relay {rooms}", ours)
            if peer is not None:
                theirs = peer.relay(rooms=rooms, seconds=self._scale.seconds)
                self._record_relay(f"colyseus {rooms}", theirs)
                pairs.append((ours, theirs))
        if pairs:
            self.figures.compare(f"ratio {rooms}", pairs)
            self.figures.compare(f"µs/ratio {rooms}", pairs, _server_us)
            self.figures.compare(f"µs/whole ratio {rooms}", pairs, _server_and_database_us)

    def _realtime(self, node: BenchNode) -> None:
        """Play the arena in turns with the peer."""
        rooms, seconds = self._scale.arenas, self._scale.seconds
        with self._colyseus() as peer:
            for _ in range(self._scale.times):
                ours = loads.run_realtime(node, self._on, rooms=rooms, seconds=seconds)
                self._record_arena("arena", ours)
                if peer is not None:
                    theirs = peer.play_arena(rooms=rooms, seconds=seconds)
                    self._record_arena("colyseus arena", theirs)

    def _record_arena(self, key: str, run: RunResult) -> None:
        assert run.usage is not None
        values = {key: run.usage.server / self._scale.arenas * 1000}
        for name in ("p50", "p99"):
            values[f"{key} {name}"] = run.numbers[f"reply {name} ms"]
        self._record(run, **values)

    def _record_relay(self, key: str, run: RunResult) -> None:
        self._record(run, **{key: run.numbers["deliveries/s"]}, **_costs(run, key, "deliveries/s"))

    def _say_without(self, peer: ComparedServer, error: PeerUnavailable) -> None:
        """Say why a peer has no figures; ours are measured all the same."""
        out.print(f"[red]{peer}: not compared:[/red] {escape(str(error))}", soft_wrap=True)

    @contextmanager
    def _colyseus(self) -> Iterator[Colyseus | None]:
        if ComparedServer.COLYSEUS not in self._peers:
            yield None
            return
        try:
            peer = Colyseus(self._folder / "colyseus", on=self._on)
        except PeerUnavailable as error:
            self._say_without(ComparedServer.COLYSEUS, error)
            yield None
            return
        try:
            yield peer
        finally:
            peer.destroy()

    def _signaling(self, node: BenchNode) -> None:
        """Pass messages on in turns with the PeerJS server, under the same load."""
        pairs: list[tuple[RunResult, RunResult]] = []
        with self._peerjs() as peer:
            for _ in range(self._scale.times):
                ours = self._signal("signaling", node, "signaling")
                if peer is not None:
                    pairs.append((ours, self._signal("peerjs", peer, "PeerJS server")))
        if pairs:
            self.figures.compare("signaling", pairs)
            self.figures.compare("µs/signaling", pairs, _server_us)

    def _signal(self, key: str, server: BenchServer, name: str) -> RunResult:
        run = loads.run_signaling(
            server, self._on, pairs=PAIRS, seconds=self._scale.seconds, name=name
        )
        self._record_relay(f"{key} {PAIRS}", run)
        return run

    @contextmanager
    def _peerjs(self) -> Iterator[BenchServer | None]:
        if ComparedServer.PEERJS not in self._peers:
            yield None
            return
        try:
            server = install_peer_server("peerjs", self._folder / "peerjs", on=self._on)
        except PeerUnavailable as error:
            self._say_without(ComparedServer.PEERJS, error)
            yield None
            return
        server.start()
        try:
            yield server
        finally:
            server.stop_with_signal(signal.SIGKILL)

    def _resume(self, node: BenchNode) -> None:
        times = self._scale.resumes
        run = recovery.run_in_new_loop(
            recovery.measure_resume(node.url, events=RESUME_EVENTS, times=times)
        )
        self._record(run, resume=run.numbers["resume ms"])

    def _idle(self, node: BenchNode) -> None:
        run = loads.hold_idle(node, self._on, connections=self._scale.connections)
        self._record(run, idle=run.numbers["bytes per connection"] / 1000)

    def _recovery(self, node: BenchNode) -> None:
        games = self._scale.games
        run = recovery.run_in_new_loop(
            recovery.measure_recovery(node, games=games, events=RECOVERY_EVENTS)
        )
        self._record(run, recovery=run.numbers["recovery s"])

    def _start(self, node: BenchNode) -> None:
        for _ in range(self._scale.starts):
            run = recovery.measure_restart(node)
            self._record(run, ready=run.numbers["ready s"], first=run.numbers["first game s"])

    def _epoch(self, node: BenchNode) -> None:
        for _ in range(self._scale.times):
            run = loads.watch_epoch(
                node, self._on, watchers=self._scale.watchers, seconds=self._scale.epoch_seconds
            )
            cost_us = _us_per(run, "deliveries/s")
            values = {key: run.numbers[name] for key, name in _EPOCH.items()}
            self._record(run, **values, **{"µs/epoch": cost_us})

    def _progression(self, node: BenchNode) -> None:
        """Work over HTTP and past the server in turns, so that both have the same machine."""
        scale, on = self._scale, self._on
        for _ in range(scale.times):
            run = progression.write(node, on, writes=scale.writes)
            self._record_rate(run, "save writes", "save writes/s")
            alone = progression.write_directly(node, on, seconds=scale.seconds)
            self._record(alone, **{"direct save writes": alone.numbers["save writes/s"]})
            run = progression.report(node, on, batches=scale.batches)
            self._record_rate(run, "telemetry", "telemetry events/s")
            alone = progression.report_directly(node, on, batches=scale.batches)
            self._record(alone, **{"direct telemetry": alone.numbers["telemetry events/s"]})
            run = progression.ask(node, on, manifests=scale.manifests)
            self._record_rate(run, "manifests", "manifests/s")
            run = progression.merge(node, on)
            names = ("merge", "merged write", "plain write")
            self._record(run, **{name: run.numbers[f"{name} ms"] for name in names})

    def _social(self, node: BenchNode) -> None:
        """Do each of it in turns with the same past the server, or as the specification has it."""
        scale, on = self._scale, self._on
        bench = social.SocialBench(node, on, people=scale.people, creations=scale.creations)
        out.print(f"seeded in {bench.seed():.0f} s", soft_wrap=True)
        bench.gather(likes=scale.likes, inbox=scale.inbox)
        for _ in range(scale.times):
            self._record_feed(bench.read_feed(pages=scale.feed_pages))
            run = bench.read_feed(pages=scale.feed_pages // 3, deep=True)
            self._record(run, **{"deep feed": run.numbers["feed pages/s"]})
            for key, offset in (("specified feed", 0), ("deep specified feed", 1000)):
                run = bench.read_specified_feed(offset=offset, seconds=scale.seconds / 2)
                self._record(run, **{key: run.numbers["feed pages/s"]})
            run = bench.read_public_feed(pages=scale.feed_pages)
            self._record_rate(run, "public feed", "public feed pages/s")
            for key in ("rare", "common", "deep"):
                run = bench.search(key, searches=scale.searches)
                self._record(run, **{f"{key} search": run.numbers["reply p99 ms"]})
            run = bench.search_as_specified()
            self._record(run, **{"specified search": run.numbers["reply p50 ms"]})
            run = bench.like(likes=scale.likes)
            self._record_rate(run, "likes", "likes/s")
            run = bench.like_directly(seconds=scale.seconds / 2)
            self._record(run, **{"direct likes": run.numbers["likes/s"]})
            run = bench.read_inbox(pages=scale.searches)
            cost_us = _us_per(run, "inbox pages/s")
            self._record(run, **{"inbox": run.numbers["reply p99 ms"], "µs/inbox": cost_us})

    def _rest(self, node: BenchNode) -> None:
        """Read and insert as the Supabase client does, in turns with the same by SQL alone."""
        for _ in range(self._scale.times):
            bench = rest.RestBench(node, self._on)
            run = bench.read_single(requests=self._scale.rest_requests)
            self._record_rate(run, "single reads", "single reads/s")
            alone = bench.read_directly(seconds=self._scale.seconds / 2)
            self._record(alone, **{"direct single reads": alone.numbers["single reads/s"]})
            run = bench.read_embedded(requests=self._scale.rest_requests)
            self._record_rate(run, "embedded reads", "embedded reads/s")
            run = bench.insert(requests=self._scale.rest_requests // 2)
            self._record_rate(run, "rest inserts", "rest inserts/s")
            alone = bench.insert_directly(seconds=self._scale.seconds / 2)
            self._record(alone, **{"direct rest inserts": alone.numbers["rest inserts/s"]})

    def _record_feed(self, run: RunResult) -> None:
        assert run.usage is not None
        pages = run.numbers["feed pages/s"]
        self._record(
            run,
            **{
                "feed": pages,
                "feed p99": run.numbers["reply p99 ms"],
                "µs/feed": _us_per(run, "feed pages/s"),
                "database µs/feed": run.usage.database / pages * 1e6,
            },
        )

    def _record_rate(self, run: RunResult, key: str, rate: str) -> None:
        self._record(run, **{key: run.numbers[rate], f"µs/{key}": _us_per(run, rate)})


_EPOCH: Final = {
    "epoch": "commit to watcher p99 ms",
    "epoch p50": "commit to watcher p50 ms",
    "epoch last": "commit to last watcher p99 ms",
    "epoch sent": "sending to watcher p99 ms",
    "epoch/s": "deliveries/s",
}
_KEYS: Final = {
    "moves": "moves/s",
    "games": "games/s",
    "first": "first game",
}


def _us_per(run: RunResult, rate: str) -> float:
    """Give the server's processor time for one of what it did, in microseconds."""
    assert run.usage is not None
    return run.usage.server / run.numbers[rate] * 1e6


def _all_peers(original: Path | None) -> list[ComparedServer]:
    """Give those that can be had: the original El Dorado server only from a folder."""
    return [each for each in ComparedServer if original or each is not ComparedServer.EL_DORADO]


def _server_us(run: RunResult) -> float:
    """Give the server's processor time for a delivery, in microseconds."""
    return _us_per(run, "deliveries/s")


def _server_and_database_us(run: RunResult) -> float:
    """Give the same with the database's; a peer has none."""
    assert run.usage is not None
    return (run.usage.server + run.usage.database) / run.numbers["deliveries/s"] * 1e6


def _costs(run: RunResult, key: str, rate: str) -> dict[str, float]:
    """Give what one of it cost the server, its database if it has one, and the load."""
    assert run.usage is not None
    costs_us = {f"µs/{key}": _us_per(run, rate)}
    if run.usage.database:
        costs_us[f"µs/{key} database"] = run.usage.database / run.numbers[rate] * 1e6
    costs_us[f"µs/{key} load"] = run.usage.load / run.numbers[rate] * 1e6
    return costs_us


# ---------------------------------------------------------------------- the command


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Only see that it works.")] = False,
    only: Annotated[
        list[Measurement] | None, typer.Option(help="Measure no more than this.")
    ] = None,
    peer: Annotated[
        list[ComparedServer] | None, typer.Option(help="Compare with these (Node.js, npm).")
    ] = None,
    el_dorado: Annotated[
        Path | None,
        typer.Option(
            envvar="PLAYHALL_EL_DORADO", help="Folder of the original El Dorado server, built."
        ),
    ] = None,
    targets: Annotated[
        bool, typer.Option("--targets", help="Measure what the targets are about, beside peers.")
    ] = False,
    seeded: Annotated[
        Path | None,
        typer.Option(help="Keep the social platform's database in this folder, to use it again."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.5, help="How long `flat` plays; 10 if not given.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all as JSON.")] = None,
    update_docs: Annotated[
        bool, typer.Option("--update-docs", help=f"Write the table into {DOCS.name}.")
    ] = False,
) -> None:
    """Measure a server of its own, and compare with the budgets; exit with 1 if checks failed.

    Ctrl+C ends it early: what was not measured by then is shown as that.
    """
    began_at = datetime.now(UTC).isoformat(timespec="seconds")
    scale = QUICK if quick else BenchScale()
    on = assign_cores()
    os.sched_setaffinity(0, on.rest)
    allow_files()
    # Not `TemporaryDirectory`'s own folder: PostgreSQL, which is not root, must pass through it.
    with tempfile.TemporaryDirectory(prefix="playhall-bench-") as folder:
        Path(folder).chmod(0o755)
        measured = BenchRun(
            Path(folder),
            on=on,
            scale=scale if minutes is None else replace(scale, flat_minutes=minutes),
            peers=_all_peers(el_dorado) if targets else peer or [],
            original=el_dorado,
            seeded=seeded,
        )
        with suppress(KeyboardInterrupt):  # what was measured until then is shown
            measured.run(only or (list(TARGETS) if targets else list(Measurement)))
    figures = measured.figures
    print_table(figures, out)
    if json_file is not None:
        found = format_json(figures, began_at=began_at)
        json_file.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    if update_docs:
        table = format_markdown(figures, began_at=began_at)
        DOCS.write_text(replace_between_markers(DOCS.read_text("utf-8"), table), "utf-8")
    if not all(run.ok for run in figures.runs):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
