"""What a node does for games, as Prometheus reads it."""

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from persistence.eventlog.writer import LATENCY_BOUNDS_S, EventLogWriter, LogMetrics
from server.domains.play.games.node_lease import NodeLease
from server.domains.play.games.registry import GameRegistry
from server.domains.play.games.ruleset_failures import RulesetFailures
from server.gateway.metrics import MetricsCollector, MetricSource


def game_metrics(games: GameRegistry, log: EventLogWriter) -> list[Collector]:
    """Give the collectors of a node's games and of its log."""
    return [
        MetricsCollector(
            gauges=(
                MetricSource("games", "Games in memory.", lambda: len(games)),
                MetricSource(
                    "games_elsewhere",
                    "Games of other nodes that are followed from here.",
                    lambda: len(games.elsewhere),
                ),
                MetricSource(
                    "log_queue_events", "Events waiting to be committed.", lambda: log.queued
                ),
            ),
            counters=[
                MetricSource(
                    "games_quarantined",
                    "Games that were quarantined.",
                    lambda: games.faults.quarantined,
                ),
                MetricSource(
                    "events_elsewhere",
                    "Events of other nodes' games that were delivered here.",
                    lambda: games.elsewhere.delivered,
                ),
            ],
        ),
        _RulesetFailures(games.faults),
        *log_metrics(log.metrics),
    ]


def lease_metrics(lease: NodeLease) -> Collector:
    """Give the collector of a node's lease."""
    return MetricsCollector(
        gauges=(
            MetricSource("lease_seconds", "How long a lease is.", lambda: lease.lease_s),
            MetricSource("lease_age_seconds", "Since it was renewed.", lambda: lease.age_s),
        ),
        counters=(MetricSource("lease_losses", "Times that it ran out.", lambda: lease.losses),),
    )


def log_metrics(log: LogMetrics) -> list[Collector]:
    """Give the collectors of what was written to the log."""
    return [
        MetricsCollector(
            counters=(
                MetricSource("events_committed", "Events committed.", lambda: log.events),
                MetricSource("log_batches", "Batches committed.", lambda: log.batches),
                MetricSource("log_retries", "Batches that were retried.", lambda: log.retries),
                MetricSource("games_completed", "Games completed.", lambda: log.completions),
            )
        ),
        _CommitLatency(log),
    ]


class _RulesetFailures(Collector):
    def __init__(self, faults: RulesetFailures) -> None:
        self._faults = faults

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "playhall_ruleset_failures",
            "Errors raised by rulesets.",
            labels=["ruleset", "method"],
        )
        for labels, total in sorted(self._faults.raised.items()):
            family.add_metric(list(labels), total)
        yield family


class _CommitLatency(Collector):
    def __init__(self, log: LogMetrics) -> None:
        self._log = log

    def collect(self) -> Iterator[Metric]:
        bounds = [*map(str, LATENCY_BOUNDS_S), "+Inf"]
        yield HistogramMetricFamily(
            "playhall_commit_latency_seconds",
            "Time from starting a batch to its commit.",
            buckets=list(zip(bounds, accumulate(self._log.latency_counts), strict=True)),
            sum_value=self._log.latency_s,
        )
