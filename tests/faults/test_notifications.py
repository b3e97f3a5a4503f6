"""Followers are notified once of a creation, at whatever point the server is killed."""

import asyncio

import asyncpg
import pytest

from tests.faults.client_line import new_guests, until
from tests.faults.conftest import Nodes, Rounds
from tests.faults.proxy import Loss, Proxy
from tests.faults.table import Figures

pytestmark = pytest.mark.slow

FOLLOWERS = 7
# Where the server dies: as it begins, in the middle of batches, and while it numbers.
BREAKS = (
    ("UPDATE notification_fanouts", Loss.STATEMENT_LOST, 1),
    ("INSERT INTO notification_fanouts", Loss.ANSWER_KEPT, 0),
    ("nextval", Loss.ANSWER_KEPT, 0),
    ("INSERT INTO notifications", Loss.ANSWER_KEPT, 1),
    ("UPDATE notification_fanouts", Loss.ANSWER_KEPT, 2),
)
LEASES_END = "UPDATE event_outbox SET next_attempt_at = now() WHERE done_at IS NULL"
WAITS = """
    SELECT EXISTS (SELECT FROM event_outbox WHERE done_at IS NULL)
        OR EXISTS (SELECT FROM notification_fanouts WHERE finished_at IS NULL)
        OR EXISTS (SELECT FROM notifications WHERE seq IS NULL)
"""


async def test_followers_are_notified_once_by_servers_that_are_killed(
    nodes: Nodes, proxy: Proxy, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn, notifications_batch_people=2)
    owner = await asyncpg.connect(fresh_dsn)
    ada, *followers = [guest.session["user_id"] for guest in await new_guests(node, FOLLOWERS + 1)]
    await owner.executemany(
        "INSERT INTO follows (follower_id, following_id, notify_creations) VALUES ($1, $2, true)",
        [(follower, ada) for follower in followers],
    )
    await owner.execute("DELETE FROM notifications")

    async def is_done() -> bool:
        return not await owner.fetchval(WAITS)

    await until(is_done)
    breaks = BREAKS[: rounds(2, len(BREAKS))]
    for statement, loss, passes in breaks:
        trap = proxy.trap(statement, loss, passes=passes)
        creation = await owner.fetchval(
            "INSERT INTO creations (user_id, title, type, status, is_public)"
            " VALUES ($1, 'A lake', 'image', 'published', true) RETURNING id",
            ada,
        )
        await trap.springs()
        if loss is Loss.ANSWER_KEPT:
            await trap.has_answer()
        node.kill()
        proxy.hang_up()
        await asyncio.to_thread(node.start)
        await owner.execute(LEASES_END)
        await until(is_done)
        told = await owner.fetch(
            "SELECT user_id::text FROM notifications WHERE creation_id = $1 ORDER BY 1", creation
        )
        assert [user_id for (user_id,) in told] == sorted(followers)
        figures.count("kills while followers are notified survived")
    numbers = await owner.fetch("SELECT seq FROM notifications ORDER BY seq")
    assert len({seq for (seq,) in numbers}) == len(numbers) == FOLLOWERS * len(breaks)
    await owner.close()
