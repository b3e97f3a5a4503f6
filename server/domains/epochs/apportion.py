"""Divide a whole number of units by weight, exactly (Hamilton's largest-remainder method)."""

from collections.abc import Mapping


def apportion(units: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Give everybody a whole number of units, `units` in all.

    `weights` are not negative. Each gets what is due, rounded down; what is then left goes one
    unit each to the largest remainders, ties by id. All weights 0: nobody gets anything.
    """
    total = sum(weights.values())
    if not total:
        return dict.fromkeys(weights, 0)
    shares = {who: units * weight // total for who, weight in weights.items()}
    left = units - sum(shares.values())
    by_remainder = sorted(weights, key=lambda who: (-(units * weights[who] % total), who))
    for who in by_remainder[:left]:
        shares[who] += 1
    return shares
