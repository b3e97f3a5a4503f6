"""What a node does for webhooks, as Prometheus reads it."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.domains.integrations.webhooks.jobs import WebhookDeliverer


class WebhookCollector(Collector):
    """Reads the numbers at the moment of a scrape."""

    def __init__(self, deliverer: WebhookDeliverer) -> None:
        self._deliverer = deliverer

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        backlog = self._deliverer.backlog
        for name, meaning, value in (
            ("pending", "Deliveries that wait, of all nodes.", backlog.pending),
            ("disabled", "Webhooks that were disabled because they fail.", backlog.disabled),
        ):
            yield GaugeMetricFamily(f"playhall_webhooks_{name}", meaning, value=value)
        for name, meaning, total in (
            ("delivered", "Deliveries that were accepted.", self._deliverer.delivered_total),
            ("failures", "Attempts that failed.", self._deliverer.failed_total),
            ("dead", "Deliveries that were given up.", self._deliverer.dead_total),
        ):
            yield CounterMetricFamily(f"playhall_webhooks_{name}", meaning, value=total)
