"""Rules that change while the server runs: new games get them, running games keep theirs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_failing_rulesets import get
from tests.faults.client_line import Line, lines, new_guests, sit_down, until
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.shell import playhall

pytestmark = pytest.mark.xdist_group("reloaded rulesets")

RULES = """
from server.gamekit.contract import Event
from server.rulesets.relay.ruleset import Relay
from server.rulesets.changing.words import WORD

class Game(Relay):
    name, title = "changing", "Changing"

    def view(self, state, viewer):
        return {**super().view(state, viewer), "word": WORD}

RULESET = Game()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("games") / "changing"
    folder.mkdir()
    (folder / "__init__.py").write_text(RULES)
    (folder / "words.py").write_text('WORD = "first"\n')
    return folder


@pytest.fixture(scope="module")
def node(
    databases: Databases, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    dsn = databases.create(template=TEMPLATE)
    serving = databases.serving_dsn(dsn)
    settings = {"rulesets_path": folder.parent, "reload_rulesets": True, "idle_game_s": 0.1}
    with Node(tmp_path_factory.mktemp("node"), serving, **settings) as node:
        yield node
    databases.drop(dsn)


async def word(line: Line, game_id: str) -> str:
    return str((await line.ok("game.snapshot", game_id=game_id))["view"]["word"])


async def said(node: Node, text: str) -> None:
    async def is_said() -> bool:
        return any(text in line for line in node.output)

    await until(is_said)


async def test_new_games_use_changed_rules_and_running_games_their_own(
    node: Node, folder: Path
) -> None:
    async with lines(node, await new_guests(node, 3)) as (one, two, three):
        first = await sit_down([one], "changing")
        assert await word(one, first) == "first"

        (folder / "words.py").write_text('WORD = "other"\n')  # in the same second, of the same size
        await said(node, "The ruleset changing was loaded again")
        second = await sit_down([two], "changing")
        assert await word(two, second) == "other"
        assert await word(one, first) == "first"

        (folder / "words.py").write_text("WORD = (\n")
        await said(node, "Its last working rules stay.")
        assert any("SyntaxError" in line and "words.py, line 1" in line for line in node.output)
        third = await sit_down([three], "changing")
        assert await word(three, third) == "other"
        assert (await one.ok("game.act", game_id=first, cmd_no=1, move={"a": 1}))["event_index"]
        assert await word(one, first) == "first"
    assert not any("Traceback" in line for line in node.output)


async def test_new_folder_is_a_new_game_without_a_restart(node: Node, folder: Path) -> None:
    made = playhall("new-ruleset", "fresh", "--folder", folder.parent)
    assert made.status == 0, made.said

    async def is_listed() -> bool:
        listed = (await get(node, "/v1/rulesets"))["rulesets"]
        return "fresh" in [each["name"] for each in listed]

    await until(is_listed)


@pytest.mark.parametrize(
    "settings",
    [{"PLAYHALL_HOST": "0.0.0.0"}, {"PLAYHALL_PUBLIC_URL": "https://play.example"}],
)
def test_server_that_others_reach_does_not_reload(tmp_path: Path, settings: dict[str, str]) -> None:
    done = playhall(
        "serve", "--reload-rulesets", "--port", 0, "--data-dir", tmp_path, environment=settings
    )
    assert (done.status, "only by a server that nobody else can reach" in done.said) == (1, True)
    done.assert_plain()
    assert list(tmp_path.iterdir()) == []
