"""What the reading of a chain counts: plain numbers, and how Prometheus reads them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from persistence.blockchain.store import Contract


@dataclass(slots=True)
class ContractReadMetrics:
    """Totals of this node since the start; `succeeded_at` is on the monotonic clock."""

    head: int | None = None
    block: int | None = None
    blocks_behind: int = 0
    succeeded_at: float | None = None
    transfers: int = 0
    taken_back: int = 0
    reorganisations: int = 0
    corrections: int = 0
    errors: int = 0
    is_well: bool = False

    def count_failure(self) -> None:
        """Count a step that did not work."""
        self.errors += 1
        self.is_well = False

    def note_success(self, now: float) -> None:
        """Note a step that did."""
        self.succeeded_at = now
        self.is_well = True

    def age_s(self, now: float) -> float | None:
        """Say how long ago the last step was that did."""
        return None if self.succeeded_at is None else now - self.succeeded_at


class ChainCollector(Collector):
    """Turns the numbers of each contract into metrics at the moment of a scrape."""

    def __init__(
        self, contracts: Mapping[Contract, ContractReadMetrics], monotonic: Callable[[], float]
    ) -> None:
        self._contracts = contracts
        self._monotonic = monotonic

    def collect(self) -> Iterator[Metric]:
        """Read everything once; nothing where no contract is followed."""
        if not self._contracts:
            return
        for name, meaning in (
            ("transfers", "Transfers read."),
            ("taken_back", "Transfers taken back by reorganisations."),
            ("reorganisations", "Reorganisations noticed."),
            ("corrections", "Owners corrected by reconciliation."),
            ("errors", "Steps that failed."),
        ):
            counter = CounterMetricFamily(f"playhall_chain_{name}", meaning, labels=["contract"])
            for contract, metrics in self._contracts.items():
                counter.add_metric([_label(contract)], getattr(metrics, name))
            yield counter
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        behind = _gauge("blocks_behind", "Confirmed blocks not read yet.")
        age = _gauge("success_age_seconds", "Seconds since the last successful step.")
        for contract, metrics in self._contracts.items():
            behind.add_metric([_label(contract)], metrics.blocks_behind)
            seconds = metrics.age_s(self._monotonic())
            age.add_metric([_label(contract)], float("inf") if seconds is None else seconds)
        yield behind
        yield age


def _gauge(name: str, meaning: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"playhall_chain_{name}", meaning, labels=["contract"])


def _label(contract: Contract) -> str:
    return f"{contract.chain_id}:{contract.address}"
