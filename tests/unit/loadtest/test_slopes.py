"""Slopes: what one more costs, and how sure that is."""

import pytest

from loadtest.benching.slopes import fit_slope


def test_points_on_a_line_give_its_slope_without_a_margin():
    slope = fit_slope([(0, 100), (500, 1100), (1000, 2100), (1500, 3100)])

    assert slope.value == pytest.approx(2)
    assert slope.margin == pytest.approx(0)


def test_scattered_points_give_the_margin_of_95_percent():
    # The squares of what is left add up to 2.4, over three degrees of freedom and a spread of 10;
    # Student's t for three is 3.18.
    slope = fit_slope([(1, 2), (2, 4), (3, 5), (4, 4), (5, 5)])

    assert slope.value == pytest.approx(0.6)
    assert slope.margin == pytest.approx(3.18 * (2.4 / 3 / 10) ** 0.5)


def test_a_level_line_has_a_margin_that_includes_zero():
    slope = fit_slope([(0, 5), (1, 6), (2, 5), (3, 6), (4, 5)])

    assert abs(slope.value) <= slope.margin


def test_two_points_are_too_few():
    with pytest.raises(ValueError, match="need three points"):
        fit_slope([(0, 1), (1, 2)])
