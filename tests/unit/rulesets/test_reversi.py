"""Reversi: discs that turn, turns that are passed, and clocks that decide."""

import pytest

from server.gamekit.clocks import TimeControl
from server.gamekit.conformance.playout import START_MS, Playout
from server.gamekit.contract import IllegalMove
from server.rulesets.reversi import RULESET
from server.rulesets.reversi.ruleset import open_cells, turned_by

# Dark, light and empty, as in the picture of a board.
SEATS = {"x": 0, "o": 1, ".": None}


def game(**clock: object) -> Playout:
    control = TimeControl(**clock) if clock else TimeControl()
    return Playout(RULESET, 2, "reversi", config=RULESET.config(clock=control)).start()


def board(*rows: str) -> list[int | None]:
    lines = [row.ljust(8, ".") for row in rows]
    return [SEATS[c] for row in [*lines, *["." * 8] * (8 - len(lines))] for c in row]


def place(cell: int) -> dict[str, object]:
    return {"type": "place", "cell": cell}


def test_opening_has_the_four_moves_that_it_always_has():
    playout = game()
    assert playout.view(0)["legal_moves"] == [place(cell) for cell in (19, 26, 37, 44)]
    assert playout.view(1)["legal_moves"] == []
    playout.act(0, place(19))
    assert playout.view(None)["discs"] == [4, 1]


@pytest.mark.parametrize(
    ("rows", "cell", "turned"),
    [
        (["xoo."], 3, [1, 2]),
        (["xoo"], 4, []),  # not next to the line
        ([".oo."], 3, []),  # nothing of one's own at its end
        (["x...x", ".o.o", "..."], 18, [9, 11]),
        (["ooooooo.", "........"], 7, []),
    ],
)
def test_disc_turns_what_it_closes_in(rows, cell, turned):
    assert turned_by(board(*rows), cell, 0) == turned


def test_player_who_cannot_place_a_disc_is_passed_over():
    playout = game()
    playout.fold.state.board[:] = board("xo......", "........", "xoo.....")
    (placed, passed) = RULESET.decide(playout.fold.state, 0, 2)
    assert placed.payload["turned"] == [1]
    assert passed.type == "turn_passed"
    assert passed.payload["player_id"] == "player-1"


def test_board_on_which_nobody_can_play_ends_the_game():
    playout = game()
    playout.fold.state.board[:] = board("xo.")
    playout.act(0, place(2))
    assert playout.completed
    assert playout.log[-1].payload["final_scores"] == {"player-0": 3, "player-1": 0}


def test_disc_that_turns_nothing_is_refused():
    with pytest.raises(IllegalMove, match="turn no other"):
        game().act(0, place(0))


def test_clock_that_reaches_zero_loses_whatever_the_board_shows():
    playout = game(main_s=60, increment_s=2)
    playout.now_ms = 10_000
    playout.act(0, place(19))  # 52 s are left to dark, and light's clock runs from here
    assert playout.fold.timer.at_ms == START_MS + 10_000 + 60_000
    playout.fire_timer()
    assert playout.completed
    assert playout.log[-2].type == "time_ran_out"
    assert playout.log[-2].payload["player_id"] == "player-1"
    assert playout.log[-1].payload["winners"] == ["player-0"]
    assert playout.view(None)["clock"]["seats"][0]["main_ms"] == 52_000


def test_better_bot_wins_most_of_its_games():
    bots = ("corners_then_few", "random")
    won = 0
    for seed in range(20):
        seated = bots if seed % 2 else bots[::-1]
        playout = Playout(RULESET, 2, f"bots {seed}", bots=seated).start().play()
        won += f"player-{seated.index(bots[0])}" in playout.log[-1].payload["winners"]
    assert won >= 14


def test_every_opening_cell_is_found_once():
    cells = open_cells(board("xo..", "oo..", "...."), 0)
    assert cells == sorted(set(cells))
