"""A server that is killed while the changes of several lobbies are committed together."""

import asyncio

import asyncpg
import pytest

from tests.faults.client_line import lines, new_guests
from tests.faults.conftest import Nodes
from tests.faults.proxy import Loss, Proxy

pytestmark = pytest.mark.slow

LOBBIES = 4
MEMBERS = """
    SELECT count(*) FROM lobby_members m JOIN lobbies l ON l.id = m.lobby_id WHERE l.status = 'OPEN'
"""


async def test_killed_between_the_commit_of_joins_and_their_replies_each_is_in_once(
    nodes: Nodes, proxy: Proxy, fresh_dsn: str
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn)
    owner = await asyncpg.connect(fresh_dsn)
    guests = await new_guests(node, 2 * LOBBIES)
    async with lines(node, guests) as crowd:
        hosts, joiners = crowd[:LOBBIES], crowd[LOBBIES:]
        opened = [await host.ok("lobby.create", ruleset="relay", seats=2) for host in hosts]
        ids = [reply["lobby"]["lobby_id"] for reply in opened]
        answered = [dict(joiner.replies) for joiner in joiners]
        trap = proxy.trap("LATERAL change_lobby", Loss.ANSWER_KEPT)
        for joiner, lobby_id in zip(joiners, ids, strict=True):
            await joiner.say("lobby.join", lobby_id=lobby_id)
        await trap.has_answer()
        # Those of the statement are in the database, and those that wait for the next one are not.
        assert LOBBIES < await owner.fetchval(MEMBERS) <= 2 * LOBBIES
        node.kill()
        proxy.hang_up()
        await asyncio.to_thread(node.start)
        assert [dict(joiner.replies) for joiner in joiners] == answered
    async with lines(node, guests[LOBBIES:]) as joiners:
        for joiner, lobby_id in zip(joiners, ids, strict=True):
            lobby = (await joiner.ok("lobby.join", lobby_id=lobby_id))["lobby"]
            assert len(lobby["members"]) == 2
            assert lobby["version"] == 2
    assert await owner.fetchval(MEMBERS) == 2 * LOBBIES
    await owner.close()
