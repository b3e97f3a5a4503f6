"""Rate limits that hold over all nodes together, for what guesses at secrets.

Each node counts in its own memory, and tells the others through the broker what it counted. So a
limit costs nothing to ask, and a guess that is spread over the nodes meets the same limit as one
that is not, but for what is on its way. Without a broker, or while it is away, each node allows as
much as one would.

Keys are digests here: what is limited may be an email address, and is nobody's business but ours.
"""

from collections.abc import Callable, Hashable
from functools import partial
from hashlib import blake2b
from typing import Final

from server.core.rate_limits import RateLimiter
from server.core.subscriptions import Subscriptions, TopicKind

DIGEST_BYTES: Final = 16
ALL: Final = "all"


class SharedLimits:
    """The limiters of this node that count what other nodes count; `now` as their users have it."""

    def __init__(self, subscriptions: Subscriptions, now: Callable[[], float]) -> None:
        self._subscriptions = subscriptions
        self._now = now
        self._limiters: dict[str, RateLimiter] = {}
        self._kind: TopicKind[object] = subscriptions.kind("limits")
        self._kind.subscribe(ALL, self, self._receive)

    def add(self, limiter: RateLimiter) -> RateLimiter:
        """Share a limiter with the limiters of its policy on other nodes; gives it back.

        Raise `ValueError` where there is one of that policy already.
        """
        if limiter.policy in self._limiters:
            raise ValueError(f"the limiter {limiter.policy} is shared already")
        self._limiters[limiter.policy] = limiter
        limiter.share(name_key, partial(self._announce, limiter.policy))
        return limiter

    def _announce(self, policy: str, key: Hashable) -> None:
        if self._subscriptions.has_peers:
            assert isinstance(key, bytes)
            self._kind.notify(ALL, payload=key + policy.encode())

    def _receive(self, counted: bytes) -> None:
        limiter = self._limiters.get(counted[DIGEST_BYTES:].decode(errors="replace"))
        if limiter is not None:
            limiter.count_elsewhere(counted[:DIGEST_BYTES], self._now())


def name_key(key: Hashable) -> Hashable:
    """Name a key as all nodes do, without saying what it is."""
    return blake2b(repr(key).encode(), digest_size=DIGEST_BYTES).digest()
