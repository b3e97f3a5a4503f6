"""How often something may be tried, counted by network and by account or address."""

from collections.abc import Callable, Hashable

from server.kernel.ratelimits import Rate, RateLimiter, network_of

__all__ = ["Attempts", "Rate"]


class Attempts:
    """What may be tried from one network and on one account; `now` gives monotonic seconds."""

    def __init__(self, *, network: Rate, account: Rate, now: Callable[[], float]) -> None:
        self._networks = RateLimiter(network, "Too many attempts from your network")
        self._accounts = RateLimiter(account, "Too many attempts for this account")
        self._now = now

    def count(self, *, remote: str, account: Hashable) -> None:
        """Count one more; raise `RateLimited`."""
        now = self._now()
        self._networks.require(network_of(remote), now)
        self._accounts.require(account, now)
