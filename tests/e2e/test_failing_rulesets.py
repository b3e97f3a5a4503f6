"""A ruleset that fails costs its own game at most, and nobody waits or retries in vain."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psycopg
import pytest

from tests.faults.client_line import Guest, Json, Line, lines, new_guests, sit_down, until
from tests.fixtures import shell
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

pytestmark = pytest.mark.xdist_group("failing rulesets")

RULESETS = Path(__file__).parent / "rulesets"

# What ends a game: the state, or whether it has ended, depends on the method that failed.
FATAL = {
    "evolve": "evolve",
    "exit in evolve": "evolve",
    "to_act": "evolve",
    "turn of nobody": "evolve",
    "outcome": "outcome",
    "outcome that is too large": "outcome",
    "outcome of no JSON": "outcome",
    "outcome without a seat": "outcome",
}
# What leaves the state as it was.
HARMLESS = (
    *("parse", "decide", "no event", "no list", "no JSON", "no number", "event of the table"),
    *("exit", "interrupt", "cancel"),
)


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    dsn = databases.create(template=TEMPLATE)
    yield databases.serving_dsn(dsn)
    databases.drop(dsn)


@pytest.fixture(scope="module")
def node(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("node"), dsn, rulesets_path=RULESETS) as node:
        yield node


async def get(node: Node, path: str, guest: Guest | None = None) -> Json:
    headers = {} if guest is None else {"Authorization": f"Bearer {guest.token}"}
    async with aiohttp.ClientSession(headers=headers) as web, web.get(node.url + path) as answer:
        found: Json = await answer.json()
        return found


async def metric(node: Node, name: str) -> float:
    async with aiohttp.ClientSession() as web, web.get(f"{node.url}/metrics") as answer:
        found = re.search(rf"^{re.escape(name)} (\S+)$", await answer.text(), re.M)
    return 0.0 if found is None else float(found[1])


def failures(method: str) -> str:
    return f'playhall_ruleset_failures_total{{method="{method}",ruleset="brittle"}}'


async def move(line: Line, game_id: str, cmd_no: int, kind: str) -> Json:
    return await line.call("game.act", game_id=game_id, cmd_no=cmd_no, move={"type": kind})


async def is_quarantined(node: Node, game_id: str) -> bool:
    return bool((await get(node, f"/v1/games/{game_id}"))["quarantined"])


def stops(line: Line) -> list[Json]:
    return [update for update in line.updates if update["type"] == "game.stopped"]


def reason_of(dsn: str, game_id: str) -> str:
    with psycopg.connect(dsn) as connection:
        asked = "SELECT status::text, quarantine_reason FROM games WHERE id = %s"
        found = connection.execute(asked, [game_id]).fetchone()
    assert found is not None
    assert found[0] == "in_progress"
    return str(found[1])


@pytest.mark.parametrize("kind", FATAL)
async def test_game_whose_fold_fails_is_quarantined_at_once(
    node: Node, dsn: str, kind: str
) -> None:
    guests = await new_guests(node, 3)
    quarantined = await metric(node, "playhall_games_quarantined_total")
    failed = await metric(node, failures(FATAL[kind]))
    async with lines(node, guests) as (one, two, other):
        game_id = await sit_down([one, two], "brittle")
        beside = await sit_down([other], "brittle")
        for line in (one, two):
            await line.ok("game.resume", game_id=game_id)
        # Sent together: what was decided before the failure is stored, sent and answered.
        fine = await one.say("game.act", game_id=game_id, cmd_no=1, move={"type": "fine"})
        fatal = await one.say("game.act", game_id=game_id, cmd_no=2, move={"type": kind})
        assert (await one.reply(fine))["type"] == "ok"
        refused = await one.reply(fatal)
        is_stored = kind == "turn of nobody"  # noticed when its turn would be timed
        if not is_stored:
            assert (refused["code"], refused["retry"]) == ("quarantined", False)
            assert "event_index" not in refused
        while not stops(one):
            await one.read()
        await until(lambda: is_quarantined(node, game_id))

        head = one.events[-1]["event_index"]
        assert (one.events[-1]["payload"]["what"] == "fine") != is_stored
        for command, fields in {
            "game.act": {"cmd_no": 2, "move": {"type": "fine"}},
            "game.resume": {"after": head},
            "game.snapshot": {},
            "game.leave": {},
        }.items():
            for line in (one, two):
                reply = await line.call(command, game_id=game_id, **fields)
                assert (reply["code"], reply["retry"]) == ("quarantined", False), command
        assert (await other.call("game.watch", game_id=game_id))["code"] == "quarantined"
        for line in (one, two):
            assert [(stop["code"], stop["retry"]) for stop in stops(line)] == [
                ("quarantined", False)
            ]
        page = await get(node, f"/v1/games/{game_id}/events", guests[0])
        assert page["head"] == head
        assert (await move(other, beside, 1, "fine"))["type"] == "ok"
    assert await metric(node, "playhall_games_quarantined_total") == quarantined + 1
    assert await metric(node, failures(FATAL[kind])) == failed + 1
    assert f"brittle failed in {FATAL[kind]}" in reason_of(dsn, game_id)


@pytest.mark.parametrize("kind", HARMLESS)
async def test_move_that_the_rules_cannot_decide_changes_nothing(node: Node, kind: str) -> None:
    guests = await new_guests(node, 2)
    failed = await metric(node, failures("decide"))
    async with lines(node, guests) as (one, two):
        game_id = await sit_down([one, two], "brittle")
        await two.ok("game.resume", game_id=game_id)
        for _ in range(3):
            refused = await move(one, game_id, 1, kind)
            assert (refused["code"], refused["retry"]) == ("internal", False)
            assert "event_index" not in refused
        assert (await move(one, game_id, 1, "fine"))["event_index"] == 1
        assert (await move(two, game_id, 1, "fine"))["event_index"] == 2
        await two.reach(2)
        assert two.indexes == [0, 1, 2]
        assert stops(two) == []
    assert await metric(node, failures("decide")) == failed + 3


@pytest.mark.parametrize("kind", ["redact", "redact into no JSON", "exit in redact"])
async def test_event_that_cannot_be_redacted_is_hidden_and_the_stream_goes_on(
    node: Node, kind: str
) -> None:
    guests = await new_guests(node, 3)
    async with lines(node, guests) as (one, two, spectator):
        game_id = await sit_down([one, two], "brittle")
        await one.ok("game.resume", game_id=game_id)
        await two.ok("game.resume", game_id=game_id)
        await spectator.ok("game.watch", game_id=game_id, delay_s=0.01)
        assert (await move(one, game_id, 1, kind))["event_index"] == 1
        assert (await move(two, game_id, 1, "fine"))["event_index"] == 2
        for line in (one, two, spectator):
            await line.reach(2)
            assert line.indexes == [0, 1, 2]
            assert line.events[2]["payload"]["what"] == "fine"
        assert one.events[1]["payload"]["what"] == kind
        assert two.events[1]["payload"] is None
        assert spectator.events[1]["payload"] is None
        page = await get(node, f"/v1/games/{game_id}/events", guests[1])
        assert [event["payload"] is None for event in page["events"]] == [False, True, False]
        await two.ok("game.resume", game_id=game_id)
        assert two.events[-2]["payload"] is None
    assert await metric(node, failures("redact")) > 0


@pytest.mark.parametrize("kind", ["view", "view of no JSON", "exit in view"])
async def test_picture_that_cannot_be_drawn_is_refused_and_the_game_goes_on(
    node: Node, kind: str
) -> None:
    async with lines(node, await new_guests(node, 1)) as [line]:
        game_id = await sit_down([line], "brittle")
        await move(line, game_id, 1, kind)
        asked = [await line.say("game.snapshot", game_id=game_id) for _ in range(3)]
        for snapshot in asked:
            assert (await line.reply(snapshot))["code"] == "internal"
        assert (await move(line, game_id, 2, "fine"))["type"] == "ok"
        assert (await line.ok("game.snapshot", game_id=game_id))["view"]["moves"] == 2


@pytest.mark.parametrize(
    "fails_in", ["timeout_move", "timeout move that is illegal", "exit in timeout_move"]
)
async def test_turn_that_nobody_can_end_is_tried_a_few_times_then_the_game_is_quarantined(
    node: Node, fails_in: str
) -> None:
    before = await metric(node, failures("timeout_move"))
    async with lines(node, await new_guests(node, 1)) as [line]:
        config = {"fails_in": fails_in, "turn_timeout_s": 0.05}
        game_id = await sit_down([line], "brittle", config=config)
        await line.ok("game.resume", game_id=game_id)
        while not stops(line):
            await line.read()
        assert line.indexes == [0]
    assert 1 < await metric(node, failures("timeout_move")) - before < 10


async def test_player_may_still_move_where_the_server_cannot(node: Node) -> None:
    before = await metric(node, failures("timeout_move"))

    async def has_failed() -> bool:
        return await metric(node, failures("timeout_move")) > before

    async with lines(node, await new_guests(node, 1)) as [line]:
        config = {"fails_in": "timeout_move", "turn_timeout_s": 0.05}
        game_id = await sit_down([line], "brittle", config=config)
        await until(has_failed)
        assert (await move(line, game_id, 1, "end"))["type"] == "ok"
        assert (await get(node, f"/v1/games/{game_id}"))["status"] == "completed"


@pytest.mark.parametrize("bot", ["broken", "leaving"])
async def test_bot_that_fails_has_its_turns_passed(node: Node, bot: str) -> None:
    async with lines(node, await new_guests(node, 1)) as [line]:
        made = {"ruleset": "brittle", "seats": 2, "config": {"turn_timeout_s": 0.05}}
        lobby = (await line.ok("lobby.create", **made))["lobby"]
        await line.ok("lobby.add_bot", lobby_id=lobby["lobby_id"], bot=bot)
        started = await line.ok("lobby.start", lobby_id=lobby["lobby_id"])
        await line.ok("game.resume", game_id=started["lobby"]["game_id"])
        if not any(event["event"] == "game_completed" for event in line.events):
            await line.event("game_completed")


@pytest.mark.parametrize("fails_in", ["initial", "setup", "exit in setup"])
async def test_game_that_cannot_begin_leaves_its_lobby_open(node: Node, fails_in: str) -> None:
    failed = await metric(node, failures("setup"))
    async with lines(node, await new_guests(node, 1)) as [line]:
        config = {"fails_in": fails_in}
        lobby = (await line.ok("lobby.create", ruleset="brittle", seats=1, config=config))["lobby"]
        refused = await line.call("lobby.start", lobby_id=lobby["lobby_id"])
        assert (refused["code"], refused["retry"]) == ("internal", False)
        watched = await line.ok("lobby.watch", lobby_id=lobby["lobby_id"])
        assert watched["lobby"]["status"] == "OPEN"
    assert await metric(node, failures("setup")) == failed + 1


async def test_delayed_spectator_sees_all_there_is_then_the_end(node: Node) -> None:
    async with lines(node, await new_guests(node, 2)) as (line, spectator):
        game_id = await sit_down([line], "brittle")
        await spectator.ok("game.watch", game_id=game_id, delay_s=0.5)
        await move(line, game_id, 1, "fine")
        await move(line, game_id, 2, "evolve")
        while not stops(spectator):
            await spectator.read()
        assert spectator.indexes == [0, 1]


async def test_quarantine_outlives_the_node_and_names_its_reason(
    serving_dsn: str, tmp_path: Path
) -> None:
    node = Node(tmp_path / "node", serving_dsn, rulesets_path=RULESETS, lease_s=2)
    with node:
        guests = await new_guests(node, 2)
        async with lines(node, guests) as (line, other):
            game_id = await sit_down([line], "brittle")
            beside = await sit_down([other], "brittle")
            await move(other, beside, 1, "fine")
            assert (await move(line, game_id, 1, "evolve"))["code"] == "quarantined"
            await until(lambda: is_quarantined(node, game_id))
        node.kill()
        node.output.clear()
        node.start()
        async with lines(node, guests) as (line, other):
            assert (await line.call("game.resume", game_id=game_id))["code"] == "quarantined"
            assert (await move(line, game_id, 1, "fine"))["code"] == "quarantined"
            assert (await move(other, beside, 2, "fine"))["type"] == "ok"
        assert not any(game_id in said for said in node.output)
    verified = playhall("verify", game_id, dsn=serving_dsn, rulesets=RULESETS)
    assert verified.status == 1
    assert "brittle failed in evolve: ZeroDivisionError" in " ".join(verified.out.split())


async def test_rules_that_fail_on_an_old_log_quarantine_their_games_once(
    serving_dsn: str, tmp_path: Path
) -> None:
    rulesets = tmp_path / "rulesets"
    shutil.copytree(RULESETS, rulesets)
    code = rulesets / "brittle" / "__init__.py"
    node = Node(tmp_path / "node", serving_dsn, rulesets_path=rulesets, lease_s=2)
    with node:
        guests = await new_guests(node, 3)
        async with lines(node, guests) as table:
            games = [await sit_down([line], "brittle") for line in table[:2]]
            relayed = await sit_down([table[2]], "relay")
            for line, game_id in zip(table, games, strict=False):
                await move(line, game_id, 1, "fine")
        node.kill()
        code.write_text(code.read_text().replace('"evolve", state.last', '"evolve", "evolve"'))
        node.output.clear()
        node.start()
        for game_id in games:
            await until(lambda game_id=game_id: is_quarantined(node, game_id))  # type: ignore[misc]  # a default argument
        async with lines(node, guests) as table:
            for line, game_id in zip(table, games, strict=False):
                assert (await line.call("game.resume", game_id=game_id))["code"] == "quarantined"
            await table[2].ok("game.act", game_id=relayed, cmd_no=1, move={})
        for game_id in games:
            assert sum(f"game {game_id} is quarantined" in said for said in node.output) == 1
        assert any("ZeroDivisionError" in said for said in node.output)
        assert await metric(node, "playhall_games_quarantined_total") == len(games)


def playhall(*arguments: str, dsn: str, rulesets: Path) -> shell.Done:
    settings = {"PLAYHALL_DATABASE_URL": dsn, "PLAYHALL_RULESETS_PATH": str(rulesets)}
    return shell.playhall(*arguments, environment=settings)
