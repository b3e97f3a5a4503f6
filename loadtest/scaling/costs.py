"""What a move, a delivery and a hop take of a processor, fitted to what was measured.

`measured.json` has runs of `python -m loadtest.bench --only fanout --only elsewhere --only idle
--json`, and the commit that they measured. The rooms of `fanout` are larger from run to run, with
as many connections and messages under way, so what a move takes is a line over the number of
people who receive it. The line is fitted to the smallest and the largest rooms; the others are kept
to test it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

import orjson

MEASURED: Final = Path(__file__).with_name("measured.json")
US: Final = 1e6
# What an event takes the database at half load, to full load: docs/operations/benchmarks.md.
DATABASE_SPARSE_FACTOR: Final = 3.0


@dataclass(frozen=True, slots=True)
class FanoutRun:
    """One run: rooms of so many people who each keep messages under way; shares are of a core."""

    recipients: int
    connections: int
    in_flight: int
    moves_per_s: float
    reply_p50_ms: float
    reply_p99_ms: float
    server: float
    database: float
    load: float
    server_core: float
    rest_core: float

    @property
    def server_us(self) -> float:
        """Processor time of the server for a move, with all that it causes."""
        return self.server / self.moves_per_s * US

    @property
    def database_us(self) -> float:
        """Processor time of PostgreSQL for an event."""
        return self.database / self.moves_per_s * US

    @property
    def load_us(self) -> float:
        """Processor time of the load tester for a move and its deliveries."""
        return self.load / self.moves_per_s * US


@dataclass(frozen=True, slots=True)
class HopRun:
    """Processor time for each delivery of games that are owned by one node; see `elsewhere`."""

    owner_us: float
    other_us: float
    redis_us: float

    @property
    def node_us(self) -> float:
        """What both nodes take."""
        return self.owner_us + self.other_us


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, of which commit, and on which machine."""

    commit: str
    machine: str
    began_at: str
    fanout: Sequence[FanoutRun]
    at_owner: HopRun
    followed_elsewhere: HopRun
    played_elsewhere: HopRun
    recipients_of_hops: int
    idle_connection_bytes: float
    idle_connection_us_per_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """A cost that grows with the number of recipients, in microseconds."""

    fixed_us: float
    each_us: float

    def at(self, recipients: float) -> float:
        """Give the cost of a move that so many receive."""
        return self.fixed_us + self.each_us * recipients


@dataclass(frozen=True, slots=True)
class Costs:
    """Processor time, in microseconds.

    `server` is of a move on the owner's node, `load` that of the tester. `hop_us` is for an event
    and each node that follows its game from elsewhere, `forward_us` for a move that is made
    elsewhere; both are of the two nodes together.

    Under full load, many events share a batch and a write to a socket. `sparse_factor` says how
    much more a move takes where none do; hops were measured like that.
    """

    server: Line
    load: Line
    database_event_us: float
    hop_us: float
    forward_us: float
    redis_notice_us: float
    redis_forward_us: float
    idle_us_per_s: float
    idle_bytes: float
    sparse_factor: float

    def sparse(self) -> "Costs":
        """Give the costs where moves come one by one, as on a node that is not full."""
        line, factor = self.server, self.sparse_factor
        return replace(
            self,
            server=Line(line.fixed_us * factor, line.each_us * factor),
            database_event_us=self.database_event_us * DATABASE_SPARSE_FACTOR,
        )


def read_measured(path: Path = MEASURED) -> Measured:
    """Read what was measured."""
    found = orjson.loads(path.read_bytes())
    hops = found["hops"]
    return Measured(
        commit=found["commit"],
        machine=found["machine"],
        began_at=found["began_at"],
        fanout=[FanoutRun(**run) for run in found["fanout"]],
        at_owner=HopRun(**hops["at_owner"]),
        followed_elsewhere=HopRun(**hops["followed_elsewhere"]),
        played_elsewhere=HopRun(**hops["played_elsewhere"]),
        recipients_of_hops=hops["recipients"],
        idle_connection_bytes=found["idle"]["bytes"],
        idle_connection_us_per_s=found["idle"]["us_per_s"],
    )


def median_by_size(
    runs: Sequence[FanoutRun], value: Callable[[FanoutRun], float]
) -> dict[int, float]:
    """Give the median of a value for each number of recipients."""
    sizes = sorted({run.recipients for run in runs})
    return {size: median(value(run) for run in runs if run.recipients == size) for size in sizes}


def fit_line(points: dict[int, float]) -> Line:
    """Put a line through the smallest and the largest size."""
    smallest, largest = min(points), max(points)
    each_us = (points[largest] - points[smallest]) / (largest - smallest)
    return Line(points[smallest] - each_us * smallest, each_us)


def fit(measured: Measured) -> Costs:
    """Find the costs.

    Of the three kinds of hops, the first is a move on the owner's node. What the second takes more
    is one message to one other node; what the third takes more than that is forwarding the move.
    """
    recipients = measured.recipients_of_hops
    near, far, away = measured.at_owner, measured.followed_elsewhere, measured.played_elsewhere
    server = fit_line(median_by_size(measured.fanout, lambda run: run.server_us))
    return Costs(
        server=server,
        load=fit_line(median_by_size(measured.fanout, lambda run: run.load_us)),
        database_event_us=fmean(
            median_by_size(measured.fanout, lambda run: run.database_us).values()
        ),
        hop_us=(far.node_us - near.node_us) * recipients,
        forward_us=(away.node_us - far.node_us) * recipients,
        redis_notice_us=far.redis_us * recipients,
        redis_forward_us=(away.redis_us - far.redis_us) * recipients,
        idle_us_per_s=measured.idle_connection_us_per_s,
        idle_bytes=measured.idle_connection_bytes,
        sparse_factor=near.owner_us * recipients / server.at(recipients),
    )


def store(benches: Sequence[dict[str, Any]], *, commit: str, window: int) -> dict[str, Any]:
    """Take what is needed out of files that the benchmark wrote."""
    runs = [run for bench in benches for run in bench["runs"]]
    fanout = []
    for run in runs:
        numbers, usage = run["numbers"], run["usage"]
        if not run["what"].startswith("relay,") or not run["ok"]:
            continue
        recipients = round(numbers["deliveries/s"] / numbers["moves/s"])
        rooms = int(run["what"].split()[1])
        fanout.append(
            {
                "recipients": recipients,
                "connections": rooms * recipients,
                "in_flight": rooms * recipients * window,
                "moves_per_s": numbers["moves/s"],
                "reply_p50_ms": numbers["reply p50 ms"],
                "reply_p99_ms": numbers["reply p99 ms"],
                **{
                    name: usage[name]
                    for name in ("server", "database", "load", "server_core", "rest_core")
                },
            }
        )
    (idle,) = (run for run in runs if "idle connections" in run["what"])
    connections = int(idle["what"].split()[0].replace(",", ""))
    return {
        "commit": commit,
        "began_at": min(bench["began_at"] for bench in benches),
        "machine": benches[0]["machine"],
        "fanout": fanout,
        "hops": {
            "recipients": 9,
            "at_owner": _hop(runs, "followers on the owner's node"),
            "followed_elsewhere": _hop(runs, "followers on another node"),
            "played_elsewhere": _hop(runs, "player and followers on another node"),
        },
        "idle": {
            "bytes": idle["numbers"]["bytes per connection"],
            "us_per_s": idle["usage"]["server"] / connections * US,
        },
    }


def _hop(runs: Sequence[dict[str, Any]], what: str) -> dict[str, float]:
    found = [run["numbers"] for run in runs if run["what"].startswith(f"{what}:") and run["ok"]]
    return {
        name: median(each[f"{part} µs"] for each in found)
        for name, part in (("owner_us", "owner"), ("other_us", "other"), ("redis_us", "Valkey"))
    }
