"""Readers that do not read, and connections that never say what they want."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest

from tests.faults.client_line import (
    PATIENCE_S,
    Line,
    connections,
    lines,
    new_guests,
    served,
    sit_down,
    until,
)
from tests.faults.conftest import Rounds
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

PLAYERS = 3
SLOW = 10
MOVE_BYTES = 15_000
OUTBOX_BYTES = 256 * 1024


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    with served(databases, folder, outbox_bytes_max=OUTBOX_BYTES) as node:
        yield node


def memory(node: Node, what: str) -> int:
    """Read a node's memory in bytes: `VmRSS` now, or `VmHWM`, the most it ever had."""
    status = Path(f"/proc/{node.pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


# ------------------------------------------------------------------ 22: readers that never read


async def test_readers_that_never_read_are_dropped_and_the_others_go_on(
    node: Node, rounds: Rounds, figures: Figures
) -> None:
    guests = await new_guests(node, PLAYERS + SLOW)
    moves = rounds(300, 3_000)
    async with lines(node, guests[:PLAYERS]) as table, AsyncExitStack() as stack:
        game_id = await sit_down(table, "relay")
        for line in table:
            await line.ok("game.resume", game_id=game_id)
        before = await _play(table, game_id, range(1, 51))
        resident = memory(node, "VmRSS")
        for guest in guests[PLAYERS:]:
            slow = Line(node.websocket_url, receive_bytes=4096)
            await (await stack.enter_async_context(slow)).greet(guest)
            stack.callback(slow.cut)
            await slow.ok("game.watch", game_id=game_id, after=50 * PLAYERS)
        during = await _play(table, game_id, range(51, 51 + moves))
        await until(lambda: connections(node), PLAYERS)
        growth = memory(node, "VmHWM") - resident
        for line in table:
            await line.reach((50 + moves) * PLAYERS)
            assert line.indexes == list(range((50 + moves) * PLAYERS + 1))
    assert growth < PLAYERS * moves * MOVE_BYTES / 2, "what is not read is kept"
    figures.count("readers dropped that never read", SLOW)
    figures.measure("memory grown by readers that never read", growth / (1 << 20), "MiB")
    figures.measure("a move's latency before readers that never read", max(before))
    figures.measure("a move's latency beside readers that never read", max(during))


async def _play(table: list[Line], game_id: str, numbers: range) -> list[float]:
    """Let everybody move at once, over and over; gives how long each move took, in seconds."""
    move = {"text": "x" * MOVE_BYTES}

    async def play(line: Line) -> list[float]:
        took = []
        for n in numbers:
            started = monotonic()
            await line.ok("game.act", game_id=game_id, cmd_no=n, move=move)
            took.append(monotonic() - started)
        return took

    async with asyncio.TaskGroup() as group:
        playing = [group.create_task(play(line)) for line in table]
    return [seconds for task in playing for seconds in task.result()]


async def test_slow_reader_gets_the_reason_and_misses_nothing_when_it_comes_back(
    node: Node,
) -> None:
    """A client that stalls, and then reads: what it got is contiguous, and so is the rest."""
    [writer, reader] = await new_guests(node, 2)
    async with lines(node, [writer]) as [line]:
        game_id = await sit_down([line], "relay")
        async with Line(node.websocket_url, receive_bytes=4096) as slow:
            await slow.greet(reader)
            await slow.ok("game.watch", game_id=game_id)
            await _play([line], game_id, range(1, 101))
            closed = await slow.end()
            # Who does not even take the close frame in time is cut off.
            assert (closed.code, closed.reason) in ((4000, "slow_consumer"), (1006, ""))
            assert 0 < len(slow.events) < 101
        async with lines(node, [reader]) as [again]:
            again.events = slow.events
            after = slow.events[-1]["event_index"]
            await again.ok("game.watch", game_id=game_id, after=after)
            assert again.indexes == list(range(101))


# ------------------------------------------------------------------ 23: half-open handshakes


@asynccontextmanager
async def half_open(node: Node, count: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open connections that say nothing, or half of a request, or no hello."""
    server = urlsplit(node.url)
    words = [b"", b"G", b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"]
    opened = []
    for n in range(count):
        reader, writer = await asyncio.open_connection(server.hostname, server.port)
        writer.write(words[n % len(words)])
        opened.append((reader, writer))
    try:
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait until the server has ended a connection; half of a request is answered 408."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
            return answer == b"" or answer.startswith(b"HTTP/1.1 408 ")
    except ConnectionResetError:
        return True


async def test_a_thousand_half_open_handshakes_time_out_and_others_get_in(
    node: Node, figures: Figures
) -> None:
    async with half_open(node, 1_000) as silent, Line(node.websocket_url) as mute:
        async with lines(node, await new_guests(node, 2)) as table:
            game_id = await sit_down(table, "relay")
            await _play(table, game_id, range(1, 11))
        gone = await asyncio.gather(*map(ended, silent))
        assert all(gone)
        closed = await mute.end()
        assert (closed.code, closed.reason) == (4004, "hello_timeout")
        assert mute.updates[-1]["reason"] == "hello_timeout"
    figures.count("half-open handshakes timed out", len(gone))
    await until(lambda: connections(node), 0)
