"""Two nodes and one game: only its owner writes, whatever clocks, pauses and networks do."""

import asyncio
from collections.abc import Iterator
from random import Random
from time import monotonic

import asyncpg
import pytest

from persistence.database import Database
from persistence.games.store import GameStore
from tests.faults.conftest import Nodes, Rounds
from tests.faults.evidence import assert_kept
from tests.faults.playing import end_relay, hall
from tests.faults.recording import PATIENCE_S, Json, Player, Refused
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.fixtures.rows import add_game

pytestmark = pytest.mark.slow

SUPERSEDED = 4002
WRONG_NODE = 4006
SENT_BEFORE = 3
POLL_S = 0.01


async def test_frozen_node_says_nothing_stale_after_another_took_over(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    owner = nodes("first", serving_dsn, lease_s=2)
    other = nodes("second", serving_dsn, lease_s=2)
    for seed in range(rounds(1, 10)):
        await freeze_and_take_over(owner, other, fresh_dsn, Random(seed), figures)
        owner, other = other, owner


async def freeze_and_take_over(
    first: Node, second: Node, dsn: str, chance: Random, figures: Figures
) -> None:
    """Freeze a node with games in flow, go on at the other one, and wake the first one up."""
    async with hall(lambda: first.url, chance, relays=6) as games:
        for n, player in enumerate(games.players):
            await send_some(player, and_wait=n % 4 < 2)  # every other table
        frozen_at = monotonic()
        first.freeze()
        stale = {player: await say_something_stale(player) for player in games.players}
        moved = {player: player.again(lambda: second.url) for player in games.players}
        await taken_over(dsn)
        taken_over_at = monotonic()
        await asyncio.gather(*(go_on(player) for player in moved.values()))
        first.thaw()
        for player, other in moved.items():
            frames, code = await player.read_to_the_close()
            # Whatever it notices first: the players have newer connections as well.
            assert code in (WRONG_NODE, SUPERSEDED)
            assert list(stale_frames(frames, other, stale[player])) == []
        for seats in games.relays:
            await end_relay([moved[player] for player in seats])
        await assert_kept(dsn, list(moved.values()), figures)
        await asyncio.gather(*(player.leave() for player in moved.values()))
    figures.count("take-overs from a frozen node survived", len(games.relays))
    figures.measure(
        "from an owner's standstill, lease 2 s, to the last game's new owner",
        taken_over_at - frozen_at,
    )


async def send_some(player: Player, *, and_wait: bool) -> None:
    """Send a few moves, whether or not anybody waits for the answers."""
    for cmd_no in range(1, SENT_BEFORE + 1):
        move = {"n": cmd_no, "from": player.witness.seat}
        if and_wait:
            await player.act(move)
            continue
        player.witness.sent[cmd_no] = move
        await player.say("game.act", game_id=player.game_id, cmd_no=cmd_no, move=move)


async def say_something_stale(player: Player) -> set[int]:
    """Ask a node that sleeps for the snapshot, and for a move; gives the ids."""
    game = {"game_id": player.game_id}
    return {
        await player.say("game.snapshot", **game),
        await player.say("game.act", **game, cmd_no=SENT_BEFORE + 1, move={"stale": True}),
    }


async def taken_over(dsn: str) -> None:
    """Wait until no game is with its first owner any more."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await connection.fetchval(
                "SELECT count(*) FROM games WHERE status = 'in_progress' AND owner_epoch = 1"
            ):
                await asyncio.sleep(POLL_S)
    finally:
        await connection.close()


async def go_on(player: Player) -> None:
    """Come back elsewhere, repeat what was not answered, and make the next move."""
    await player.come_back()
    for cmd_no in range(1, SENT_BEFORE + 1):
        await player.repeat(cmd_no)
    await player.act({"n": SENT_BEFORE + 1})


def stale_frames(frames: list[Json], other: Player, asked: set[int]) -> Iterator[Json]:
    """Find what the log, as the player's other self has it from the new owner, does not have."""
    known = {event["event_index"]: event for event in other.witness.events}
    indexes = {reply[-1]["event_index"] for reply in other.witness.replies.values()}
    for frame in frames:
        if frame["type"] == "game.event" and known.get(frame["event_index"]) != frame:
            yield frame
        if frame["type"] == "ok" and (
            frame["re"] in asked or frame.get("event_index") not in indexes
        ):
            yield frame
        if frame["type"] == "error" and not frame["retry"]:
            yield frame


async def test_node_that_was_taken_from_is_fenced_though_its_lease_seems_good(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, figures: Figures
) -> None:
    first = nodes("first", serving_dsn, lease_s=600)
    async with hall(lambda: first.url, Random(4), relays=4) as games:
        second = await asyncio.to_thread(nodes, "second", serving_dsn)
        await take_everything_from(first.url, fresh_dsn)
        for host, _ in games.relays:
            host.witness.sent[1] = {"n": 1}
            refused = await host.send_once(1)
            assert (refused["code"], refused["retry"]) == ("not_committed", True)
            _, code = await host.read_to_the_close()
            # Whatever it notices first: the players have newer connections as well.
            assert code in (WRONG_NODE, SUPERSEDED)
            host.where = lambda: second.url
            await host.repeat(1)
        await assert_kept(fresh_dsn, games.players, figures)
    figures.count("writes of a former owner fenced", len(games.relays))


async def take_everything_from(address: str, dsn: str) -> None:
    """Make a lease run out before its time, and wait until everything has another owner."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("DELETE FROM nodes WHERE address = $1", address)
    while await connection.fetchval("SELECT count(*) FROM games WHERE owner_epoch = 1"):
        await asyncio.sleep(0.05)
    await connection.close()


async def test_client_of_the_wrong_node_is_sent_to_the_right_one(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str
) -> None:
    first = nodes("first", serving_dsn)
    second = nodes("second", serving_dsn)
    async with hall(lambda: first.url, Random(4), relays=1) as games:
        host, _ = games.players
        host.where = lambda: second.url
        await host.greet()
        with pytest.raises(Refused) as refused:
            await host.resume()
        assert refused.value.reply["code"] == "wrong_node"
        assert refused.value.reply["address"] == first.url
        frames, code = await host.read_to_the_close()
        assert (frames[-1]["type"], frames[-1]["address"]) == ("session.closing", first.url)
        assert code == WRONG_NODE
        await host.come_back()
        assert (await host.act({"n": 1}))["type"] == "ok"
        await assert_kept(fresh_dsn, games.players)


async def test_of_two_nodes_that_claim_a_game_at_once_one_wins(
    database: Database, rounds: Rounds, figures: Figures
) -> None:
    stores = [GameStore(database, node=name) for name in ("one", "other")]
    for store in stores:
        await store.renew_lease("", 3600)
    async with database.acquire() as connection:
        game_id = await add_game(connection)
        for race in range(rounds(50, 1000)):
            await connection.execute("UPDATE games SET owner_node = 'dead' WHERE id = $1", game_id)
            claims = await asyncio.gather(*(store.claim_game(game_id) for store in stores))
            assert [claim.owner_epoch for claim in claims if claim] == [race + 2]
            figures.count("races of two nodes for a game, one winner each")
