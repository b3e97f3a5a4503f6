"""The client's wheel, in an environment that has nothing else of ours, plays on a real node."""

import importlib.util
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.fixtures.node import Node

CLIENT = Path(__file__).parents[2] / "clients" / "python"
DEPENDENCIES = ("orjson", "websockets")
# Whatever else is installed here must not be needed there.
ABSENT = ("server", "protocol", "persistence", "loadtest", "aiohttp", "pydantic", "picows")

# Plays one game, with a connection that breaks at every fifth event.
PLAYS = f"""
import asyncio, importlib.util, random, sys
from playhall import Event, RequestRefused, connect

for name in {ABSENT!r}:
    assert importlib.util.find_spec(name) is None, name

async def main(url):
    indexes = []
    async with connect(url, name="Wheel") as client:
        game = await client.quick_play("four_in_a_row")
        async for event in game:
            assert isinstance(event, Event)
            indexes.append(event.event_index)
            if event.event_index % 5 == 4:
                client.connection.drop_websocket()
            moves = (await game.view())["legal_moves"]
            if moves:
                try:
                    await game.act(random.choice(moves))
                except RequestRefused as refused:
                    assert refused.code == "game_over", refused
        assert client.connection.reconnects > 0
        summary = await client.http.get(f"/v1/games/{{game.game_id}}/summary")
    assert indexes == list(range(len(indexes))), indexes
    print(event.type, len(indexes), len(summary["players"]))

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network by the build backend that is locked."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    subprocess.run(
        [*command, "--no-build-isolation", "--wheel-dir", str(folder), str(CLIENT)], check=True
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel and what it says that it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in DEPENDENCIES:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        (site / name).symlink_to(Path(found.origin).parent)
    return folder / "bin" / "python"


def test_wheel_is_typed_and_names_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        parsed = Parser().parsestr(archive.read(metadata).decode())
    assert "playhall/py.typed" in names
    assert {name.partition("/")[0] for name in names} == {"playhall", "playhall-0.1.0.dist-info"}
    needed = [each for each in parsed.get_all("Requires-Dist") or [] if "extra ==" not in each]
    assert {each.partition(">")[0] for each in needed} == set(DEPENDENCIES)


def test_installed_client_plays_a_game_through_interruptions(
    python: Path, tmp_path: Path, serving_dsn: str
) -> None:
    with Node(tmp_path / "node", serving_dsn, quick_play_wait_s=0.1) as node:
        played = subprocess.run(
            [str(python), "-I", "-c", PLAYS, node.url],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert played.returncode == 0, played.stderr
    kind, count, players = played.stdout.split()
    assert (kind, players) == ("game_completed", "2")
    assert int(count) > 7
