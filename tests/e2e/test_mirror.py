"""A day that another system plays, on a real node that is killed, and from the command line."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from persistence.accounts.moderation import ModerationStore
from persistence.database import Database
from persistence.epochs.imports import ImportStore
from persistence.epochs.store import NewDay
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase
from protocol.ids import UserId
from server.domains.compete.epochs.imports import parse_days
from server.domains.compete.epochs.phases import day_times
from tests.faults.days import finished_once, phase
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.shell import PLAYHALL, playhall, surroundings
from tests.integration.epochs.line import Line, versions
from tests.integration.epochs.stage import DAY, MIDNIGHT, Stage, profile

WAIT_S = 60
VOTER = "0x" + "B" * 40

Json = dict[str, Any]


def line(seq: int, at_s: float, **fields: object) -> Json:
    return {"seq": seq, "at": (MIDNIGHT + timedelta(seconds=at_s)).isoformat(), **fields}


def update(seq: int, at_s: float, slot: int, bot: str, code: str) -> Json:
    return line(seq, at_s, type="slot_update", slot_index=slot, bot=bot, code=code)


def vote(seq: int, at_s: float, bot: str, score: float) -> Json:
    cast = {"kind": "vote", "voter": VOTER, "target_type": "bot", "target_id": bot, "score": score}
    return line(seq, at_s, type="activity", **cast)


LINES = [
    update(1, 10, 0, "bot_ada", "first"),
    update(2, 40, 0, "bot_bob", "second"),
    line(3, 50, type="activity", kind="joined", bot="bot_ada", data={"from": "the old stage"}),
    vote(4, 60, "bot_ada", 0.5),
    update(5, 70, 3, "bot_ada", "third"),
    update(6, 80, 3, "bot_ada", "a rapid one"),
    vote(7, 90, "bot_ada", 0.25),
    update(8, 2000, 3, "bot_bob", "won"),
]


async def cast(stage: Stage) -> None:
    """Let the day begin, with two bots."""
    for slug in ("bot_ada", "bot_bob"):
        await stage.bot(slug)
    await stage.keep_profile(profile())
    await stage.at(MIDNIGHT + timedelta(hours=1))


@pytest.fixture
async def stage(database: Database, rls: RlsDatabase) -> Stage:
    stage = Stage(database, rls)
    await cast(stage)
    return stage


@pytest.fixture
async def node(stage: Stage, tmp_path: Path, serving_dsn: str) -> AsyncIterator[Node]:
    with Node(tmp_path / "node", serving_dsn) as node:
        await phase(stage, DAY, "live")
        yield node


async def guest(node: Node) -> Json:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{node.url}/v1/auth/guest", json={}, raise_for_status=True) as answer,
    ):
        made: Json = await answer.json()
        return made


async def send(node: Node, token: str, *lines: Json) -> tuple[int, Json]:
    path = f"{node.url}/v1/admin/epochs/{DAY}/mirror"
    body = {"source": "studio", "lines": lines}
    async with (
        aiohttp.ClientSession(headers=bearer(token)) as http,
        http.post(path, json=body) as answer,
    ):
        return answer.status, await answer.json()


async def end(stage: Stage) -> Json:
    """Let the day end, and the node settle it; gives the result by the bots' owners."""
    await stage.at(MIDNIGHT + timedelta(days=1))
    await phase(stage, DAY, "archive")
    await finished_once(stage, DAY)
    return await result(stage)


async def result(stage: Stage) -> Json:
    (settled,) = await stage.store.list_settlements((await stage.day()).epoch_id)
    bots = orjson.loads(settled.result)["bots"]
    return {bot["recipient"]: {k: v for k, v in bot.items() if k != "bot_id"} for bot in bots}


async def imported(dsn: str) -> Json:
    """Settle the same lines on another database, imported as a finished day."""
    async with asyncio.timeout(WAIT_S):
        database = await Database.open(dsn, embedded=True)
        anonymous = await Database.open(dsn, embedded=True, role=ANONYMOUS_ROLE)
        stage = Stage(database, RlsDatabase(anonymous))
        await cast(stage)
        await stage.days.set_clock(MIDNIGHT + timedelta(days=2))
        (kept,) = [one for one in await stage.days.list_profiles() if one.profile_key == "test-v1"]
        store = ImportStore(database)
        text = [orjson.dumps({k: v for k, v in x.items() if k != "seq"}).decode() for x in LINES]
        now = await stage.days.now()
        (found,) = parse_days(text, kept.profile, await store.list_bots(), now=now)
        times = day_times(found.day, kept.profile.cadence)
        new = NewDay(
            DAY, kept.profile_id, times.starts_at, times.freeze_at, times.ends_at, kept.profile
        )
        await store.add_day(new, found.lines)
        await stage.scheduler.tick()
        settled = await result(stage)
        await anonymous.close()
        await database.close()
        return settled


async def test_mirror_goes_on_after_kill_and_settles_as_the_same_lines_imported(
    node: Node, stage: Stage, databases: Databases
) -> None:
    admin = await guest(node)
    await ModerationStore(stage.database).set_roles(
        UserId(admin["user_id"]), ["admin"], actor="console"
    )
    token = admin["access_token"]
    watcher_token = (await guest(node))["access_token"]
    async with Line.open(node.websocket_url, watcher_token) as watcher:
        begun = (await watcher.watch())["version"]
        status, first = await send(node, token, *LINES[:4])
        assert (status, first["acknowledged"]) == (200, 4)
        await watcher.until(first["version"])
        node.kill()
    await asyncio.to_thread(node.start)
    async with Line.open(node.websocket_url, watcher_token) as again:
        await again.watch(after=first["version"])
        status, gap = await send(node, token, *LINES[5:])
        assert (status, gap["code"], gap["expected"]) == (409, "mirror_gap", 5)
        status, second = await send(node, token, *LINES[2:])  # two of them for the second time
        assert (status, second["applied"], second["skipped"]) == (200, 4, 2)
        events = watcher.events + await again.until(second["version"])
    assert versions(events) == list(range(begun + 1, begun + 1 + len(LINES)))
    assert [event["event"] for event in events] == [
        "slot_claimed", "slot_overwritten", "activity", "vote_cast", "slot_claimed",
        "slot_overwritten", "vote_cast", "slot_overwritten",
    ]  # fmt: skip
    mirrored = await end(stage)
    dsn = databases.create(template=TEMPLATE)
    assert mirrored == await imported(dsn)
    databases.drop(dsn)
    assert {Decimal(bot["vote_quality"]) for bot in mirrored.values()} == {0, Decimal("0.25")}


# ------------------------------------------------------------------ the command line


class Console:
    """`playhall epoch mirror`, as a process of its own."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self._settings = {"PLAYHALL_DATA_DIR": str(folder), "PLAYHALL_DATABASE_URL": dsn}

    def start(self, place: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*PLAYHALL, *self._command(place)],
            env=surroundings(self._settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    async def run(self, place: str, stdin: bytes = b"") -> tuple[int, str]:
        command, text = self._command(place), stdin.decode()
        done = await asyncio.to_thread(playhall, *command, environment=self._settings, text=text)
        return done.status, done.out + done.err

    def _command(self, place: str) -> list[str]:
        return ["epoch", "mirror", place, "--source", "studio", "--day", DAY.isoformat()]


@pytest.fixture
def console(tmp_path: Path, serving_dsn: str) -> Console:
    return Console(tmp_path / "console", serving_dsn)


def as_text(lines: list[Json]) -> bytes:
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


async def test_lines_on_stdin_are_seen_while_they_come_and_once_after_kill(
    node: Node, stage: Stage, console: Console
) -> None:
    token = (await guest(node))["access_token"]
    async with Line.open(node.websocket_url, token) as watcher:
        begun = (await watcher.watch())["version"]
        process = console.start("-")
        assert process.stdin is not None
        for count in (1, 2, 3):
            process.stdin.write(as_text(LINES[count - 1 : count]))
            process.stdin.flush()
            await watcher.until(begun + count)  # and stdin is still open
        process.kill()
        await asyncio.to_thread(process.communicate)
        status, output = await console.run("-", as_text(LINES))
        assert status == 0, output
        assert "acknowledged 3\n" in output
        assert "mirrored up to line 8" in output
        events = await watcher.until(begun + len(LINES))
    assert versions(events) == list(range(begun + 1, begun + 1 + len(LINES)))
    async with stage.database.acquire() as connection:
        acts = await connection.fetch("SELECT actor FROM audit_log WHERE action = 'mirror'")
    assert [act["actor"] for act in acts] == ["console"]


async def test_lines_before_bad_one_are_kept_and_it_is_named(
    node: Node, stage: Stage, console: Console, tmp_path: Path
) -> None:
    file = tmp_path / "day.jsonl"
    file.write_bytes(as_text(LINES[:2]) + b"\n{\n" + as_text(LINES[2:]))
    status, output = await console.run(str(file))
    assert status == 1
    assert "Line 4 of the stream is not JSON" in output
    assert "acknowledged 2\n" in output
    assert "Traceback" not in output
    file.write_bytes(as_text([*LINES[:2], {**LINES[2], "bot": "bot_eve"}]))
    status, output = await console.run(str(file))
    assert status == 1
    assert "line 3: bot: 'bot_eve' is not registered" in output
    file.write_bytes(as_text(LINES))
    status, output = await console.run(str(file))
    assert (status, "mirrored up to line 8" in output) == (0, True)
    status, output = await console.run(str(tmp_path / "missing"))
    assert status == 1
    assert "cannot be read" in output
    assert "Traceback" not in output


async def test_bad_line_ends_the_command_though_stdin_stays_open(
    node: Node, stage: Stage, console: Console
) -> None:
    process = console.start("-")
    assert process.stdin is not None
    process.stdin.write(b"[]\n")
    process.stdin.flush()
    assert await asyncio.to_thread(process.wait, WAIT_S) == 1
    assert process.stdout is not None
    assert b"Line 1 of the stream is not a JSON object" in process.stdout.read()
    process.stdin.close()
    process.stdout.close()


async def test_lines_are_read_from_a_url_as_they_come(
    node: Node, stage: Stage, console: Console
) -> None:
    more = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(as_text(LINES[:3])[:-20])  # a line in two pieces
        await response.write(as_text(LINES[:3])[-20:])
        await more.wait()
        await response.write(as_text(LINES[3:]))
        return response

    app = web.Application()
    app.router.add_get("/lines", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    token = (await guest(node))["access_token"]
    async with Line.open(node.websocket_url, token) as watcher:
        begun = (await watcher.watch())["version"]
        running = asyncio.create_task(console.run(f"http://{host}:{port}/lines"))
        await watcher.until(begun + 3)
        more.set()
        status, output = await running
        assert (status, "mirrored up to line 8" in output) == (0, True), output
        await watcher.until(begun + 8)
    await runner.cleanup()
    status, output = await console.run(f"http://{host}:{port}/lines")
    assert status == 1
    assert "could not be read further" in output
    assert "Traceback" not in output
