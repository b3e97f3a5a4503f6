"""A day of competition under load: what is right passes, what is spoilt fails."""

import asyncio
from itertools import count

import aiohttp
import orjson
import pytest

from loadtest.epochs.actors import SKIPPED
from loadtest.epochs.audit import KEPT, LOG, ORDER, STATE
from loadtest.scenarios.epoch import EpochScenario
from loadtest.scenarios.scenario import Shard
from tests.fixtures.node import SECRET_KEYS
from tests.fixtures.shell import playhall
from tests.integration.loadtest.proxy import proxied

WATCHERS = 4


async def rehearse(dsn, folder, *arguments):
    """Prepare a day from the command line; gives status, output and what it complained of."""
    settings = {"PLAYHALL_DATABASE_URL": dsn, "PLAYHALL_SECRET_KEYS": SECRET_KEYS}
    command = ("epoch", *arguments, "--data-dir", folder)
    return await asyncio.to_thread(playhall, *command, environment=settings)


@pytest.fixture(scope="package")
async def cast(node, serving_dsn, tmp_path_factory):
    """Files with the tokens of bots and voters, for a day that is live and goes fast."""
    folder = tmp_path_factory.mktemp("cast")
    made = await asyncio.gather(
        rehearse(serving_dsn, folder, "bots", 6, "--yes", "--live", "--speed", 120),
        rehearse(serving_dsn, folder, "voters", 4, "--yes"),
    )
    files = []
    for name, (status, tokens, complaint) in zip(("bots", "voters"), made, strict=True):
        assert status == 0, complaint
        files.append(folder / name)
        files[-1].write_text(tokens)
    return files


async def loadtest(url, cast, file, *arguments):
    """Run it for a second; gives exit status, all that it printed, and the report."""
    bots, voters = cast
    status, printed, complaint = await asyncio.to_thread(
        playhall, "loadtest", "epoch", "--url", url, "--watchers", WATCHERS, "--bots", bots,
        "--voters", voters, "--claims-per-s", 10, "--votes-per-s", 10,
        "--seconds", 1, "--json", file, *arguments,
    )  # fmt: skip
    report = orjson.loads(file.read_bytes()) if file.exists() else {"checks": {}}
    checks = {name: (each["passed"], each["failed"]) for name, each in report["checks"].items()}
    return status, printed + complaint, report, checks


async def test_watchers_see_every_change_and_end_in_the_state_of_the_day(
    server_url, cast, tmp_path
):
    status, printed, report, checks = await loadtest(
        server_url, cast, tmp_path / "report.json", "--processes", 2
    )

    assert status == 0, printed
    rows = report["results"]
    done = int(rows["moves in all"])
    # On a busy machine some have no one to act, since all still wait for answers.
    assert done + sum(report["refusals"].values()) + rows.get(f"{SKIPPED} in all", 0) == 20
    assert done >= 3
    assert checks[ORDER] == checks[STATE] == (WATCHERS, 0)
    assert checks[KEPT] == (done, 0)
    # Every process looks at every event.
    assert checks[LOG][0] >= 2 * done
    assert rows["deliveries in all"] >= done * WATCHERS
    assert 0 < rows["commit to watcher p50 ms"] <= rows["commit to last watcher max ms"]
    assert rows["sending to watcher max ms"] > rows["commit to watcher max ms"]
    secret = next(iter(cast[0].read_text().splitlines()))
    assert secret not in orjson.dumps(report).decode()


async def test_watchers_alone_need_no_cast(server_url, cast, tmp_path):
    file = tmp_path / "report.json"
    status, printed, complaint = await asyncio.to_thread(
        playhall, "loadtest", "epoch", "--url", server_url, "--watchers", 3, "--seconds", 0.5,
        "--json", file,
    )  # fmt: skip

    assert status == 0, printed + complaint
    assert orjson.loads(file.read_bytes())["checks"][STATE]["passed"] == 3


def third_event(spoil, *, of=(1,)):
    """Spoil the third event that some watchers get; watchers are the first to connect."""
    seen = [0] * 100

    def change(client, message):
        if message["type"] == "epoch.event":
            seen[client] += 1
            if seen[client] == 3 and client in of:
                return spoil(message)
        return [message]

    return change


def later(message):
    return [{**message, "at": "2000-01-01T00:00:00.000Z"}]


def swapped():
    held = []

    def change(client, message):
        if client == 1 and message["type"] == "epoch.event" and len(held) < 2:
            held.append(message)
            return held[::-1] if len(held) == 2 else []
        return [message]

    return change


def wrong_picture(client, message):
    if client == 1 and message.get("snapshot"):
        message["snapshot"]["slots"][0]["label"] = "Another"
    return [message]


def lost_picture(client, message):
    if client == 1 and message.get("snapshot"):
        message["snapshot"]["version"] -= 1
    return [message]


def wrong_code(_, message):
    if message.get("event", "").startswith("slot_"):
        message["payload"]["code"] = "something else"
    return [message]


def acknowledged_for_nothing():
    """Give one act the version of the one after it, and that one a version there never is."""
    numbers = count()

    def change(_, message):
        if message["type"] == "ok" and "version" in message and "snapshot" not in message:
            message["version"] += 1_000_000 if next(numbers) == 3 else 0
        return [message]

    return change


@pytest.mark.parametrize(
    ("spoil", "promise"),
    [
        (third_event(lambda _: []), ORDER),
        (third_event(lambda message: [message, message]), ORDER),
        (swapped(), ORDER),
        (third_event(later), ORDER),
        (third_event(later, of=range(WATCHERS)), LOG),
        (third_event(lambda _: [], of=range(WATCHERS)), LOG),
        (wrong_picture, STATE),
        (lost_picture, ORDER),
        (wrong_code, KEPT),
        (acknowledged_for_nothing(), KEPT),
    ],
    ids=[
        "gap for one",
        "repeat",
        "swapped",
        "altered for one",
        "altered for all",
        "gap for all",
        "wrong snapshot",
        "older snapshot",
        "another's code",
        "nothing came of it",
    ],
)
async def test_spoilt_day_breaks_a_promise(server_url, cast, spoil, promise):
    bots, voters = (tuple(file.read_text().split()) for file in cast)
    async with proxied(server_url, spoil) as url:
        share = EpochScenario(
            shard=Shard(url),
            watchers=WATCHERS,
            epoch="current",
            claims_per_s=20,
            votes_per_s=20,
            duration_s=0.4,
            bots=bots,
            voters=voters,
        )
        measured = await share.run(lambda _: None)

    assert measured.checks.by_name[promise].failed > 0


async def test_broken_promise_ends_the_load_test_with_an_error(server_url, cast, tmp_path):
    async with proxied(server_url, wrong_picture) as url:
        status, printed, _, checks = await loadtest(url, cast, tmp_path / "report.json")

    assert status == 1
    assert "CHECKS FAILED" in printed
    assert checks[STATE] == (WATCHERS - 1, 1)


async def test_day_that_is_not_there_is_said_in_a_sentence(server_url, cast, tmp_path):
    status, printed, _, _ = await loadtest(
        server_url, cast, tmp_path / "report.json", "--epoch", "2001-01-01"
    )

    assert status == 1
    assert "epoch_not_found" in printed
    assert "Traceback" not in printed


async def test_file_without_tokens_is_named(server_url, cast, tmp_path):
    empty = tmp_path / "empty"
    empty.write_text("\n")
    status, printed, _, _ = await loadtest(server_url, (empty, empty), tmp_path / "report.json")

    assert status == 1
    assert "--bots" in printed
    assert "playhall epoch bots" in printed


async def test_each_rehearsal_has_bots_of_its_own(server_url, cast, serving_dsn, tmp_path):
    _, tokens, _ = await rehearse(serving_dsn, tmp_path, "bots", 2, "--yes")
    names = []
    async with aiohttp.ClientSession() as session:
        for token in tokens.split():
            async with session.ws_connect(f"{server_url}/ws", protocols=["playhall.v1"]) as socket:
                await socket.send_json({"id": 1, "type": "session.hello", "token": token})
                names.append((await socket.receive_json())["display_name"])

    assert names == ["test_bot_7", "test_bot_8"]


async def test_cast_is_not_made_in_another_database_unless_it_is_meant(serving_dsn, tmp_path):
    status, printed, complaint = await rehearse(serving_dsn, tmp_path, "voters", 1)

    assert status == 2
    assert printed == ""
    assert "--yes" in complaint
