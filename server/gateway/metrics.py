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
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.core.subscriptions import Subscriptions
from server.gateway.error_counts import Transport


class Reading(NamedTuple):
    """A number: its name without the prefix `playhall_`, what it means, and how to read it."""

    name: str
    meaning: str
    read: Callable[[], float]


class Numbers(Collector):
    """Plain numbers: `gauges` as they are now, `counters` since the start."""

    def __init__(self, *, gauges: Sequence[Reading] = (), counters: Sequence[Reading] = ()) -> None:
        self._gauges = gauges
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        for name, meaning, read in self._gauges:
            yield GaugeMetricFamily(f"playhall_{name}", meaning, value=read())
        for name, meaning, read in self._counters:
            yield CounterMetricFamily(f"playhall_{name}", meaning, value=read())


def broker_metrics(subscriptions: Subscriptions) -> Collector:
    """Give the collector of what nodes hear of each other."""
    broker, sent, seen = subscriptions.broker, subscriptions.broker.metrics, subscriptions.metrics
    return Numbers(
        gauges=(
            Reading(
                "broker_connected",
                "Whether other nodes' notices arrive.",
                lambda: int(broker.is_live),
            ),
            Reading("broker_backlog", "Notices that wait to be sent.", lambda: broker.backlog),
            Reading(
                "subscriptions_topics",
                "Topics that are needed here.",
                lambda: subscriptions.topics,
            ),
        ),
        counters=(
            Reading("broker_published", "Notices published.", lambda: sent.published),
            Reading(
                "broker_received",
                "Notices received of what is followed here.",
                lambda: sent.received,
            ),
            Reading("broker_dropped", "Notices that were not sent.", lambda: sent.dropped),
            Reading(
                "broker_gaps",
                "Times that notices of a topic may have been missed.",
                lambda: sent.gaps,
            ),
            Reading(
                "broker_disconnects",
                "Connections lost, and attempts failed.",
                lambda: sent.disconnects,
            ),
            Reading(
                "subscriptions_stale", "Notices of what was known already.", lambda: seen.stale
            ),
            Reading("subscriptions_behind", "Times that a topic fell behind.", lambda: seen.behind),
            Reading(
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


def exposition(*collectors: Collector) -> Callable[[], bytes]:
    """Give the function that writes all metrics, the process's own too, as text."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return lambda: generate_latest(registry)
