"""How long changes took to their watchers, put together from several processes of one machine.

All processes of a machine have the same monotonic clock, so one stamps the answer to an act,
which comes after its commit, and the others stamp what they receive.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from loadtest.epochs.stream_check import TICK_S, Arrivals
from loadtest.measure import Histogram, Measurements
from loadtest.processes import merge_measurements
from loadtest.report import QUANTILES


class CommandTiming(NamedTuple):
    """When an act was sent and when its answer came, in monotonic seconds."""

    sent_s: float
    heard_s: float


@dataclass(slots=True)
class EpochMeasurements(Measurements):
    """What one process of watchers, or of those who act, brings home; by version."""

    arrivals: Arrivals = field(default_factory=dict)
    stamps: dict[int, CommandTiming] = field(default_factory=dict)


_FROM_COMMIT: Final = "commit to watcher"
_TO_LAST: Final = "commit to last watcher"
_FROM_SENT: Final = "sending to watcher"


def merge_epoch_measurements(parts: Sequence[Measurements]) -> Measurements:
    """Add up what the processes measured, and take the latencies from what they have together."""
    watched = [part for part in parts if isinstance(part, EpochMeasurements)]
    stamps = {version: stamp for part in watched for version, stamp in part.stamps.items()}
    numbers = latency_quantiles(stamps, [part.arrivals for part in watched])
    whole = merge_measurements(parts)
    whole.numbers |= numbers | _cost(whole)
    return whole


def latency_quantiles(
    stamps: Mapping[int, CommandTiming], arrivals: Sequence[Arrivals]
) -> dict[str, float]:
    """Give the quantiles, in ms: of every arrival, and of the last one of each change."""
    every, last, whole = Histogram(), Histogram(), Histogram()
    for version, stamp in stamps.items():
        ticks = [tick for part in arrivals for tick in part.get(version, {}).items()]
        for tick, watchers in ticks:
            every.record(_since(stamp.heard_s, tick), times=watchers)
            whole.record(_since(stamp.sent_s, tick), times=watchers)
        if ticks:
            last.record(_since(stamp.heard_s, max(tick for tick, _ in ticks)))
    rows = ((_FROM_COMMIT, every), (_TO_LAST, last), (_FROM_SENT, whole))
    return {row: value for name, histogram in rows for row, value in _rows(name, histogram)}


def _since(began_s: float, tick: int) -> float:
    """Give the seconds until the end of a tick; 0 where the answer itself was slower."""
    return max(0.0, (tick + 1) * TICK_S - began_s)


def _rows(name: str, histogram: Histogram) -> Iterator[tuple[str, float]]:
    if histogram.count:
        for quantile, q in QUANTILES:
            yield f"{name} {quantile} ms", histogram.quantile_s(q) * 1000
        yield f"{name} max ms", histogram.max_s * 1000


def _cost(whole: Measurements) -> dict[str, float]:
    """Give the server's processor time for a delivery, where it says how long it had it."""
    deliveries = whole.window.counters.counts["deliveries"]
    if whole.server is None or not deliveries:
        return {}
    before, after = whole.server
    return {"server: µs for a delivery": (after.cpu_s - before.cpu_s) / deliveries * 1e6}
