"""How many guests one network may make."""

from server.domains.accounts.rates import Rate, Rates
from server.gateway.limits import network_of


class GuestLimits:
    """A bucket for each network that asked lately; the longest silent ones are forgotten."""

    def __init__(self, per_minute: float) -> None:
        self._rates = Rates(Rate(per_minute, burst=max(1.0, per_minute)))

    def __len__(self) -> int:
        return len(self._rates)

    def may(self, address: str, now: float) -> bool:
        """Count one more guest from an address at a monotonic time in seconds, or say no."""
        return self._rates.may(network_of(address), now)
