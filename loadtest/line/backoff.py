"""How long to wait before trying again: full jitter, so that a crowd does not come at once."""

import random
from typing import Final

BASE_S: Final = 0.1
CAP_S: Final = 10.0


def full_jitter_s(attempt: int, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """Draw a pause: anything from 0 to a bound that doubles with each attempt, up to a cap."""
    return random.uniform(0, min(cap_s, base_s * 2 ** min(attempt, 30)))  # noqa: S311 - no secret
