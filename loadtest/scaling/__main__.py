"""`python -m loadtest.scaling`: compare the model with what was measured, and extend it.

python -m loadtest.scaling [--players 10000000] [--routed 0.9] …
python -m loadtest.scaling --store BENCH.json… --commit HASH    # new figures for measured.json
"""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from loadtest.benching.loads import WINDOW
from loadtest.scaling.costs import (
    MEASURED,
    Costs,
    FanoutRun,
    Measured,
    fit,
    median_by_size,
    read_measured,
    store,
)
from loadtest.scaling.deployment import Deployment, Limits, Workload, plan
from loadtest.scaling.queueing import NodeLoad, NodeResult, NodeSimulation

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)

out = Console(highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def repeat(costs: Costs, run: FanoutRun, *, seed: int = 1, seconds: float = 2.0) -> NodeResult:
    """Simulate a run that was measured, with what of the cores was there for it."""
    load = NodeLoad(
        recipients=run.recipients,
        in_flight=run.in_flight,
        server_speed=run.server + max(0.0, 1 - run.server_core),
        database_speed=run.database + run.load + max(0.0, 1 - run.rest_core),
        with_load=True,
        seconds=seconds,
    )
    return NodeSimulation(costs, load, seed=seed).run()


def reply_at(
    costs: Costs, work: Workload, needed: Deployment, *, seed: int = 1, seconds: float = 4.0
) -> NodeResult:
    """Simulate one node of a deployment, with its share of the database."""
    moves_per_s = work.moves_per_s / needed.nodes
    own_us = costs.server.at(work.recipients)
    load = NodeLoad(
        recipients=round(work.recipients),
        moves_per_s=moves_per_s,
        # Idle connections and second hops are work of the same core.
        extra_us=max(0.0, needed.node_cores / needed.nodes * 1e6 / moves_per_s - own_us),
        database_speed=needed.databases * Limits().database_cores / needed.nodes,
        seconds=seconds,
    )
    return NodeSimulation(costs, load, seed=seed).run()


def _show_costs(measured: Measured, costs: Costs) -> None:
    out.print(
        f"Measured on {measured.began_at} of {measured.commit}: {measured.machine}", soft_wrap=True
    )
    table = Table("what", "µs of a core")
    for what, us in (
        ("a move on its own node, without its deliveries", costs.server.fixed_us),
        ("… each delivery", costs.server.each_us),
        ("an event in the database", costs.database_event_us),
        ("an event to another node: both nodes", costs.hop_us),
        ("… Redis", costs.redis_notice_us),
        ("a move that is made on another node: both nodes", costs.forward_us),
        ("… Redis", costs.redis_forward_us),
        ("an idle connection, a second", costs.idle_us_per_s),
        ("one move at a time: so many times as much", costs.sparse_factor),
    ):
        table.add_row(what, f"{us:.1f}")
    out.print(table)


def _show_runs(measured: Measured, costs: Costs) -> None:
    table = Table(
        "recipients", "µs a move", "by the model", "moves/s", "simulated", "p50 ms", "simulated"
    )
    server_us = median_by_size(measured.fanout, lambda run: run.server_us)
    for run in measured.fanout:
        result = repeat(costs, run)
        table.add_row(
            str(run.recipients),
            f"{server_us[run.recipients]:.1f}",
            f"{costs.server.at(run.recipients):.1f}",
            f"{run.moves_per_s:,.0f}",
            f"{result.moves_per_s:,.0f}",
            f"{run.reply_p50_ms:.1f}",
            f"{result.reply_p50_ms:.1f}",
        )
    out.print(table)


def _show_deployments(costs: Costs, sizes: tuple[int, ...], routed: float) -> None:
    table = Table(
        *("players", "moves/s", "deliveries/s", "nodes", "hops' share", "connections' GB"),
        *("database cores", "databases", "Redis messages/s", "Redis shards", "p50 ms", "p99 ms"),
    )
    for players in sizes:
        work = Workload(players, routed=routed)
        needed = plan(costs, work)
        reply = reply_at(costs, work, needed)
        table.add_row(
            f"{players:,}",
            f"{needed.events_per_s:,.0f}",
            f"{needed.deliveries_per_s:,.0f}",
            f"{needed.nodes:,}",
            f"{needed.hop_share:.0%}",
            f"{needed.memory_gb:,.1f}",
            f"{needed.database_cores:,.1f}",
            str(needed.databases),
            f"{needed.redis_notices_per_s:,.0f}",
            str(needed.redis_shards),
            f"{reply.reply_p50_ms:.1f}",
            f"{reply.reply_p99_ms:.1f}",
        )
    out.print(table)


@app.command()
def scaling(
    players: Annotated[int | None, typer.Option(help="Connected players.", min=1)] = None,
    routed: Annotated[
        float, typer.Option(help="Share that is sent to its game's node.", min=0, max=1)
    ] = 0.0,
    stored: Annotated[
        list[Path] | None, typer.Option("--store", help="Files that loadtest.bench wrote.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Reckon with what a move takes on a node that is full.")
    ] = False,
    commit: Annotated[str, typer.Option(help="What these measured.")] = "",
) -> None:
    """Compare the model with what was measured, and say what more players need."""
    if stored:
        if not commit:
            raise typer.BadParameter("say with --commit what these files measured")
        found = store(
            [orjson.loads(file.read_bytes()) for file in stored], commit=commit, window=WINDOW
        )
        MEASURED.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    measured = read_measured()
    costs = fit(measured)
    _show_costs(measured, costs)
    _show_runs(measured, costs)
    of_moves = costs if full else costs.sparse()
    _show_deployments(of_moves, SIZES if players is None else (players,), routed)


if __name__ == "__main__":
    app()
