"""What a node does for epochs, as Prometheus reads it."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.domains.compete.epochs.board_streams import Following
from server.domains.compete.epochs.scheduler import Scheduler


class EpochCollector(Collector):
    """Reads the numbers at the moment of a scrape."""

    def __init__(self, following: Following, scheduler: Scheduler) -> None:
        self._following = following
        self._scheduler = scheduler

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        for name, meaning, value in (
            ("watchers", "Connections that follow a day.", self._following.watchers),
            ("boards", "Days being followed.", len(self._following)),
            ("leading", "1 if this node advances the days.", int(self._scheduler.leads)),
            ("stuck", "Days that do not advance.", self._scheduler.stuck),
        ):
            yield GaugeMetricFamily(f"playhall_epoch_{name}", meaning, value=value)
        for name, meaning, total in (
            (
                "events_told",
                "Events sent to watchers, counted once each.",
                self._following.events_total,
            ),
            ("steps", "Steps taken.", self._scheduler.steps_total),
        ):
            yield CounterMetricFamily(f"playhall_epoch_{name}", meaning, value=total)
