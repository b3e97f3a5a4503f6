"""Logs that were tampered with: set aside and reported, and no other game is touched."""

import asyncio
from random import Random

import asyncpg
import pytest

from tests.faults.checker import findings
from tests.faults.conftest import Nodes
from tests.faults.evidence import read_evidence
from tests.faults.playing import end_relay, hall
from tests.faults.recording import Refused
from tests.faults.table import Figures

pytestmark = pytest.mark.slow

# What keeps events as they are.
GUARDS = ("game_events_immutable", "game_events_archived_first")

# What is done to a game, and what its quarantine says.
DAMAGES = {
    "DELETE FROM game_events WHERE game_id = $1 AND event_index = 1": "events are there",
    "DELETE FROM game_events WHERE game_id = $1 AND event_index = 2": "events are there",
    "UPDATE games SET next_event_index = next_event_index + 1 WHERE id = $1": "events are there",
    "UPDATE game_events SET event_index = 9 WHERE game_id = $1 AND event_index = 1": "missing",
    """UPDATE game_events SET payload = payload || '{"data": 0}'
       WHERE game_id = $1 AND event_index = 1""": "hash chain",
    "UPDATE game_events SET type = 'else' WHERE game_id = $1 AND event_index = 2": "hash chain",
    """UPDATE game_events SET hash = decode(repeat('00', 16), 'hex')
       WHERE game_id = $1 AND event_index = 1""": "hash chain",
    """UPDATE game_events SET payload = other.payload FROM game_events other
       WHERE game_events.game_id = $1 AND other.game_id = $1
         AND (game_events.event_index, other.event_index) IN ((1, 2), (2, 1))""": "hash chain",
}


async def test_damaged_logs_are_set_aside_and_the_other_games_go_on(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, figures: Figures
) -> None:
    node = nodes("a", serving_dsn)
    async with hall(lambda: node.url, Random(16), relays=len(DAMAGES) + 3) as games:
        for host, guest in games.relays:
            await host.act({"n": 1})
            await guest.act({"n": 2})
        node.kill()
        broken = dict(zip(DAMAGES, games.relays[3:], strict=True))
        await damage(fresh_dsn, {sql: seats[0].game_id for sql, seats in broken.items()})
        await asyncio.to_thread(node.start)
        for sql, (host, _) in broken.items():
            with pytest.raises(Refused) as refused:
                await host.come_back()
            assert refused.value.reply["code"] == "quarantined"
            assert DAMAGES[sql] in await reason(fresh_dsn, host.game_id)
            assert any(f"{host.game_id} is quarantined" in line for line in node.output)
        await asyncio.gather(*(end_relay(seats) for seats in games.relays[:3]))
        found = findings(await read_evidence(fresh_dsn), [p.witness for p in games.players])
        assert {line.split()[1].rstrip(":") for line in found} == {
            host.game_id for host, _ in broken.values()
        }
    figures.count("damaged logs set aside", len(DAMAGES))


async def damage(dsn: str, games: dict[str, str]) -> None:
    """Do to each game what no program of ours may do."""
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        for trigger in GUARDS:
            await connection.execute(f"ALTER TABLE game_events DISABLE TRIGGER {trigger}")
        for sql, game_id in games.items():
            await connection.execute(sql, game_id)
        for trigger in GUARDS:
            await connection.execute(f"ALTER TABLE game_events ENABLE ALWAYS TRIGGER {trigger}")
    await connection.close()


async def reason(dsn: str, game_id: str) -> str:
    """Why a game was set aside."""
    connection = await asyncpg.connect(dsn)
    sql = "SELECT quarantine_reason FROM games WHERE id = $1 AND status = 'in_progress'"
    why = await connection.fetchval(sql, game_id)
    await connection.close()
    assert isinstance(why, str)
    return why
