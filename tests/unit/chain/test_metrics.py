"""The numbers of the chain, as Prometheus reads them."""

from prometheus_client import CollectorRegistry, generate_latest

from persistence.blockchain.store import Contract
from server.domains.compete.blockchain.metrics import ChainCollector, ContractReadMetrics

CONTRACT = Contract(1, "0x" + "a" * 40)
LABEL = f'{{contract="1:{CONTRACT.address}"}}'


def scrape(metrics: ContractReadMetrics) -> list[str]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ChainCollector({CONTRACT: metrics}, lambda: 130.0))
    return generate_latest(registry).decode().splitlines()


def test_every_number_is_shown_with_its_contract() -> None:
    metrics = ContractReadMetrics(transfers=7, taken_back=1, reorganisations=2, corrections=3)
    metrics.blocks_behind = 9
    metrics.note_success(100.0)
    metrics.count_failure()
    lines = scrape(metrics)
    assert f"playhall_chain_transfers_total{LABEL} 7.0" in lines
    assert f"playhall_chain_taken_back_total{LABEL} 1.0" in lines
    assert f"playhall_chain_reorganisations_total{LABEL} 2.0" in lines
    assert f"playhall_chain_corrections_total{LABEL} 3.0" in lines
    assert f"playhall_chain_errors_total{LABEL} 1.0" in lines
    assert f"playhall_chain_blocks_behind{LABEL} 9.0" in lines
    assert f"playhall_chain_success_age_seconds{LABEL} 30.0" in lines


def test_contract_that_was_never_read_has_no_end_of_age() -> None:
    assert f"playhall_chain_success_age_seconds{LABEL} +Inf" in scrape(ContractReadMetrics())
