"""What the benchmark reads of what replies waited for."""

import pytest

from loadtest.benching.waits import LOOP, read_buckets, slowest_reply, stage_quantiles
from server.core.durations import BOUNDS_S, Durations
from server.gateway.metrics import DurationCollector, metrics_writer


def metrics(**by_stage: list[float]) -> str:
    """Write what a server would that measured these durations in the shared lane."""
    durations: dict[tuple[str, ...], Durations] = {}
    for stage, seconds in by_stage.items():
        durations[stage, "shared"] = each = Durations()
        for value in seconds:
            each.record(value)
    lag = Durations()
    lag.record(0.003)
    replies = DurationCollector("reply_seconds", "", ("stage", "lane"), lambda: durations)
    loop = DurationCollector("loop_lag_seconds", "", (), lambda: {(): lag})
    return metrics_writer(replies, loop)().decode()


def test_quantiles_are_of_what_was_measured_in_between() -> None:
    before = read_buckets(metrics(commit=[1.0] * 50, queue=[0.0004]))
    after = read_buckets(metrics(commit=[1.0] * 50 + [0.0035] * 97 + [0.04] * 3, queue=[0.0004]))
    found = stage_quantiles(before, after)
    assert found == {"shared commit": {"p50": 4.0, "p99": 48.0}}


def test_the_loop_has_no_lane_and_what_is_beyond_the_last_bound_counts_as_that() -> None:
    found = stage_quantiles({}, read_buckets(metrics(commit=[100.0])))
    assert found[LOOP]["p50"] == 3.0
    assert found["shared commit"]["p50"] == pytest.approx(BOUNDS_S[-1] * 1000)


def test_the_slowest_reply_is_found_among_other_lines() -> None:
    lines = [
        "2026-11-30 20:00:00,000 WARNING a reply took 9.9 ms: decide 0.1, queue 9.8; solo lane",
        "2026-11-30 20:00:01,000 WARNING a reply took 120.4 ms: decide 0.1; shared lane",
        "2026-11-30 20:00:02,000 INFO something else took 500.0 ms",
    ]
    assert slowest_reply(lines) == "a reply took 120.4 ms: decide 0.1; shared lane"
    assert slowest_reply(lines[2:]) is None
