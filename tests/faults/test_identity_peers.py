"""Tokens for signaling while nobody can be asked who is a member: nobody gets in, nobody goes."""

import asyncio
import json

from tests.faults.client_line import new_guests
from tests.faults.conftest import Nodes
from tests.faults.proxy import Proxy
from tests.faults.table import Figures
from tests.integration.signaling.test_members import heard, is_ended, opened, peer, token

NO_ANSWER = "Your membership cannot be checked at the moment; try again"
ASKED_AGAIN_S = 5  # peers' lobbies are read every other second


async def test_without_the_database_nobody_gets_in_and_nobody_is_shown_out(
    nodes: Nodes, proxy: Proxy, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn, peer_member_keys="members")
    ann, bob = await new_guests(node, 2)
    lobby_id = await opened(node, ann, bob)
    tokens = [await token(node, who, lobby_id) for who in (ann, bob)]
    async with peer(node, "ann", tokens[0]) as inside:
        assert await heard(inside) == {"type": "OPEN"}
        proxy.cut()
        async with peer(node, "bob", tokens[1]) as outside:
            await is_ended(outside, NO_ANSWER)
        figures.count("peers not let in while the database was away")
        await asyncio.sleep(ASKED_AGAIN_S)
        await inside.send(json.dumps({"type": "OFFER", "dst": "ann", "payload": 1}))
        assert (await heard(inside))["payload"] == 1
        proxy.mend()
        async with peer(node, "bob", tokens[1]) as again:
            assert await heard(again) == {"type": "OPEN"}
