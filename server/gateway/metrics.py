"""What is measured, as Prometheus reads it.

Whoever does the work counts it in plain numbers of its own; nothing here runs until somebody
scrapes, and then the numbers are read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

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

from server.core.durations import Durations
from server.core.loop_watch import LoopWatch
from server.core.node_calls import NodeCalls
from server.core.subscriptions import Subscriptions
from server.gateway.error_counts import Transport


class MetricSource(NamedTuple):
    """A number: its name without the prefix `playhall_`, what it means, and how to read it."""

    name: str
    meaning: str
    read: Callable[[], float]


class MetricsCollector(Collector):
    """Plain numbers: `gauges` as they are now, `counters` since the start."""

    def __init__(
        self, *, gauges: Sequence[MetricSource] = (), counters: Sequence[MetricSource] = ()
    ) -> None:
        self._gauges = gauges
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        for name, meaning, read in self._gauges:
            yield GaugeMetricFamily(f"playhall_{name}", meaning, value=read())
        for name, meaning, read in self._counters:
            yield CounterMetricFamily(f"playhall_{name}", meaning, value=read())


class DurationCollector(Collector):
    """Durations of one kind, by the values of its labels."""

    def __init__(
        self,
        name: str,
        meaning: str,
        labels: Sequence[str],
        read: Callable[[], Mapping[tuple[str, ...], Durations]],
    ) -> None:
        self._name = name
        self._meaning = meaning
        self._labels = labels
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        family = HistogramMetricFamily(
            f"playhall_{self._name}", self._meaning, labels=list(self._labels)
        )
        for values, durations in self._read().items():
            family.add_metric(values, list(durations.cumulative()), durations.sum_s)
        yield family


def loop_metrics(watch: LoopWatch) -> list[Collector]:
    """Give the collectors of how the event loop comes to its work."""
    pauses: dict[tuple[str, ...], Durations] = {
        (str(n),): each for n, each in enumerate(watch.collector.pauses)
    }
    return [
        MetricsCollector(
            gauges=(
                MetricSource(
                    "loop_lag_worst_seconds",
                    "The longest that the event loop was late within the last minute.",
                    lambda: watch.worst_s,
                ),
            )
        ),
        DurationCollector(
            "loop_lag_seconds",
            "By how much the event loop was late for a timer.",
            (),
            lambda: {(): watch.lag},
        ),
        DurationCollector(
            "gc_pause_seconds",
            "How long the garbage collector stopped everything.",
            ("generation",),
            lambda: pauses,
        ),
    ]


def node_call_metrics(calls: NodeCalls) -> Collector:
    """Give the collector of what nodes ask of each other."""
    counts = calls.metrics
    return MetricsCollector(
        counters=(
            MetricSource("node_calls_asked", "Calls to other nodes.", lambda: counts.asked),
            MetricSource(
                "node_calls_repeated",
                "Calls sent again, as no answer had come.",
                lambda: counts.repeated,
            ),
            MetricSource("node_calls_silent", "Calls without an answer.", lambda: counts.silent),
            MetricSource("node_calls_answered", "Calls of other nodes.", lambda: counts.answered),
        )
    )


def broker_metrics(subscriptions: Subscriptions, *, is_configured: bool) -> Collector:
    """Give the collector of what nodes hear of each other."""
    broker, sent, seen = subscriptions.broker, subscriptions.broker.metrics, subscriptions.metrics
    return MetricsCollector(
        gauges=(
            MetricSource(
                "broker_connected",
                "Whether other nodes' notices arrive.",
                lambda: int(broker.is_live),
            ),
            MetricSource(
                "broker_configured", "Whether there is to be a Redis.", lambda: int(is_configured)
            ),
            MetricSource("broker_backlog", "Notices that wait to be sent.", lambda: broker.backlog),
            MetricSource(
                "subscriptions_topics",
                "Topics that are needed here.",
                lambda: subscriptions.topics,
            ),
        ),
        counters=(
            MetricSource("broker_published", "Notices published.", lambda: sent.published),
            MetricSource(
                "broker_received",
                "Notices received of what is followed here.",
                lambda: sent.received,
            ),
            MetricSource("broker_dropped", "Notices that were not sent.", lambda: sent.dropped),
            MetricSource(
                "broker_refused",
                "Notices refused, as they were forged or repeated.",
                lambda: sent.refused,
            ),
            MetricSource(
                "broker_gaps",
                "Times that notices of a topic may have been missed.",
                lambda: sent.gaps,
            ),
            MetricSource(
                "broker_disconnects",
                "Connections lost, and attempts failed.",
                lambda: sent.disconnects,
            ),
            MetricSource(
                "subscriptions_stale", "Notices of what was known already.", lambda: seen.stale
            ),
            MetricSource(
                "subscriptions_behind", "Times that a topic fell behind.", lambda: seen.behind
            ),
            MetricSource(
                "subscriptions_caught_up",
                "Topics compared with the database.",
                lambda: seen.caught_up,
            ),
        ),
    )


Refused: TypeAlias = Callable[[], Mapping[tuple[Transport, str], int]]


class ErrorCollector(Collector):
    """Commands and requests that were refused, by transport and code."""

    def __init__(self, read: Refused) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        family = CounterMetricFamily(
            "playhall_refusals",
            "Commands and requests refused, by transport and error code.",
            labels=["transport", "code"],
        )
        for labels, total in sorted(self._read().items()):
            family.add_metric(labels, total)
        yield family


def metrics_writer(*collectors: Collector) -> Callable[[], bytes]:
    """Give the function that writes all metrics, the process's own too, as text."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return lambda: generate_latest(registry)
