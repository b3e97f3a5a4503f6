"""The job that clears tables by age."""

from server.core.containment import FAILURES
from server.core.retention import DELETED_AT_ONCE, LOOK_EVERY_S, RetentionJob, RetentionSweep


async def test_each_table_is_cleared_in_batches_when_its_turn_comes() -> None:
    now, old, looks = 0.0, 2 * DELETED_AT_ONCE + 3, 0

    async def some(*, limit: int) -> int:
        nonlocal old
        gone = min(old, limit)
        old -= gone
        return gone

    async def seldom(*, limit: int) -> int:
        nonlocal looks
        looks += 1
        return limit - limit

    async def broken(*, limit: int) -> int:
        raise RuntimeError(limit)

    failures = FAILURES.total
    sweeps = [
        RetentionSweep("broken", broken),
        RetentionSweep("some", some),
        RetentionSweep("seldom", seldom, every_s=3 * LOOK_EVERY_S),
    ]
    job = RetentionJob(sweeps, now=lambda: now)
    for _ in range(6):
        now += LOOK_EVERY_S
        await job.run_due()
    assert (old, looks) == (0, 2)
    assert job.deleted == {"broken": 0, "some": 2 * DELETED_AT_ONCE + 3, "seldom": 0}
    assert FAILURES.total == failures + 6
