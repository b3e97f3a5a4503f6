"""A database that dies, cannot be reached, or is full: nothing false is said, and it passes."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from time import monotonic

import aiohttp
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from persistence.cluster import PostgresCluster
from persistence.embedded import SETTINGS, EmbeddedPostgres
from server.domains.play.games.live_game import AHEAD_EVENTS_MAX
from tests.faults.conftest import Nodes, Rounds
from tests.faults.evidence import assert_kept
from tests.faults.playing import hall
from tests.faults.proxy import Proxy
from tests.faults.recording import PATIENCE_S, Player, table
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases, stop_immediately
from tests.fixtures.shell import playhall

pytestmark = pytest.mark.slow

DISK_BYTES = 320 * 1024 * 1024
FLOOD = 5000
OUTAGES = 2
FLOOD_BYTES = 1024
GROWTH_BYTES_MAX = 128 * 1024 * 1024


@asynccontextmanager
async def own_postgres(data_dir: Path) -> AsyncIterator[tuple[str, str]]:
    """A PostgreSQL to break; gives a database for a node, and the same as its superuser."""
    server = EmbeddedPostgres()
    databases = await asyncio.to_thread(lambda: Databases(server.start(data_dir)))
    await asyncio.to_thread(databases.ensure_template)
    dsn = databases.dsn_of(TEMPLATE)
    yield databases.serving_dsn(dsn), dsn
    databases.close()
    await asyncio.to_thread(server.stop)


async def start_again(data_dir: Path) -> None:
    """Start a PostgreSQL that died."""
    await asyncio.to_thread(PostgresCluster(data_dir / "cluster").ensure_running, SETTINGS)


async def test_postgres_that_is_killed_and_started_again_loses_nothing(
    nodes: Nodes, data_dir: Path, rounds: Rounds, figures: Figures
) -> None:
    async with own_postgres(data_dir) as (serving, dsn):
        node = nodes("a", serving)
        async with hall(lambda: node.url, Random(8), relays=6, turns=2) as games:
            async with asyncio.TaskGroup() as group:
                group.create_task(games.play())
                for _ in range(rounds(2, 20)):
                    await games.move_on()
                    await asyncio.to_thread(stop_immediately, data_dir)
                    await start_again(data_dir)
                    back_at = monotonic()
                    moved_at = await games.move_on()
                    figures.count("kills of PostgreSQL survived")
                    figures.measure(
                        "from PostgreSQL's return to the last game's move", moved_at[-1] - back_at
                    )
                games.enough.set()
            await assert_kept(dsn, games.players, figures)


async def test_unreachable_database_has_commands_refused_and_is_taken_up_again(
    nodes: Nodes, proxy: Proxy, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn, lease_s=2)
    where = lambda: node.url  # noqa: E731 - one line says it
    async with (
        hall(where, Random(11), relays=4, turns=2) as games,
        table(where, "relay", humans=1) as (flooder,),
        asyncio.TaskGroup() as group,
    ):
        group.create_task(games.play())
        before = resident_bytes(node)
        for outage in range(OUTAGES):
            proxy.black_hole()
            await flood(flooder)
            await is_refused(flooder)
            await asyncio.sleep(rounds(0, 30))
            grown = resident_bytes(node) - before
            assert grown < GROWTH_BYTES_MAX
            figures.measure("memory grown while the database is away", grown / 2**20, "MiB")
            proxy.mend()
            if outage:  # not only held up, but broken
                proxy.hang_up()
            mended_at = monotonic()
            moved_at = await games.move_on()
            figures.measure(
                "from the database's return to the last game's move", moved_at[-1] - mended_at
            )
        games.enough.set()
    evidence = await assert_kept(fresh_dsn, [*games.players, flooder], figures)
    accepted = [event for event in evidence.logs[flooder.game_id] if "_cmd" in event.payload]
    assert len(accepted) <= OUTAGES * AHEAD_EVENTS_MAX  # the rest was refused


async def flood(player: Player) -> None:
    """Send many moves whose answers nobody waits for."""
    for cmd_no in range(1, FLOOD + 1):
        move = {"n": "x" * FLOOD_BYTES}
        await player.say("game.act", game_id=player.game_id, cmd_no=cmd_no, move=move)


async def is_refused(player: Player) -> None:
    """Send moves until one is refused because the database is away."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            ask = {"game_id": player.game_id, "cmd_no": FLOOD + 1, "move": {}}
            reply = await player.exchange("game.act", **ask)
            if reply.get("code") == "unavailable":
                assert reply["retry"]
                return
            await asyncio.sleep(0.05)


def resident_bytes(node: Node) -> int:
    """How much memory a node has."""
    status = Path(f"/proc/{node.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of its own for a PostgreSQL, small enough to be filled."""
    disk = Path(tempfile.mkdtemp(prefix="playhall-"))
    options = f"size={DISK_BYTES},mode=755"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=False)
    if mounted.returncode:
        disk.rmdir()
        pytest.skip("only root may mount a small disk to be filled")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)
    disk.rmdir()


async def test_full_disk_leads_to_no_false_acknowledgement_and_passes(
    nodes: Nodes, small_disk: Path, figures: Figures
) -> None:
    async with own_postgres(small_disk / "postgres") as (serving, dsn):
        node = nodes("a", serving)
        async with hall(lambda: node.url, Random(14), relays=6) as games:
            async with asyncio.TaskGroup() as group:
                group.create_task(games.play())
                await games.move_on()
                fill(small_disk / "filler")
                await says(node, "trying again")
                async with (
                    aiohttp.ClientSession(node.url) as web,
                    web.post("/v1/auth/guest", json={}) as answer,
                ):
                    body = await answer.json()
                assert answer.status in (200, 503), body  # and never a bug of ours
                (small_disk / "filler").unlink()
                await start_again(small_disk / "postgres")  # if it gave up altogether
                await games.move_on()
                games.enough.set()
            await assert_kept(dsn, games.players, figures)
    figures.count("full disks survived")


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    assert shutil.disk_usage(path).free == 0


async def says(node: Node, words: str) -> None:
    """Wait until a node logs something."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(words in line for line in node.output):
            await asyncio.sleep(0.05)


def test_database_that_may_forget_is_refused_with_a_sentence(
    nodes: Nodes, tmp_path: Path, serving_dsn: str, fresh_dsn: str
) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as connection:
        name = Identifier(connection.info.dbname)
        connection.execute(SQL("ALTER DATABASE {} SET synchronous_commit = off").format(name))
    settings = {"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_DATA_DIR": str(tmp_path)}
    refused = playhall("serve", "--port", 0, environment=settings)
    assert refused.status == 1
    assert "synchronous_commit switched off" in refused.err
    refused.assert_plain()
    assert nodes("told otherwise", serving_dsn, unsafe_database=True).url
