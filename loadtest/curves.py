"""`python -m loadtest.curves`: what a server costs as one thing grows, as tables and plots.

    python -m loadtest.curves [--quick] [--only rooms,memory …] [--update-docs]

Each point has a server of its own, pinned to one core, as in `loadtest.bench`. Linux only. See
docs/operations/scale.md for what each curve means.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import psycopg
import typer
from rich.console import Console
from rich.markup import escape

from loadtest.benching import elsewhere, loads, memory, recovery
from loadtest.benching.figures import (
    RunResult,
    describe_machine,
    print_run,
    replace_between_markers,
)
from loadtest.benching.machine import CoreAssignment, allow_files, assign_cores
from loadtest.benching.servers import BenchNode, ServerDidNotStart
from loadtest.measure import process_rss_bytes
from loadtest.plots import Axis, bar_plot, standalone_svg
from loadtest.processes import ScenarioFailed
from loadtest.report import format_number
from playhall.errors import ClientError

DOCS: Final = Path(__file__).parents[1] / "docs"
GROW: Final = Path(__file__).with_name("benching").joinpath("grow_log.sql").read_text("utf-8")
COPIES_AT_ONCE: Final = 200
RESUMES: Final = 20
RESUMED_EVENTS: Final = 400
MEMORY_STEPS: Final = 5
MIB: Final = 1 << 20

out = Console(highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Row = dict[str, float]


@dataclass(slots=True)
class Point:
    """One size, and what was measured with it."""

    size: int
    row: Row
    ok: bool = True
    disturbed: bool = False


@dataclass(slots=True)
class Bench:
    """Where and for how long to measure."""

    folder: Path
    on: CoreAssignment
    seconds: float
    points: list[Point] = field(default_factory=list)

    @contextmanager
    def node(self, size: int) -> Iterator[BenchNode]:
        """Start a server with an empty database for a block."""
        node = BenchNode(self.folder / str(size), on=self.on)
        try:
            node.start()
            yield node
        finally:
            node.destroy()

    def note(self, size: int, run: RunResult, row: Row) -> None:
        """Keep a point."""
        print_run(run, out)
        self.points.append(Point(size, row, run.ok, run.disturbed))


def _relay_row(run: RunResult, node: BenchNode) -> Row:
    assert run.usage is not None
    deliveries = run.numbers["deliveries/s"]
    return {
        "server µs for a delivery": run.usage.server / deliveries * 1e6,
        "database µs for a delivery": run.usage.database / deliveries * 1e6,
        "deliveries/s": deliveries,
        "server MiB": process_rss_bytes(node.pid) / MIB,
    }


def _relay(bench: Bench, size: int, *, rooms: int, players: int, payload_bytes: int) -> None:
    with bench.node(size) as node:
        run = loads.run_relay(
            node,
            bench.on,
            rooms=rooms,
            seconds=bench.seconds,
            players=players,
            payload_bytes=payload_bytes,
        )
        bench.note(size, run, _relay_row(run, node))


def _rooms(bench: Bench, rooms: int) -> None:
    _relay(bench, rooms, rooms=rooms, players=2, payload_bytes=loads.PAYLOAD_BYTES)


def _players(bench: Bench, players: int) -> None:
    """Spread 128 players over rooms of a size."""
    _relay(bench, players, rooms=128 // players, players=players, payload_bytes=loads.PAYLOAD_BYTES)


def _payload(bench: Bench, payload_bytes: int) -> None:
    _relay(bench, payload_bytes, rooms=25, players=4, payload_bytes=payload_bytes)


def _watchers(bench: Bench, watchers: int) -> None:
    with bench.node(watchers) as node:
        run = loads.watch_epoch(node, bench.on, watchers=watchers, seconds=bench.seconds)
        assert run.usage is not None
        deliveries = run.numbers["deliveries/s"]
        row = {
            "server µs for a delivery": run.usage.server / deliveries * 1e6,
            "ms from commit to watcher, p99": run.numbers["commit to watcher p99 ms"],
            "deliveries/s": deliveries,
            "server MiB": process_rss_bytes(node.pid) / MIB,
        }
        bench.note(watchers, run, row)


def _connections(bench: Bench, connections: int) -> None:
    with bench.node(connections) as node:
        run = loads.hold_idle(node, bench.on, connections=connections)
        assert run.usage is not None
        row = {
            "KB for a connection": run.numbers["bytes per connection"] / 1000,
            "server µs for a connection and second": run.usage.server / connections * 1e6,
        }
        bench.note(connections, run, row)


def _nodes(bench: Bench, connections: int) -> None:
    """Spread connections over two nodes that Valkey joins."""
    folder = bench.folder / f"nodes-{connections}"
    with elsewhere.several_nodes(folder, on=bench.on, count=2, spread_games=False) as nodes:
        run = loads.hold_idle_on_nodes(nodes, connections=connections)
        row = {
            "KB for a connection": run.numbers["bytes per connection"] / 1000,
            "nodes' µs to sign in, connect and hold it": run.numbers["nodes µs"],
            "Valkey's µs": run.numbers["Valkey µs"],
        }
        bench.note(connections, run, row)


def _memory_of(kind: str) -> Callable[[Bench, int], None]:
    def measure(bench: Bench, size: int) -> None:
        with bench.node(size) as node:
            run = memory.measure_growth(node, kind, steps=MEMORY_STEPS, each=size // MEMORY_STEPS)
            row = {"KB each": run.numbers["bytes each"] / 1000, "±": run.numbers["± bytes"] / 1000}
            bench.note(size, run, row)

    return measure


def _log(bench: Bench, events: int) -> None:
    """Append and resume while the log has so many events of finished games besides."""
    with bench.node(events) as node:
        loads.run_relay(node, bench.on, rooms=10, seconds=bench.seconds / 4)
        _grow_log(node, events)
        run = loads.run_relay(node, bench.on, rooms=50, seconds=bench.seconds)
        row = _relay_row(run, node)
        resumed = recovery.run_in_new_loop(
            recovery.measure_resume(node.url, events=RESUMED_EVENTS, times=RESUMES)
        )
        del row["server MiB"]
        bench.note(events, run, row | {"ms to resume 400 events": resumed.numbers["resume ms"]})


def _grow_log(node: BenchNode, events: int) -> None:
    """Copy a finished game until the log has so many events."""
    with psycopg.connect(node.dsn("postgres"), autocommit=True) as database:
        there = 0
        while there < events:
            # At least one; a game of the relay has some thousands of events.
            copies = max(1, min(COPIES_AT_ONCE, (events - there) // 10_000))
            there += database.execute(GROW.encode(), {"copies": copies}).rowcount
        database.execute(b"VACUUM ANALYZE game_events")
        database.execute(b"CHECKPOINT")


def _minutes(bench: Bench, minutes: int) -> None:
    """Play matches for so many minutes, and note the memory after each."""
    with bench.node(minutes) as node:
        for minute in range(1, minutes + 1):
            run = loads.run_matches(node, bench.on, seconds=min(60.0, 6 * bench.seconds))
            bench.note(minute, run, {"server MiB": process_rss_bytes(node.pid) / MIB})


@dataclass(frozen=True, slots=True)
class Curve:
    """What grows, in which steps, and how a step is measured; the row's first column is plotted."""

    across: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    measure: Callable[[Bench, int], None]


CURVES: Final = {
    "rooms": Curve("rooms of 2", (50, 100, 200, 500, 1000, 2000, 5000), (2, 4), _rooms),
    "players": Curve("players in a room", (2, 4, 8, 16, 32, 64), (2, 64), _players),
    "payload": Curve("bytes of a message", (64, 256, 1024, 4096, 16_384), (64, 16_384), _payload),
    "watchers": Curve("watchers", (100, 1000, 5000, 10_000, 15_000), (50, 100), _watchers),
    "connections": Curve("idle connections", (1000, 5000, 10_000, 15_000), (50, 100), _connections),
    "log": Curve(
        "events in the log", (10_000, 100_000, 1_000_000, 10_000_000), (1000, 10_000), _log
    ),
    "minutes": Curve("minutes of matches", (10,), (2,), _minutes),
    "nodes": Curve("idle connections", (1000, 5000, 10_000, 20_000), (50, 100), _nodes),
    "lobbies": Curve("lobbies", (500, 1000, 2000), (50, 100), _memory_of("lobby")),
    "games": Curve("games of El Dorado", (200, 500, 1000), (25, 50), _memory_of("El Dorado game")),
    "game-watchers": Curve(
        "watchers of games", (500, 1000, 2000), (50, 100), _memory_of("watcher")
    ),
}
# Names that stand for several.
GROUPS: Final = {"memory": ("lobbies", "games", "game-watchers")}


def format_curve(name: str, curve: Curve, points: Sequence[Point]) -> str:
    """Write a curve's plot and table as the documentation has them."""
    columns = list(points[0].row)
    head = [curve.across, *columns, ""]
    lines = [head, ["---:"] * (len(head) - 1) + ["---"]]
    for point in points:
        values = [format_number(point.row[column]) for column in columns]
        lines.append([f"{point.size:,}", *values, _remark(point)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"![{columns[0]} by {curve.across}](../images/curve-{name}.svg)\n\n{table}"


def _remark(point: Point) -> str:
    said = [*([] if point.ok else ["failed its checks"]), *(["disturbed"] * point.disturbed)]
    return ", ".join(said)


def plot_curve(curve: Curve, points: Sequence[Point]) -> str:
    """Draw the first column."""
    column = next(iter(points[0].row))
    bars = [(f"{point.size:,}", point.row[column]) for point in points]
    return standalone_svg(bar_plot(bars, Axis(curve.across, column)))


@app.command()
def curves(
    quick: Annotated[bool, typer.Option("--quick", help="Only see that it works.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Measure no more than these: names with commas, or the option again."),
    ] = None,
    update_docs: Annotated[
        bool, typer.Option("--update-docs", help="Write plots and tables into docs.")
    ] = False,
) -> None:
    """Measure curves; exit with 1 if checks failed."""
    names = _chosen(only) if only else list(CURVES)
    on = assign_cores()
    os.sched_setaffinity(0, on.rest)
    allow_files()
    failed = False
    for name in names:
        points = _measure(CURVES[name], on, quick=quick)
        failed = failed or not points or not all(point.ok for point in points)
        if points and update_docs:
            _write(name, CURVES[name], points)
    if failed:
        raise typer.Exit(1)


def _chosen(only: Sequence[str]) -> list[str]:
    """List the curves that are asked for, each once, in the order of the page."""
    asked = [name.strip() for names in only for name in names.split(",")]
    for name in asked:
        if name not in CURVES and name not in GROUPS:
            known = ", ".join((*CURVES, *GROUPS))
            raise typer.BadParameter(f"{name} is none of {known}.", param_hint="--only")
    wanted = {each for name in asked for each in GROUPS.get(name, (name,))}
    return [name for name in CURVES if name in wanted]


def _measure(curve: Curve, on: CoreAssignment, *, quick: bool) -> list[Point]:
    # Not `TemporaryDirectory`'s own folder: PostgreSQL, which is not root, must pass through it.
    with tempfile.TemporaryDirectory(prefix="playhall-curves-") as folder:
        Path(folder).chmod(0o755)
        bench = Bench(Path(folder), on, 2.0 if quick else 10.0)
        for size in curve.quick if quick else curve.sizes:
            try:
                curve.measure(bench, size)
            except (ClientError, ScenarioFailed, ServerDidNotStart) as error:
                said = f"[red]{size:,} {curve.across}: not measured:[/red] {escape(str(error))}"
                out.print(said, soft_wrap=True)
        return bench.points


def _write(name: str, curve: Curve, points: Sequence[Point]) -> None:
    page = DOCS / "operations" / "scale.md"
    began = datetime.now(UTC).isoformat(timespec="minutes")
    text = f"{began}, {describe_machine()}.\n\n{format_curve(name, curve, points)}"
    markers = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page.write_text(replace_between_markers(page.read_text("utf-8"), text, *markers), "utf-8")
    (DOCS / "images" / f"curve-{name}.svg").write_text(plot_curve(curve, points), "utf-8")


if __name__ == "__main__":
    app()
