"""Events reach their webhooks at least once, at whatever point the server is killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from random import Random
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.faults.conftest import Nodes, Rounds
from tests.faults.proxy import Loss, Proxy
from tests.faults.recording import PATIENCE_S, PAUSE_S
from tests.faults.table import Figures
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.receiver import Receiver, listening

pytestmark = pytest.mark.slow

# The statements between a commit and the note that a webhook has the event, and how each is lost.
BREAKS = (
    ("INSERT INTO webhook_deliveries", Loss.STATEMENT_LOST),
    ("INSERT INTO webhook_deliveries", Loss.ANSWER_KEPT),
    ("UPDATE event_outbox SET done_at", Loss.STATEMENT_LOST),
    ("UPDATE event_outbox SET done_at", Loss.ANSWER_KEPT),
    ("SET state = 'delivered'", Loss.STATEMENT_LOST),
    ("SET state = 'delivered'", Loss.ANSWER_KEPT),
)
# What other nodes would wait for: the leases of the one that died.
LEASES_END = """
    UPDATE event_outbox SET next_attempt_at = now() WHERE done_at IS NULL;
    UPDATE webhook_deliveries SET next_attempt_at = now() WHERE state = 'pending';
"""


class Scene:
    """A node, its database as the superuser, and a receiver of `user.created`."""

    def __init__(self, node: Node, owner: asyncpg.Connection, receiver: Receiver) -> None:
        self.node = node
        self.owner = owner
        self.receiver = receiver
        self.secret = ""

    async def guest(self) -> Any:
        async with (
            aiohttp.ClientSession(self.node.url) as web,
            web.post("/v1/auth/guest", json={}, raise_for_status=True) as answer,
        ):
            return await answer.json()

    async def add_webhook(self) -> None:
        """Make a webhook, as an admin does; it gets nothing of the admin, who was there before."""
        admin = await self.guest()
        await self.owner.execute(
            "INSERT INTO account_roles (user_id, role) VALUES ($1, 'admin')", admin["user_id"]
        )
        async with asyncio.timeout(PATIENCE_S):
            while await self._waits():
                await asyncio.sleep(PAUSE_S)
        await self.owner.execute("DELETE FROM event_outbox")
        hook = {"url": self.receiver.url, "events": ["user.created"]}
        headers = bearer(admin["access_token"])
        async with (
            aiohttp.ClientSession(self.node.url) as web,
            web.post(
                "/v1/admin/webhooks", json=hook, headers=headers, raise_for_status=True
            ) as answer,
        ):
            self.secret = (await answer.json())["secret"]

    async def restart(self) -> None:
        await asyncio.to_thread(self.node.start)
        await self.owner.execute(LEASES_END)

    def ids_by_user(self) -> dict[str, set[str]]:
        """Give the messages that came, by the user whom they are about; each must be signed."""
        found: dict[str, set[str]] = {}
        for request in self.receiver.received:
            message = request.verified(self.secret)
            ids = found.setdefault(message["data"]["user_id"], set())
            ids.add(request.headers["webhook-id"])
        return found

    async def expected(self) -> set[str]:
        """Read which users the server has to send something of."""
        rows = await self.owner.fetch("SELECT payload ->> 'user_id' FROM event_outbox")
        return {user_id for (user_id,) in rows}

    async def arrive(self) -> None:
        """Wait until every event has arrived and is noted; each as one message, however often."""
        async with asyncio.timeout(PATIENCE_S):
            while self.ids_by_user().keys() < await self.expected() or await self._waits():
                await asyncio.sleep(PAUSE_S)
        assert self.ids_by_user().keys() == await self.expected()
        assert {len(ids) for ids in self.ids_by_user().values()} == {1}

    async def _waits(self) -> bool:
        return bool(
            await self.owner.fetchval(
                "SELECT EXISTS (SELECT FROM event_outbox WHERE done_at IS NULL)"
                " OR EXISTS (SELECT FROM webhook_deliveries WHERE state <> 'delivered')"
            )
        )


@pytest.fixture
async def scene(nodes: Nodes, proxy: Proxy, fresh_dsn: str) -> AsyncIterator[Scene]:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn, webhooks_private="true")
    owner = await asyncpg.connect(fresh_dsn)
    async with listening() as receiver:
        scene = Scene(node, owner, receiver)
        await scene.add_webhook()
        yield scene
    await owner.close()


async def test_event_of_a_server_killed_before_it_delivers_is_delivered(
    scene: Scene, proxy: Proxy, figures: Figures
) -> None:
    trap = proxy.trap("UPDATE event_outbox o", Loss.ANSWER_KEPT)
    await trap.has_answer()  # whoever delivers waits for the answer to a look, and gets none
    guest = await scene.guest()
    assert await scene.expected() == {guest["user_id"]}
    scene.node.kill()
    proxy.hang_up()
    assert scene.receiver.received == []
    await scene.restart()
    await scene.arrive()
    figures.count("kills between an event and its delivery survived")


@pytest.mark.parametrize(("statement", "loss"), BREAKS)
async def test_event_of_a_server_killed_while_it_delivers_is_delivered(
    scene: Scene, proxy: Proxy, figures: Figures, statement: str, loss: Loss
) -> None:
    trap = proxy.trap(statement, loss)
    await scene.guest()
    await trap.springs()
    if loss is Loss.ANSWER_KEPT:
        await trap.has_answer()
    scene.node.kill()
    proxy.hang_up()
    await scene.restart()
    await scene.arrive()
    figures.count("kills between an event and its delivery survived")


async def test_servers_killed_at_any_moment_lose_no_event(
    scene: Scene, proxy: Proxy, rounds: Rounds, figures: Figures
) -> None:
    chance = Random(12)
    kills = rounds(3, 20)

    over = asyncio.Event()

    async def come() -> None:
        while not over.is_set():
            with suppress(aiohttp.ClientError, OSError):
                await scene.guest()
            await asyncio.sleep(PAUSE_S)

    async with asyncio.TaskGroup() as group:
        group.create_task(come())
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.2, 2.5))
            scene.node.kill()
            proxy.hang_up()
            await scene.restart()
            figures.count("kills between an event and its delivery survived")
        over.set()
    await scene.owner.execute(LEASES_END)
    await scene.arrive()
    users = await scene.owner.fetchval("SELECT count(*) FROM auth.users")
    assert len(scene.ids_by_user()) == users - 1, "all but the admin"
    figures.count("events delivered", len(scene.ids_by_user()))
    figures.count("of them more than once", len(scene.receiver.received) - len(scene.ids_by_user()))
