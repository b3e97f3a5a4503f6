import os
import resource
import signal
import time
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from loadtest.bench import DOCS, Measurement, app
from loadtest.benching.figures import (
    BEGIN,
    END,
    BenchFigure,
    BenchFigures,
    Budget,
    RunResult,
    Verdict,
    format_json,
    format_markdown,
    replace_between_markers,
)
from loadtest.benching.machine import (
    FILES_SPARE,
    CoreAssignment,
    CpuUsage,
    UsageMonitor,
    assign_cores,
    find_file_limit_problem,
    pin_process,
    process_cpu_s,
    process_tree,
)
from loadtest.benching.servers import BenchServer, ServerDidNotStart
from loadtest.measure import Checks

READY_THEN_WAIT = ["/bin/sh", "-c", "echo ready at http://127.0.0.1:1; exec sleep 60"]


def run(what="relay", *, fault=None, deliveries=1000.0, usage=None):
    checks = Checks()
    checks.note_check("events are in order", fault)
    return RunResult(what, {"deliveries/s": deliveries}, checks, usage)


def figure(budget, *values, fault=None):
    made = BenchFigure("key", "what", "ms", budget)
    for value in values:
        made.add(run(fault=fault), value)
    return made


@pytest.mark.parametrize(
    ("budget", "values", "verdict"),
    [
        (Budget(3), (2.0, 2.9, 9.0), Verdict.REACHED),
        (Budget(3), (2.0, 3.0, 9.0), Verdict.MISSED),
        (Budget(30, at_least=True), (30.0,), Verdict.REACHED),
        (Budget(30, at_least=True), (10.0, 29.9, 40.0), Verdict.MISSED),
        (None, (1.0,), Verdict.NO_BUDGET),
        (Budget(3), (), Verdict.NOT_MEASURED),
    ],
)
def test_the_median_is_held_against_the_budget(budget, values, verdict):
    assert figure(budget, *values).verdict is verdict


def test_a_figure_whose_checks_failed_does_not_count():
    assert figure(Budget(3), 1.0, fault="event 3 came twice").verdict is Verdict.FAILED


def test_a_run_that_checked_nothing_does_not_count():
    unchecked = BenchFigure("key", "what", "ms", Budget(3))
    unchecked.add(RunResult("relay", {}, Checks()), 1.0)

    assert unchecked.verdict is Verdict.FAILED


def test_the_ratio_is_that_of_the_medians():
    figures = BenchFigures(games=1000)
    ours, theirs = (300.0, 100.0, 500.0), (100.0, 200.0, 900.0)

    figures.compare(
        "ratio 50",
        [(run(deliveries=a), run(deliveries=b)) for a, b in zip(ours, theirs, strict=True)],
    )

    assert figures.by_key["ratio 50"].values == [1.5]
    assert figures.by_key["ratio 50"].verdict is Verdict.REACHED


def test_a_ratio_with_one_bad_run_does_not_count():
    figures = BenchFigures(games=1000)

    figures.compare(
        "ratio 50", [(run(deliveries=300), run(deliveries=100, fault="one is missing"))]
    )

    assert figures.by_key["ratio 50"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("server", "database", "load", "rest_core", "who"),
    [
        (0.95, 0.4, 0.4, 0.8, "server"),
        (0.5, 0.4, 0.55, 0.98, "database and load"),
        (0.5, 0.0, 0.95, 0.98, "load"),
        (0.5, 0.2, 0.3, 0.98, "others"),
        (0.5, 0.2, 0.3, 0.5, "nobody"),
    ],
)
def test_usage_names_who_could_not_have_done_more(server, database, load, rest_core, who):
    usage = CpuUsage(10.0, server, database, load, server_core=server, rest_core=rest_core)

    assert usage.saturated == who


@pytest.mark.parametrize(
    ("server_core", "rest_core", "disturbed"),
    [(0.5, 0.6, False), (0.58, 0.68, False), (0.7, 0.6, True), (0.5, 0.8, True)],
)
def test_a_run_is_disturbed_when_others_take_part_of_a_core(server_core, rest_core, disturbed):
    usage = CpuUsage(10.0, 0.5, 0.2, 0.4, server_core=server_core, rest_core=rest_core)
    figures = BenchFigures(games=1000)
    figures.record(run(usage=usage), {"relay 50": 1000.0, "idle": 7.0})

    rows = format_markdown(figures, began_at="2026-11-21")

    assert usage.disturbed is disturbed
    assert ("| 7 KB | yes, disturbed |" in rows) is disturbed
    assert ("| 1,000 /s | disturbed |" in rows) is disturbed


def test_a_window_is_read_from_the_looks_around_it():
    used = iter([(0.0,) * 5, (1.0, 0.5, 0.2, 1.0, 1.0), (1.5, 0.7, 0.4, 2.0, 2.0)])
    monitor = UsageMonitor(lambda: next(used))
    moments = []
    for _ in range(3):
        monitor.sample()
        moments.append(time.monotonic())
        time.sleep(0.01)

    usage = monitor.usage_between(moments[0], moments[1])

    assert usage.server * usage.seconds == pytest.approx(1.5)
    assert usage.rest_core * usage.seconds == pytest.approx(2.0)


def test_processor_time_of_a_process_is_read_and_of_one_that_is_gone_is_0():
    burned = sum(range(2_000_000))

    assert burned
    assert process_cpu_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.5)
    assert process_cpu_s(2**22 + 1) == 0.0


def test_the_server_gets_a_core_of_its_own_where_there_are_two():
    shared = assign_cores()

    assert len(shared.server) == 1
    assert (shared.rest & shared.server == set()) == (len(os.sched_getaffinity(0)) > 1)


def test_a_server_runs_on_its_core_until_it_is_ended(tmp_path):
    on = assign_cores()
    server = BenchServer(READY_THEN_WAIT, log=tmp_path / "log", on=on, env={})

    server.start()

    assert server.url == "http://127.0.0.1:1"
    assert os.sched_getaffinity(server.pid) == set(on.server)
    assert server.pid in process_tree(os.getpid())
    pin_process(server.pid, on.rest)
    assert os.sched_getaffinity(server.pid) == set(on.rest)
    server.stop_with_signal(signal.SIGKILL)
    assert not Path(f"/proc/{server.pid}").exists()


def test_a_server_that_does_not_start_is_quoted(tmp_path):
    everywhere = frozenset(os.sched_getaffinity(0))
    command = ["/bin/sh", "-c", "echo the port is taken; exit 1"]
    server = BenchServer(
        command, log=tmp_path / "log", on=CoreAssignment(everywhere, everywhere), env={}
    )

    with pytest.raises(ServerDidNotStart, match="the port is taken"):
        server.start()


def test_the_table_says_what_was_reached_and_what_was_not_measured():
    figures = BenchFigures(games=1000)
    figures.record(run(), {"resume": 7.0})
    figures.record(run(fault="an event is missing"), {"idle": 8.0})

    lines = format_markdown(figures, began_at="2026-11-21").splitlines()

    assert "| resume of 400 events | < 20 ms | 7 ms | yes |" in lines
    assert "| an idle connection's memory | < 8 KB | 8 KB | **failed its checks** |" in lines
    assert "| … p99 | < 15 ms |  | not measured |" in lines


def test_the_table_replaces_what_stands_between_the_markers():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    assert replace_between_markers(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    with pytest.raises(ValueError, match="markers are missing"):
        replace_between_markers("a page without them", "new")


def test_the_documentation_has_a_place_for_the_table():
    assert "| what | budget |" in replace_between_markers(
        DOCS.read_text("utf-8"), format_markdown(BenchFigures(games=1000), began_at="2026-11-21")
    )


def test_json_has_the_figures_and_the_runs_behind_them():
    figures = BenchFigures(games=1000)
    usage = CpuUsage(10.0, 0.5, 0.2, 0.3, 0.5, 0.5)
    figures.record(run(usage=usage, deliveries=1500), {"relay 50": 1500.0})

    result = orjson.loads(orjson.dumps(format_json(figures, began_at="2026-11-21")))

    relay = next(each for each in result["figures"] if each["key"] == "relay 50")
    assert (relay["median"], relay["verdict"]) == (1500.0, "")
    assert result["runs"][0]["ok"] is True
    assert result["runs"][0]["usage"]["database"] == 0.2
    assert result["runs"][0]["checks"]["by_name"]["events are in order"]["passed"] == 1


def test_the_command_knows_its_parts():
    result = CliRunner().invoke(app, ["--only", "nothing of the kind"])

    assert result.exit_code == 2
    assert all(part in result.output for part in Measurement)


def test_too_low_a_limit_of_open_files_is_named():
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert find_file_limit_problem(0) is None
    problem = find_file_limit_problem(allowed)
    assert problem is not None
    assert f"need {allowed + FILES_SPARE:,} open files, and {allowed:,} are allowed" in problem
