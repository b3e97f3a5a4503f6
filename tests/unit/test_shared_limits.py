"""Limits that nodes share, between two nodes of one process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from persistence.broker.memory import MemoryBroker, MemoryHub
from protocol.errors import RateLimited
from server.core.rate_limits import Rate, RateLimiter, require_all
from server.core.shared_limits import SharedLimits
from server.core.subscriptions import Subscriptions

WAIT_S = 20


@pytest.fixture
async def pair() -> AsyncIterator[tuple[RateLimiter, RateLimiter]]:
    """The same limiter on two nodes."""
    brokers = [MemoryBroker(hub) for hub in [MemoryHub()] * 2]
    running = [asyncio.create_task(broker.run()) for broker in brokers]
    here, there = (
        SharedLimits(Subscriptions(broker), lambda: 0.0).add(
            RateLimiter("tests", Rate(per_minute=1, burst=3), "Too often")
        )
        for broker in brokers
    )
    await asyncio.sleep(0)
    yield here, there
    for task in running:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def hears_of(limiter: RateLimiter, left: float) -> None:
    async with asyncio.timeout(WAIT_S):
        while limiter.bucket(("ann", "10.0.0.1")).tokens != left:
            await asyncio.sleep(0.001)


async def test_what_one_node_counts_the_other_counts(
    pair: tuple[RateLimiter, RateLimiter],
) -> None:
    here, there = pair
    here.require_allowed(("ann", "10.0.0.1"), 0.0)
    here.require_allowed(("ann", "10.0.0.1"), 0.0)
    await hears_of(there, 1.0)
    there.require_allowed(("ann", "10.0.0.1"), 0.0)
    with pytest.raises(RateLimited):
        there.require_allowed(("ann", "10.0.0.1"), 0.0)
    await hears_of(here, 0.0)
    with pytest.raises(RateLimited):
        here.require_allowed(("ann", "10.0.0.1"), 0.0)
    here.require_allowed(("eve", "10.0.0.1"), 0.0)


async def test_what_was_refused_is_counted_nowhere(
    pair: tuple[RateLimiter, RateLimiter],
) -> None:
    here, there = pair
    full = RateLimiter("other", Rate(per_minute=1, burst=1), "Too often")
    full.require_allowed("ann", 0.0)
    with pytest.raises(RateLimited):
        require_all([(here, ("ann", "10.0.0.1")), (full, "ann")], 0.0)
    here.require_allowed(("ann", "10.0.0.1"), 0.0)  # comes after what must not have come
    await hears_of(there, 2.0)


async def test_a_policy_is_shared_once_a_node() -> None:
    limits = SharedLimits(Subscriptions(MemoryBroker()), lambda: 0.0)
    limits.add(RateLimiter("tests", Rate(1, 1), "Too often"))
    with pytest.raises(ValueError, match="shared already"):
        limits.add(RateLimiter("tests", Rate(1, 1), "Too often"))
