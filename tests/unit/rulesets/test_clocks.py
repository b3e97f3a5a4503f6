"""Clocks: what each control leaves after moves, and when the flag falls."""

import pytest
from pydantic import ValidationError

from server.gamekit.clocks import GameClock, TimeControl

START_MS = 1_000_000


def clock_after(control: TimeControl, *took_s: float) -> GameClock:
    """Let two seats move in turn, each after so many seconds; the next one's clock runs."""
    clock, at_ms = GameClock.of_seats(control, 2), START_MS
    clock.start(0, at_ms)
    for number, seconds in enumerate(took_s, start=1):
        at_ms += round(seconds * 1000)
        clock.start(number % 2, at_ms)
    return clock


def left_s(clock: GameClock) -> float:
    """Say after how long the running clock reaches zero."""
    assert clock.flag_at_ms is not None
    return (clock.flag_at_ms - clock.since_ms) / 1000


@pytest.mark.parametrize(
    ("control", "took_s", "expected"),
    [
        # Every move has the same time.
        ({"kind": "per_move", "main_s": 30, "increment_s": 0}, (29, 5), 30),
        # Fischer: 60 - 10 + 3, whatever the other took.
        ({"kind": "fischer", "main_s": 60, "increment_s": 3}, (10, 40), 53),
        ({"kind": "fischer", "main_s": 60, "increment_s": 3}, (1, 40, 1, 40), 64),
        # Bronstein gives back what was used, and never more; its move may take that much longer.
        ({"kind": "bronstein", "main_s": 60, "increment_s": 5}, (3, 40), 60 + 5),
        ({"kind": "bronstein", "main_s": 60, "increment_s": 5}, (8, 40), 57 + 5),
        # Byo-yomi: the main time first, then whole periods.
        ({"kind": "byo_yomi", "main_s": 10, "increment_s": 30, "periods": 3}, (4, 1), 6 + 90),
        ({"kind": "byo_yomi", "main_s": 10, "increment_s": 30, "periods": 3}, (35, 1), 90),
        ({"kind": "byo_yomi", "main_s": 10, "increment_s": 30, "periods": 3}, (45, 1), 60),
        ({"kind": "byo_yomi", "main_s": 0, "increment_s": 30, "periods": 3}, (61, 1), 30),
    ],
)
def test_control_leaves_the_time_that_it_should(control, took_s, expected):
    assert left_s(clock_after(TimeControl(**control), *took_s)) == expected


def test_stopped_clock_has_no_flag_and_a_clock_that_went_backwards_costs_nothing():
    clock = clock_after(TimeControl(main_s=60, increment_s=0), 10)
    clock.stop(clock.since_ms - 5000)
    assert clock.flag_at_ms is None
    clock.start(1, START_MS)
    assert left_s(clock) == 60


@pytest.mark.parametrize(
    ("control", "problem"),
    [
        ({"kind": "byo_yomi", "main_s": 10}, "periods"),
        ({"kind": "byo_yomi", "periods": 2, "increment_s": 0}, "increment_s"),
        ({"kind": "fischer", "periods": 2}, "only byo_yomi"),
        ({"kind": "fischer", "main_s": 0}, "main_s"),
        ({"kind": "hourglass"}, "kind"),
        ({"main_s": float("inf")}, "main_s"),
    ],
)
def test_control_that_makes_no_sense_is_refused_with_its_field(control, problem):
    with pytest.raises(ValidationError, match=problem):
        TimeControl(**control)
