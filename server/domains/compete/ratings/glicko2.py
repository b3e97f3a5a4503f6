"""Glicko-2, after Mark E. Glickman, "Example of the Glicko-2 system" (2022). Pure.

The steps and the letters are those of the paper. It is written out here because the packages that
offer it are unmaintained or wrong: `glicko2` 2.1 uses the rating where step 5 needs its deviation,
so volatility there depends on how far a player is from 1500.

One game is a rating period, so a player is updated after each of them, against what the opponent
was before it.
"""

from math import exp, log, pi, sqrt
from typing import Final, NamedTuple

SCALE: Final = 173.7178
CENTRE: Final = 1500.0
TAU: Final = 0.5  # how much volatility may change
CONVERGED: Final = 1e-6
# The iteration of step 5 needs some ten rounds; this many are never needed.
ROUNDS_MAX: Final = 1000


class Glicko(NamedTuple):
    """A rating, its deviation, and the volatility of the player's strength."""

    rating: float = CENTRE
    deviation: float = 350.0
    volatility: float = 0.06


class GlickoGame(NamedTuple):
    """A game of the period: the opponent as before it, and 1, 0.5 or 0 for the player."""

    opponent: Glicko
    score: float


def rate_period(player: Glicko, games: list[GlickoGame]) -> Glicko:
    """Update a player after the games of a period."""
    mu, phi = (player.rating - CENTRE) / SCALE, player.deviation / SCALE  # step 2
    weights, surprise = 0.0, 0.0
    for opponent, score in games:  # steps 3 and 4
        g = _g(opponent.deviation / SCALE)
        expected = _expected(mu, (opponent.rating - CENTRE) / SCALE, g)
        weights += g * g * expected * (1 - expected)
        surprise += g * (score - expected)
    v = 1 / weights
    sigma = _volatility(player.volatility, phi, v, v * surprise)  # step 5
    before = sqrt(phi * phi + sigma * sigma)  # step 6
    after = 1 / sqrt(1 / (before * before) + 1 / v)  # step 7
    return Glicko((mu + after * after * surprise) * SCALE + CENTRE, after * SCALE, sigma)  # step 8


def _g(phi: float) -> float:
    return 1 / sqrt(1 + 3 * phi * phi / (pi * pi))


def _expected(mu: float, opponent: float, g: float) -> float:
    return 1 / (1 + exp(-g * (mu - opponent)))


def _volatility(sigma: float, phi: float, v: float, delta: float) -> float:
    """Solve step 5 by the Illinois algorithm, as the paper does."""
    a = log(sigma * sigma)

    def f(x: float) -> float:
        e = exp(x)
        denominator = phi * phi + v + e
        return e * (delta * delta - denominator) / (2 * denominator * denominator) - (x - a) / (
            TAU * TAU
        )

    low = a
    if delta * delta > phi * phi + v:
        high = log(delta * delta - phi * phi - v)
    else:
        k = 1
        while f(a - k * TAU) < 0 and k < ROUNDS_MAX:
            k += 1
        high = a - k * TAU
    f_low, f_high = f(low), f(high)
    for _ in range(ROUNDS_MAX):
        if abs(high - low) <= CONVERGED:
            break
        middle = low + (low - high) * f_low / (f_high - f_low)
        f_middle = f(middle)
        if f_middle * f_high <= 0:
            low, f_low = high, f_high
        else:
            f_low /= 2
        high, f_high = middle, f_middle
    return exp(low / 2)
