"""What is measured, as Prometheus reads it.

Whoever does the work counts it in plain numbers of its own; nothing here runs until
somebody scrapes, and then the numbers are read through the functions in `Readings`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from persistence.eventlog.metrics import LATENCY_BOUNDS_S, LogMetrics
from server.gateway.error_counts import Transport

Count = Callable[[], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Where each number is read, since the start.

    `refusals` counts by transport and code, `ruleset_failures` by ruleset and method.
    """

    connections: Count
    sessions: Count
    games: Count
    lobbies: Count
    log_queue: Count
    tasks: Count
    task_failures: Count
    bytes_out: Count
    peers: Count
    peer_messages: Count
    peer_refusals: Count
    peer_queued_bytes: Count
    mails_carried: Count
    mails_lost: Count
    games_quarantined: Count
    refusals: Callable[[], Mapping[tuple[Transport, str], int]]
    ruleset_failures: Callable[[], Mapping[tuple[str, str], int]]
    log: LogMetrics


class ServerCollector(Collector):
    """Turns the readings into metrics at the moment of a scrape."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        yield from self._gauges()
        yield from self._counters()
        yield _refusals(self._readings.refusals())
        yield _ruleset_failures(self._readings.ruleset_failures())
        yield _commit_latency(self._readings.log)

    def _gauges(self) -> Iterator[Metric]:
        now = self._readings
        for name, meaning, read in (
            ("connections", "Open TCP connections.", now.connections),
            ("sessions", "Open websockets.", now.sessions),
            ("games", "Games in memory.", now.games),
            ("lobbies", "Lobbies in memory.", now.lobbies),
            ("log_queue_events", "Events waiting to be committed.", now.log_queue),
            ("tasks", "Running tasks.", now.tasks),
            ("peers", "Connected signaling peers.", now.peers),
            ("peer_queued_bytes", "Bytes queued for absent peers.", now.peer_queued_bytes),
        ):
            yield GaugeMetricFamily(f"playhall_{name}", meaning, value=read())

    def _counters(self) -> Iterator[Metric]:
        now = self._readings
        for name, meaning, total in (
            ("events_committed", "Events committed.", now.log.events),
            ("log_batches", "Batches committed.", now.log.batches),
            ("log_retries", "Batches that were retried.", now.log.retries),
            ("games_completed", "Games completed.", now.log.completions),
            ("games_quarantined", "Games that were quarantined.", now.games_quarantined()),
            ("task_failures", "Tasks that failed.", now.task_failures()),
            ("bytes_out", "Bytes written to websockets.", now.bytes_out()),
            ("peer_messages", "Signaling messages relayed.", now.peer_messages()),
            ("peer_refusals", "Peers refused or disconnected.", now.peer_refusals()),
            ("mails_carried", "Mails sent.", now.mails_carried()),
            ("mails_lost", "Mails that could not be sent.", now.mails_lost()),
        ):
            yield CounterMetricFamily(f"playhall_{name}", meaning, value=total)


def exposition(readings: Readings, *others: Collector) -> Callable[[], bytes]:
    """Give the function that writes all metrics, others' and the process's own too, as text."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in (ServerCollector(readings), *others):
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return lambda: generate_latest(registry)


def _refusals(counts: Mapping[tuple[Transport, str], int]) -> Metric:
    family = CounterMetricFamily(
        "playhall_refusals",
        "Commands and requests refused, by transport and error code.",
        labels=["transport", "code"],
    )
    for labels, total in sorted(counts.items()):
        family.add_metric(labels, total)
    return family


def _ruleset_failures(counts: Mapping[tuple[str, str], int]) -> Metric:
    family = CounterMetricFamily(
        "playhall_ruleset_failures",
        "Errors raised by rulesets.",
        labels=["ruleset", "method"],
    )
    for labels, total in sorted(counts.items()):
        family.add_metric(list(labels), total)
    return family


def _commit_latency(log: LogMetrics) -> Metric:
    bounds = [*map(str, LATENCY_BOUNDS_S), "+Inf"]
    return HistogramMetricFamily(
        "playhall_commit_latency_seconds",
        "Time from starting a batch to its commit.",
        buckets=list(zip(bounds, accumulate(log.latency_counts), strict=True)),
        sum_value=log.latency_s,
    )
