"""The arena at a terminal: what is drawn, and what keys mean."""

from io import StringIO

import pytest
from rich.console import Console

from loadtest.terminal.arena import ArenaScreen

RUNNER = {"gems": 0, "stunned": False, "dashing": False}
VIEW = {
    "field": 1000,
    "left_s": 61,
    "runners": {
        "0": {**RUNNER, "x": 0, "y": 0, "gems": 3},
        "1": {**RUNNER, "x": 1000, "y": 1000, "dashing": True},
    },
    "gems": {"4": [500, 0], "7": [0, 500]},
    "over": False,
}
SCREEN = ArenaScreen(0, ["Ann", "Wanderer 1"])


def drawn(columns: int, rows: int) -> list[str]:
    console = Console(file=StringIO(), width=columns)
    with console.capture() as captured:
        console.print(SCREEN.draw(VIEW, columns=columns, rows=rows))
    return captured.get().splitlines()


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (200, 60), (24, 12)])
def test_field_is_drawn_as_large_as_it_fits(columns: int, rows: int) -> None:
    lines = drawn(columns, rows)
    assert max(map(len, lines)) <= columns
    assert len(lines) < rows
    assert "1:01" in lines[0]
    field = [line for line in lines if line.startswith("|")]
    assert {len(line) for line in field} == {len(field[0])}
    assert field[0].startswith("|@")
    assert field[0].count("*") == 1
    assert field[-1].endswith("2|")


def test_scores_name_everybody() -> None:
    assert "@ You 3" in drawn(80, 24)[0]
    assert "2 Wanderer 1 0" in drawn(80, 24)[0]


def test_keys_are_moves() -> None:
    assert SCREEN.read_key(" ") == {"type": "dash"}
    assert SCREEN.read_key("up") == SCREEN.read_key("W") == {"type": "steer", "x": 0, "y": -1}
    assert SCREEN.read_key("c") == {"type": "steer", "x": 1, "y": 1}
    assert SCREEN.read_key("x") == {"type": "steer", "x": 0, "y": 0}
    assert SCREEN.read_key("p") is None


def test_program_goes_to_the_nearest_gem() -> None:
    assert SCREEN.choose_move(VIEW) in (
        {"type": "steer", "x": 1, "y": 0},
        {"type": "steer", "x": 0, "y": 1},
    )
    assert SCREEN.choose_move({**VIEW, "gems": {}}) is None
    assert ArenaScreen(2, []).choose_move(VIEW) is None
