"""Glicko-2 against the figures of its author's paper, and what any rating must do."""

import pytest

from server.domains.compete.ratings.glicko2 import Glicko, GlickoGame, rate_period


def test_example_of_the_paper_is_reproduced() -> None:
    opponents = [(1400, 30, 1), (1550, 100, 0), (1700, 300, 0)]
    games = [GlickoGame(Glicko(rating, rd), score) for rating, rd, score in opponents]
    after = rate_period(Glicko(1500, 200, 0.06), games)
    # The paper rounds on the way: 1464.06, 151.52 and 0.05999.
    assert after.rating == pytest.approx(1464.05, abs=0.02)
    assert after.deviation == pytest.approx(151.52, abs=0.01)
    assert after.volatility == pytest.approx(0.059996, abs=0.000001)


@pytest.mark.parametrize("level", [800.0, 1500.0, 2600.0])
def test_only_the_difference_of_ratings_counts(level: float) -> None:
    """What the package `glicko2` gets wrong: its volatility depends on the level."""

    def gained(at: float) -> tuple[float, float, float]:
        games = [GlickoGame(Glicko(at + 200, 60), 1)]
        after = rate_period(Glicko(at, 90, 0.06), games)
        return after.rating - at, after.deviation, after.volatility

    assert gained(level) == pytest.approx(gained(1500.0), abs=1e-9)


def test_surprising_results_raise_volatility_and_expected_ones_do_not() -> None:
    player = Glicko(1500, 50, 0.06)
    upset = rate_period(player, [GlickoGame(Glicko(2200, 50), 1)] * 5)
    expected = rate_period(player, [GlickoGame(Glicko(800, 50), 1)] * 5)
    assert upset.volatility > 0.06 > expected.volatility
    assert upset.rating > expected.rating > 1500
