"""A server that is killed between a commit and its reply: the repeat gets the reply, once."""

import asyncio
from random import Random

import pytest

from tests.faults.conftest import Nodes
from tests.faults.evidence import assert_kept
from tests.faults.playing import hall
from tests.faults.proxy import APPEND, COMPLETE, Loss, Proxy
from tests.faults.recording import Json
from tests.faults.table import Figures

pytestmark = pytest.mark.slow

# The statement whose answer is kept back, the move, and what it must be answered in the end.
CASES: list[tuple[str, Json, Json]] = [
    (APPEND, {"n": 1}, {"type": "ok"}),
    (APPEND, {"type": "end", "scores": 7}, {"type": "error", "code": "invalid_scores"}),
    (COMPLETE, {"type": "end", "scores": {}}, {"type": "ok"}),  # which ends the game
]


async def test_killed_between_commit_and_reply_the_repeat_gets_the_first_reply(
    nodes: Nodes, proxy: Proxy, fresh_dsn: str, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn)
    async with hall(lambda: node.url, Random(2), relays=len(CASES)) as games:
        for (statement, move, answer), (host, guest) in zip(CASES, games.relays, strict=True):
            trap = proxy.trap(statement, Loss.ANSWER_KEPT)
            async with asyncio.TaskGroup() as group:
                acting = group.create_task(host.act(move))
                await trap.has_answer()
                evidence = await assert_kept(fresh_dsn, games.players)
                assert any("_cmd" in event.payload for event in evidence.logs[host.game_id])
                assert host.witness.replies == {}
                node.kill()
                proxy.hang_up()
                await asyncio.to_thread(node.start)
            reply = acting.result()
            assert answer.items() <= reply.items()
            assert await host.repeat(1) == {**reply, "re": host.asked}
            await guest.see(reply["event_index"])
            figures.count("kills between a commit and its reply survived")
    await assert_kept(fresh_dsn, games.players, figures)
