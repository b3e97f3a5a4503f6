"""Likes and their counters agree, at whatever moment a server is killed in a storm of them."""

import asyncio
from contextlib import suppress
from random import Random
from typing import Final

import aiohttp
import asyncpg
import pytest

from tests.faults.client_line import Guest, new_guests
from tests.faults.conftest import Nodes, Rounds
from tests.faults.table import Figures
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.integration.social.world import WRONG_COUNTERS

pytestmark = pytest.mark.slow

PEOPLE: Final = 6
LIKES_BEFORE_KILL: Final = 40
# A like that was acknowledged, or the one that was asked for after it, which may have been stored.
Wanted = dict[tuple[str, str], set[bool]]


class Storm:
    """People who like two creations and take it back, and what they were told."""

    def __init__(self, node: Node, creations: list[str], chance: Random) -> None:
        self._node = node
        self._creations = creations
        self._chance = chance
        self.acknowledged = 0
        self.wanted: Wanted = {}
        self.enough = asyncio.Event()

    async def run(self, who: Guest) -> None:
        """Go on until the server is gone."""
        async with aiohttp.ClientSession(self._node.url, headers=bearer(who.token)) as web:
            with suppress(aiohttp.ClientError):
                while True:
                    await self._step(web, str(who.session["user_id"]))

    async def _step(self, web: aiohttp.ClientSession, person: str) -> None:
        creation, likes = self._chance.choice(self._creations), self._chance.random() < 0.6
        states = self.wanted.setdefault((person, creation), {False})
        states.add(likes)
        method = "PUT" if likes else "DELETE"
        async with web.request(method, f"/v1/creations/{creation}/like") as answer:
            assert answer.status == 200, await answer.text()
            assert (await answer.json())["is_liked"] is likes
        self.wanted[person, creation] = {likes}
        self.acknowledged += 1
        if self.acknowledged >= LIKES_BEFORE_KILL:
            self.enough.set()


async def test_likes_and_counters_agree_when_the_server_is_killed_in_a_storm(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", serving_dsn, reactions_likes_per_minute=1_000_000)
    owner = await asyncpg.connect(fresh_dsn)
    ada, *people = await new_guests(node, PEOPLE + 1)
    creations = [
        str(
            await owner.fetchval(
                "INSERT INTO creations (user_id, title, type, status, is_public)"
                " VALUES ($1, 'A lake', 'image', 'published', true) RETURNING id",
                ada.session["user_id"],
            )
        )
        for _ in range(2)
    ]
    known: Wanted = {}
    for seed in range(rounds(2, 30)):
        storm = Storm(node, creations, Random(seed))
        storm.wanted = known
        running = [asyncio.create_task(storm.run(person)) for person in people]
        enough = asyncio.create_task(storm.enough.wait())
        await asyncio.wait([enough, *running], return_when=asyncio.FIRST_COMPLETED)
        node.kill()
        await asyncio.gather(enough, *running)
        # What the server had sent to the database may end after it.
        await owner.execute(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert await owner.fetch(WRONG_COUNTERS) == []
        rows = await owner.fetch("SELECT user_id::text, creation_id::text FROM likes")
        liked = {tuple(row) for row in rows}
        assert len(liked) == len(rows)
        for like, states in known.items():
            assert (like in liked) in states, like
            known[like] = {like in liked}
        doubled = await owner.fetch(
            "SELECT actor_id, creation_id FROM notifications WHERE type = 'creation_liked'"
            " GROUP BY 1, 2 HAVING count(*) > 1"
        )
        assert doubled == []
        figures.count("kills in a storm of likes survived")
        await asyncio.to_thread(node.start)
    await owner.close()
