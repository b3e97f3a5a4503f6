"""What a player keeps of a log while it grows, and checks when the game is over."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import aiohttp
import pytest

from tests.faults.client_line import Guest, Json, Line, lines, new_guests, served, sit_down
from tests.faults.client_turns import play
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = pytest.mark.xdist_group("commitments")

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "fairness.md"
TOKEN = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        yield node


async def page_of(node: Node, game_id: str, guest: Guest | None = None) -> Json:
    headers = {} if guest is None else {"Authorization": f"Bearer {guest.token}"}
    url = f"{node.url}/v1/games/{game_id}/events?limit=1000"
    async with aiohttp.ClientSession(headers=headers) as web, web.get(url) as answer:
        found: Json = await answer.json()
        return found


def checked(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the page's own check, in a Python that knows nothing of ours."""
    [_, code] = re.findall(r"```python\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)
    script = tmp_path / "kept.py"
    script.write_text(code, "utf-8")
    command = [sys.executable, "-I", "-S", str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_commitments_kept_during_play_are_checked_from_the_finished_log(
    node: Node, tmp_path: Path
) -> None:
    guests = await new_guests(node, 3)
    kept: dict[int, str] = {}

    def keep(reply: Json) -> None:
        """Everybody gets the same of the same log."""
        assert TOKEN.fullmatch(reply["commitment"])
        assert kept.setdefault(reply["head"], reply["commitment"]) == reply["commitment"]

    async with lines(node, guests) as (one, two, spectator):
        game_id = await sit_down([one, two], "el_dorado", config={"rounds": 2})

        async def look(line: Line) -> None:
            keep(await line.ok("game.snapshot", game_id=game_id))
            keep(await line.ok("game.resume", game_id=game_id))
            if line is not one:
                return
            keep(await spectator.ok("game.watch", game_id=game_id))
            page = await page_of(node, game_id, guests[0])
            keep(page)
            hashes = {event["hash"] for event in page["events"]}
            assert hashes == {None} or page["events"][-1]["event"] == "game_completed"

        await play([one, two], game_id, Random(3), look)
        for player in (one, two, spectator):
            assert not any('"hash"' in frame for frame in player.frames)
        keep(await one.ok("game.resume", game_id=game_id))
    assert len(kept) > 10
    assert len(set(kept.values())) == len(kept)
    page = await page_of(node, game_id)
    assert all(TOKEN.fullmatch(event["hash"]) for event in page["events"])
    assert not set(kept.values()) & {event["hash"] for event in page["events"]}
    for head in (min(kept), max(kept)):
        done = checked(tmp_path, node.url, game_id, str(head), kept[head])
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"the log is the one that you saw up to event {head}\n"
    other = checked(tmp_path, node.url, game_id, str(min(kept)), kept[max(kept)])
    assert other.returncode == 1
    assert other.stderr == f"the log up to event {min(kept)} is not the one that you saw\n"


async def test_delayed_spectators_get_commitments_of_what_they_see_alone(node: Node) -> None:
    guests = await new_guests(node, 2)
    async with lines(node, guests) as (host, spectator):
        late = {"spectator_delay_s": 300.0}  # longer than any test
        game_id = await sit_down([host], "relay", config=late)
        assert (await spectator.ok("game.watch", game_id=game_id))["commitment"] is None
        page = await page_of(node, game_id)
        assert (page["head"], page["commitment"]) == (-1, None)
        own = await page_of(node, game_id, guests[0])
        assert own["commitment"] == (await host.ok("game.resume", game_id=game_id))["commitment"]
