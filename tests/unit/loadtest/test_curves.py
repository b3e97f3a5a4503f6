"""Curves: their tables and plots, and a place for each in the documentation."""

import pytest
from typer.testing import CliRunner

from loadtest.benching.figures import replace_between_markers
from loadtest.curves import CURVES, DOCS, Point, _chosen, app, format_curve, plot_curve

POINTS = [
    Point(50, {"server µs for a delivery": 8.25, "deliveries/s": 20_000.0}),
    Point(
        5000, {"server µs for a delivery": 9.5, "deliveries/s": 18_000.0}, ok=False, disturbed=True
    ),
]


def test_a_table_has_a_row_for_each_size_and_says_what_is_wrong_with_it():
    lines = format_curve("rooms", CURVES["rooms"], POINTS).splitlines()

    assert lines[0] == "![server µs for a delivery by rooms of 2](../images/curve-rooms.svg)"
    assert lines[2:] == [
        "| rooms of 2 | server µs for a delivery | deliveries/s |  |",
        "| ---: | ---: | ---: | --- |",
        "| 50 | 8.25 | 20,000 |  |",
        "| 5,000 | 9.50 | 18,000 | failed its checks, disturbed |",
    ]


def test_a_plot_shows_the_first_column():
    drawn = plot_curve(CURVES["rooms"], POINTS)

    assert "<title>50: 8.25</title>" in drawn
    assert "<title>5,000: 9.5</title>" in drawn
    assert "20000" not in drawn


@pytest.mark.parametrize("name", CURVES)
def test_the_documentation_has_a_place_for_each(name: str):
    page = (DOCS / "operations" / "scale.md").read_text("utf-8")
    markers = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"

    assert "the new text" in replace_between_markers(page, "the new text", *markers)


def test_an_unknown_curve_is_refused_before_anything_is_measured():
    result = CliRunner().invoke(app, ["--only", "nothing of the kind"])

    assert result.exit_code == 2
    assert "is none of rooms, players" in result.output


def test_curves_are_chosen_by_name_and_by_group_each_once():
    assert _chosen(["memory,connections", " games", "nodes"]) == [
        "connections",
        "nodes",
        "lobbies",
        "games",
        "game-watchers",
    ]
