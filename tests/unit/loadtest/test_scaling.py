"""The model of scaling, compared with what was measured; and what it says of more players."""

from dataclasses import replace

import pytest

from loadtest.scaling.__main__ import repeat, reply_at
from loadtest.scaling.costs import FanoutRun, fit, median_by_size, read_measured
from loadtest.scaling.deployment import Limits, Workload, plan
from loadtest.scaling.queueing import NodeLoad, NodeSimulation

MEASURED = read_measured()
COSTS = fit(MEASURED)
SIZES = sorted({run.recipients for run in MEASURED.fanout})
# As docs/explanation/scaling.md states them.
COST_WITHIN, RATE_WITHIN, REPLY_WITHIN, QUIET_WITHIN = 0.15, 0.15, 0.30, 0.30


def one_of_each_size() -> list[FanoutRun]:
    return [next(run for run in MEASURED.fanout if run.recipients == size) for size in SIZES]


def test_what_was_measured_is_of_this_project_and_enough() -> None:
    assert len(MEASURED.commit) == 8
    assert SIZES == [2, 4, 8, 16]
    assert len(MEASURED.fanout) >= 3 * len(SIZES)


def test_the_sizes_that_were_not_fitted_cost_what_the_line_says() -> None:
    server_us = median_by_size(MEASURED.fanout, lambda run: run.server_us)
    between = SIZES[1:-1]
    assert between
    for size in between:
        assert COSTS.server.at(size) == pytest.approx(server_us[size], rel=COST_WITHIN)


@pytest.mark.parametrize("run", one_of_each_size(), ids=lambda run: f"{run.recipients} recipients")
def test_a_simulated_run_has_the_rate_and_the_reply_time_of_the_real_one(run: FanoutRun) -> None:
    result = repeat(COSTS, run, seconds=1.0)
    assert result.moves_per_s == pytest.approx(run.moves_per_s, rel=RATE_WITHIN)
    assert result.reply_p50_ms == pytest.approx(run.reply_p50_ms, rel=REPLY_WITHIN)


def test_a_run_on_an_idle_machine_is_foretold() -> None:
    """Of 2026-11-21, in docs/operations/benchmarks.md: 50 rooms of 4 with 4 messages each."""
    load = NodeLoad(recipients=4, in_flight=800, with_load=True, seconds=1.0)
    result = NodeSimulation(COSTS, load).run()
    assert result.moves_per_s * 4 == pytest.approx(69_964, rel=QUIET_WITHIN)
    assert result.database_busy == 1.0, "the core of the database and the load was full"
    assert result.server_busy < 1.0


def test_a_simulation_is_the_same_for_the_same_seed_and_different_for_another() -> None:
    load = NodeLoad(recipients=4, moves_per_s=500, seconds=0.5)
    first, again, other = (NodeSimulation(COSTS, load, seed=seed).run() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_queues_build_up_near_the_limit_of_a_core() -> None:
    most = 1e6 / COSTS.server.at(4)
    calm, busy = (
        NodeSimulation(COSTS, NodeLoad(recipients=4, moves_per_s=most * share, seconds=1.0)).run()
        for share in (0.3, 0.95)
    )
    assert calm.reply_p50_ms < busy.reply_p50_ms
    assert calm.server_busy == pytest.approx(0.3, abs=0.05)


def test_needs_grow_with_players_and_shrink_with_routing() -> None:
    small, large = plan(COSTS, Workload(100_000)), plan(COSTS, Workload(10_000_000))
    routed = plan(COSTS, Workload(10_000_000, routed=0.95))
    assert large.events_per_s == 100 * small.events_per_s == 500_000
    assert large.nodes > 50 * small.nodes
    assert routed.nodes < large.nodes
    assert routed.node_cores < 0.6 * large.node_cores
    assert routed.redis_shards < 0.2 * large.redis_shards
    alone = plan(COSTS, Workload(1000))
    assert (alone.nodes, alone.elsewhere, alone.hop_share) == (1, 0.0, 0.0)


def test_a_plan_is_enough_for_itself() -> None:
    limits, costs = Limits(), COSTS.sparse()
    for players in (10_000, 1_000_000, 10_000_000):
        needed = plan(costs, Workload(players))
        assert needed.node_cores / needed.nodes <= limits.node_busy
        assert players / needed.nodes <= limits.connections_per_node
        assert needed.events_per_s / needed.databases <= limits.database_events_per_s
        assert reply_at(costs, Workload(players), needed, seconds=1.0).server_busy < 0.8


def test_what_costs_more_needs_more() -> None:
    work = Workload(1_000_000)
    dearer = replace(COSTS, hop_us=COSTS.hop_us * 2)
    assert plan(dearer, work).nodes > plan(COSTS, work).nodes
    assert plan(COSTS.sparse(), work).nodes > plan(COSTS, work).nodes
    assert plan(COSTS, replace(work, seconds_per_move=1.0)).databases > plan(COSTS, work).databases
