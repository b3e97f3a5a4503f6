"""The watch of the event loop: what it says of a loop that was kept from its work."""

import asyncio
import gc
import logging
import time
from collections.abc import Iterator

import pytest
from prometheus_client.core import Metric

from server.core.durations import BOUNDS_S, Durations
from server.core.loop_watch import EVERY_S, STALL_S, LoopWatch
from server.gateway.metrics import loop_metrics

# A busy machine only makes the loop later.
BLOCKED_S = STALL_S + 2 * EVERY_S


async def watched(blocked_s: float) -> LoopWatch:
    """Watch a loop that is blocked once."""
    watch = LoopWatch()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch.run())
        await asyncio.sleep(0)
        time.sleep(blocked_s)  # noqa: ASYNC251 - what is to be found
        gc.collect()
        while not watch.worst_s:  # the timer that is late by now
            await asyncio.sleep(EVERY_S)
        task.cancel()
    return watch


async def test_a_loop_that_was_blocked_is_late_by_as_much(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watch = await watched(BLOCKED_S)
    assert watch.worst_s >= BLOCKED_S - EVERY_S
    assert watch.lag.sum_s >= BLOCKED_S - EVERY_S
    assert watch.collector.pauses[2].sum_s > 0
    (line,) = [each for each in caplog.records if each.name == "server.core.loop_watch"]
    assert line.levelno == logging.WARNING
    assert "late" in line.getMessage()


async def test_the_collector_is_watched_no_longer_than_the_loop() -> None:
    watch = await watched(EVERY_S)
    before = watch.collector.total_s
    gc.collect()
    assert watch.collector.total_s == before


async def test_metrics_have_the_lag_and_the_pauses_of_each_generation() -> None:
    watch = await watched(EVERY_S)
    families = dict(collected(watch))
    assert families["playhall_loop_lag_worst_seconds"].samples[0].value == watch.worst_s
    assert count(families["playhall_loop_lag_seconds"]) == sum(watch.lag.counts)
    pauses = families["playhall_gc_pause_seconds"]
    assert {each.labels["generation"] for each in pauses.samples} == {"0", "1", "2"}
    assert count(pauses, generation="2") == sum(watch.collector.pauses[2].counts) > 0


def test_a_duration_is_counted_up_to_its_bound() -> None:
    durations = Durations()
    for seconds in (BOUNDS_S[0], BOUNDS_S[1], BOUNDS_S[-1] + 1):
        durations.record(seconds)
    counts = dict(durations.cumulative())
    assert counts[str(BOUNDS_S[0])] == 1
    assert counts[str(BOUNDS_S[1])] == counts[str(BOUNDS_S[-1])] == 2
    assert counts["+Inf"] == 3
    assert durations.sum_s == sum((BOUNDS_S[0], BOUNDS_S[1], BOUNDS_S[-1] + 1))


def collected(watch: LoopWatch) -> Iterator[tuple[str, Metric]]:
    for collector in loop_metrics(watch):
        for metric in collector.collect():
            yield metric.name, metric


def count(family: Metric, **labels: str) -> float:
    (found,) = [
        each.value
        for each in family.samples
        if each.name.endswith("_count") and labels.items() <= each.labels.items()
    ]
    return found
