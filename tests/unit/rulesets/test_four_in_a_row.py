"""Four in a row."""

import pytest

from server.gamekit.conformance.playout import Playout
from server.gamekit.contract import Payload
from server.rulesets.four_in_a_row import RULESET

# Fills the board without a line: columns in the order of play.
DRAWN = [*[0, 1] * 3, *[1, 0] * 3, *[2, 3] * 3, *[3, 2] * 3, *[4, 5] * 3, *[5, 4] * 3, *[6] * 6]


def drop(column: int) -> Payload:
    return {"type": "drop", "column": column}


def game(columns: list[int], bots: tuple[str, ...] = ()) -> Playout:
    playout = Playout(RULESET, 2, "four", bots=bots).start()
    for column in columns:
        assert playout.fold.turn is not None
        playout.act(playout.fold.turn.seats[0], drop(column))
    return playout


def result(playout: Playout) -> list[tuple[int, bool]]:
    outcome = playout.fold.outcome()
    assert outcome is not None
    return [(standing.score, standing.is_winner) for standing in outcome.standings]


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ([0, 1, 0, 1, 0, 1, 0], [[0, 0], [0, 1], [0, 2], [0, 3]]),
        ([0, 0, 1, 1, 3, 3, 2], [[0, 0], [1, 0], [2, 0], [3, 0]]),
        ([0, 1, 1, 2, 2, 3, 2, 3, 3, 6, 3], [[0, 0], [1, 1], [2, 2], [3, 3]]),
        ([6, 5, 5, 4, 4, 3, 4, 3, 3, 0, 3], [[3, 3], [4, 2], [5, 1], [6, 0]]),
        ([0, 0, 1, 1, 2, 2, 4, 4, 5, 5, 3], [[c, 0] for c in range(6)]),
    ],
)
def test_four_or_more_in_a_line_win(columns: list[int], line: list[list[int]]) -> None:
    playout = game(columns)
    assert playout.completed
    assert result(playout) == [(1, True), (0, False)]
    assert playout.view(None)["line"] == line


def test_three_in_a_line_do_not_win() -> None:
    assert not game([0, 1, 0, 1, 0, 1]).completed


def test_line_does_not_wrap_around_the_edge() -> None:
    assert not game([5, 0, 6, 1, 0]).completed


def test_full_board_without_a_line_is_a_draw() -> None:
    playout = game(DRAWN)
    assert playout.log[-2].type == "board_filled"
    assert result(playout) == [(0, False), (0, False)]


def test_full_column_is_refused() -> None:
    playout = game([3] * 6)
    refusal = playout.refusal(0, drop(3))
    assert refusal is not None
    assert refusal.code == "column_full"
    assert drop(3) not in playout.view(0)["legal_moves"]


@pytest.mark.parametrize(
    "move",
    [
        {},
        drop(-1),
        drop(7),
        {"type": "drop", "column": True},
        {"type": "drop", "column": 1.0},
        {"type": "drop"},
        {**drop(1), "extra": 1},
        {"type": "play", "column": 1},
    ],
)
def test_malformed_move_is_unknown(move: Payload) -> None:
    refusal = game([]).refusal(0, move)
    assert refusal is not None
    assert refusal.code == "unknown_move"


def test_seats_alternate() -> None:
    playout = game([3])
    refusal = playout.refusal(0, drop(3))
    assert refusal is not None
    assert refusal.code == "not_your_turn"
    assert playout.refusal(1, drop(3)) is None


@pytest.mark.parametrize("seat", [0, 1])
def test_who_leaves_resigns(seat: int) -> None:
    playout = game([3])
    playout.presence("player_left", seat)
    assert playout.completed
    assert result(playout)[1 - seat] == (1, True)
    refusal = playout.refusal(1, drop(3))
    assert refusal is not None
    assert refusal.code == "invalid_phase"


def test_timeout_drops_into_the_leftmost_open_column() -> None:
    playout = game([0] * 6)
    assert RULESET.timeout_move(playout.fold.state, 0) == drop(1)


def test_leaving_after_the_end_changes_nothing() -> None:
    playout = game([0, 1, 0, 1, 0, 1, 0])
    playout.presence("player_left", 0)
    assert result(playout) == [(1, True), (0, False)]


@pytest.mark.parametrize(
    ("columns", "column"),
    [
        ([0, 1, 0, 1, 0, 1], 0),  # wins rather than blocks
        ([6, 1, 5, 1, 5, 1], 1),  # blocks
        ([], 3),  # takes the centre
    ],
)
def test_bot_wins_else_blocks_else_takes_the_centre(columns: list[int], column: int) -> None:
    playout = game(columns, bots=("win_block_centre",))
    assert playout.bot_move(0) == drop(column)


def test_better_bot_beats_random_clearly() -> None:
    wins = 0
    for number in range(40):
        names = ("win_block_centre", "random") if number % 2 else ("random", "win_block_centre")
        playout = Playout(RULESET, 2, f"duel-{number}", bots=names).start().play()
        wins += result(playout)[names.index("win_block_centre")] == (1, True)
    assert wins > 35
