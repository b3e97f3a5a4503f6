"""A straight line through measured points: how fast something grows, and how sure that is."""

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

# Student's t for 95 %, by degrees of freedom from 1 on; for more, the last one is a little wide.
_T_95: Final = (
    *(12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23),
    *(2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09),
    *(2.08, 2.07, 2.07, 2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04),
)


class Slope(NamedTuple):
    """What one more costs: the true value is within `margin` of `value` in 95 of 100 cases.

    That holds for points that scatter independently of each other. Samples of one process over
    time do so only roughly, so their margin is rather too small.
    """

    value: float
    margin: float


def fit_slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Fit a line by least squares through at least three points that do not lie above each other.

    Raise `ValueError` for fewer points.
    """
    count = len(points)
    if count < 3:
        raise ValueError(f"a slope and its margin need three points, and there are {count}")
    middle_x = sum(x for x, _ in points) / count
    middle_y = sum(y for _, y in points) / count
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in points) / spread
    left = sum((y - middle_y - slope * (x - middle_x)) ** 2 for x, y in points)
    freedom = count - 2
    error = sqrt(left / freedom / spread)
    return Slope(slope, _T_95[min(freedom, len(_T_95)) - 1] * error)
