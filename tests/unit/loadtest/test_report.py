from io import StringIO
from random import Random
from xml.etree import ElementTree

import orjson
import pytest
from rich.console import Console

from loadtest.measure import (
    Checks,
    Counters,
    Measurements,
    MeasurementWindow,
    MetricsScrape,
    TotalsSample,
    parse_prometheus,
)
from loadtest.plots import Axis, bar_plot, line_plot
from loadtest.processes import merge_measurements
from loadtest.report import format_json, format_number, make_report, print_report
from loadtest.report_page import render_page
from loadtest.simulation.trace import GameSample


def measured(*, fault=None, games=10):
    counters = Counters()
    counters.counts.update(games=games, moves=400, deliveries=1600)
    counters.refusals["invalid_bid"] = 2
    for n in range(1, 401):
        counters.latency.record(n / 1000)
    checks = Checks()
    checks.note_check("events are in order", fault)
    return Measurements(
        window=MeasurementWindow(10.0, counters),
        busy=0.5,
        total=counters.copy(),
        samples=[TotalsSample(float(n), n, 40 * n, 160 * n) for n in range(1, 11)],
        checks=checks,
        server=(MetricsScrape(0.0, 100, 1 << 20, 1.0), MetricsScrape(10.0, 1100, 2 << 20, 6.0)),
    )


def report(**kwargs):
    return make_report("matches", measured(**kwargs), began_at="now", settings={"games": 10})


def test_report_has_rates_of_the_window_and_numbers_of_the_server():
    rows = report().rows

    assert rows["games/s"] == 1.0
    assert rows["moves/s"] == 40.0
    assert rows["reply p50 ms"] == pytest.approx(200, rel=0.04)
    assert rows["reply max ms"] == 400.0
    assert rows["server: events committed/s"] == 100.0
    assert rows["server: memory after MiB"] == 2.0
    assert rows["server: processor %"] == 50.0


def test_server_that_was_started_again_has_no_rates():
    restarted = measured()
    restarted.server = (MetricsScrape(0.0, 100, 1 << 20, 9.0), MetricsScrape(10.0, 5, 2 << 20, 1.0))
    rows = make_report("matches", restarted, began_at="now", settings={}).rows

    assert [name for name in rows if name.startswith("server")] == [
        "server: memory before MiB",
        "server: memory after MiB",
    ]


def test_every_way_of_showing_names_ruleset_players_and_concurrency():
    settings = {"ruleset": "four_in_a_row", "players": 2, "concurrency": 1500, "games": None}
    drawn = make_report("matches", measured(), began_at="now", settings=settings)
    title = "matches: four_in_a_row, 2 players per game, 1,500 games at once"
    said = StringIO()
    print_report(drawn, Console(file=said, width=200))

    assert f"<h1>Load test: {title}</h1>" in render_page(drawn)
    assert f"{title}, now" in said.getvalue()
    assert format_json(drawn)["title"] == title
    assert make_report("signaling", measured(), began_at="now", settings={}).title == "signaling"


def test_report_is_ok_only_if_something_was_checked_and_held():
    assert report().ok
    assert not report(fault="event 3 came before event 2").ok
    nothing = report()
    nothing.checks.by_name.clear()
    assert not nothing.ok


def test_json_report_can_be_read_back():
    read = orjson.loads(orjson.dumps(format_json(report(fault="broken"))))

    assert read["ok"] is False
    assert read["checks"]["events are in order"]["examples"] == ["broken"]
    assert sum(count for _, count in read["latency_ms"]) == 400
    assert len(read["samples"]) == 10


def test_page_needs_nothing_from_elsewhere_and_escapes_what_it_shows():
    html = render_page(report(fault="<script>alert(1)</script>"))

    assert "All checks passed" not in html
    assert "<script" not in html
    assert "http" not in html
    assert html.count("<svg") == 4  # latency, and three rates


def test_plots_are_well_formed():
    for svg in (
        bar_plot([("a<b", 1.0), ("c", 3.0)], Axis("across", "up & down")),
        bar_plot([], Axis("across", "upward")),
        line_plot([(0.0, 1.0), (1.0, 2.0), (2.0, 0.0)], Axis("seconds", "games/s")),
        line_plot([], Axis("seconds", "games/s")),
    ):
        ElementTree.fromstring(svg)


def test_tallest_bar_fills_the_plot():
    svg = ElementTree.fromstring(bar_plot([("a", 1.0), ("b", 4.0)], Axis("x", "y")))
    heights = [float(each.attrib["height"]) for each in svg.iter("rect")]

    assert heights[1] == pytest.approx(4 * heights[0], abs=0.2)


def test_failed_checks_are_said_loudly():
    console = Console(width=100, file=StringIO())
    print_report(report(fault="event 3 is missing"), console)

    text = console.file.getvalue()
    assert "CHECKS FAILED" in text
    assert "event 3 is missing" in text


def test_processes_add_up():
    whole = merge_measurements([measured(games=10), measured(games=5, fault="broken")])

    assert whole.window.per_s("games") == 1.5
    assert whole.total.counts["moves"] == 800
    assert whole.checks.failed == 1
    assert whole.samples[-1].games == 20
    assert whole.window.counters.latency.count == 800


def test_process_that_ends_early_keeps_its_totals():
    short, long = measured(), measured()
    short.samples = short.samples[:3]
    whole = merge_measurements([short, long])

    assert [sample.games for sample in whole.samples] == [2, 4, 6, 7, 8, 9, 10, 11, 12, 13]


def test_metrics_text_is_read():
    text = '# HELP a b\na_total 3.0\nb{code="x y"} 4e2\n'

    assert parse_prometheus(text) == {"a_total": 3.0, 'b{code="x y"}': 400.0}


def test_sample_is_fair():
    hits = [0] * 20
    for seed in range(2000):
        sample = GameSample(5, Random(seed))
        for game in range(20):
            sample.offer_game(game)
        for game in sample.kept:
            hits[game] += 1

    assert sum(hits) == 10_000
    assert all(400 < count < 600 for count in hits)


def test_tally_since_counts_only_what_came_later():
    counters = Counters()
    counters.counts["moves"] += 3
    before = counters.copy()
    counters.counts["moves"] += 2
    counters.refusals["x"] += 1

    assert counters.since(before).counts == {"moves": 2}
    assert counters.since(before).refusals == {"x": 1}


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (1234567.8, "1,234,568"), (12.34, "12.3"), (0.1234, "0.12"), (99.0, "99")],
)
def test_numbers_have_as_many_digits_as_one_reads(value, text):
    assert format_number(value) == text
