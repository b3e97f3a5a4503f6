"""Rules that do not return, or take all memory, cost their game; the node goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_failing_rulesets import get, is_quarantined, metric, reason_of, stops
from tests.faults.client_line import Line, lines, new_guests, sit_down, until
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

pytestmark = pytest.mark.xdist_group("greedy rulesets")

RULESETS = Path(__file__).parent / "greedy_rulesets"
METHODS = ("parse", "decide", "evolve", "to_act", "outcome", "redact", "view")
COUNTED = {"parse": "decide", "to_act": "evolve"}
TICKS = {"step": "evolve", "view": "view"}  # a tick that has inputs is an event
WHAT = {"time": "RulesTooSlow('The rules did not return within 0.5 s.')", "memory": "MemoryError()"}


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    dsn = databases.create(template=TEMPLATE)
    yield databases.serving_dsn(dsn)
    databases.drop(dsn)


@pytest.fixture(scope="module")
def node(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    settings = {"rules_limit_s": 0.5, "rules_memory_mb": 128}
    with Node(folder, dsn, rulesets_path=RULESETS, **settings) as node:
        yield node


async def greedy(line: Line, game_id: str, cmd_no: int, method: str, what: str) -> None:
    fields = {"game_id": game_id, "cmd_no": cmd_no, "move": {"in": method, "what": what}}
    await line.say("game.act", **fields)


async def check_quarantined(node: Node, dsn: str, line: Line, game_id: str, reason: str) -> None:
    while not stops(line):
        await line.read()
    await until(lambda: is_quarantined(node, game_id))
    assert reason in reason_of(dsn, game_id)


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("method", METHODS)
async def test_game_whose_rules_take_all_is_quarantined_and_others_go_on(
    node: Node, dsn: str, method: str, what: str
) -> None:
    counted = COUNTED.get(method, method)
    name = f'playhall_ruleset_failures_total{{method="{counted}",ruleset="greedy"}}'
    failed = await metric(node, name)
    async with lines(node, await new_guests(node, 3)) as (one, two, other):
        game_id = await sit_down([one, two], "greedy")
        beside = await sit_down([other], "greedy")
        for line in (one, two):
            await line.ok("game.resume", game_id=game_id)
        await greedy(one, game_id, 1, method, what)
        if method == "view":
            await one.say("game.snapshot", game_id=game_id)
        said = f"greedy failed in {counted}: {WHAT[what]}"
        await check_quarantined(node, dsn, one, game_id, said)
        refused = await two.call("game.snapshot", game_id=game_id)
        assert refused["code"] == "quarantined"
        nothing = {"in": "", "what": ""}
        await other.ok("game.act", game_id=beside, cmd_no=1, move=nothing)
    assert await metric(node, name) == failed + 1
    assert any("in take_all" in line for line in node.output)


@pytest.mark.parametrize("what", WHAT)
async def test_game_whose_bot_takes_all_is_quarantined(node: Node, dsn: str, what: str) -> None:
    async with lines(node, await new_guests(node, 1)) as [line]:
        made = {"ruleset": "greedy", "seats": 2, "config": {"bot": what}}
        lobby = (await line.ok("lobby.create", **made))["lobby"]
        await line.ok("lobby.add_bot", lobby_id=lobby["lobby_id"], bot="greedy")
        started = await line.ok("lobby.start", lobby_id=lobby["lobby_id"])
        game_id = started["lobby"]["game_id"]

        async def is_stopped() -> bool:
            return await is_quarantined(node, game_id)

        await until(is_stopped)
        assert f"greedy failed in bot: {WHAT[what]}" in reason_of(dsn, game_id)


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize("method", ["step", "view"])
async def test_real_time_game_whose_rules_take_all_is_quarantined(
    node: Node, dsn: str, method: str, what: str
) -> None:
    async with lines(node, await new_guests(node, 1)) as [line]:
        game_id = await sit_down([line], "greedy_ticks")
        await line.ok("game.resume", game_id=game_id)
        await greedy(line, game_id, 1, method, what)
        said = f"greedy_ticks failed in {TICKS[method]}: {WHAT[what]}"
        await check_quarantined(node, dsn, line, game_id, said)


@pytest.mark.parametrize("what", WHAT)
async def test_game_that_takes_all_at_its_start_does_not_begin(node: Node, what: str) -> None:
    async with lines(node, await new_guests(node, 1)) as [line]:
        made = {"ruleset": "greedy", "seats": 1, "config": {"first": what}}
        lobby = (await line.ok("lobby.create", **made))["lobby"]
        refused = await line.call("lobby.start", lobby_id=lobby["lobby_id"])
        assert (refused["code"], refused["retry"]) == ("internal", False)
    assert (await get(node, "/v1/rulesets"))["rulesets"]
