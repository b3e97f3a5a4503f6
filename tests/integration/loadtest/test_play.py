"""The terminal player as one starts it, against a real server."""

import asyncio
import re
import signal
import stat
import sys

import psycopg
import pytest

MAIN = "import typer; from loadtest.play import play; typer.run(play)"


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Where games that are left are kept."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "playhall" / "games"


async def started(*arguments):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MAIN,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def play(*arguments, typed=""):
    process = await started(*arguments)
    printed, _ = await process.communicate(typed.encode())
    return process.returncode, printed.decode()


@pytest.mark.parametrize("arguments", [("--rounds", 2), ("--ruleset", "four_in_a_row")])
async def test_auto_plays_a_game_to_its_end(server_url, serving_dsn, arguments):
    status, printed = await play("--url", server_url, "--auto", "--name", "Ada", *arguments)

    assert status == 0, printed
    assert "Final score" in printed
    assert "You" in printed
    kept = re.fullmatch(r"Kept as game (\S+)\.", printed.splitlines()[-1])
    assert kept is not None
    with psycopg.connect(serving_dsn) as connection:
        found = connection.execute("SELECT status::text FROM games WHERE id = %s", [kept[1]])
        assert found.fetchone() == ("completed",)


async def test_typed_moves_play_a_game_to_its_end(server_url):
    typed = "ten\n0\n" + "1\n" * 20
    status, printed = await play("--url", server_url, "--rounds", 1, typed=typed)

    assert status == 0, printed
    assert "Type your bid: a number from 0 to 1." in printed
    assert "Which card?" in printed
    assert "Final score" in printed


async def test_column_is_typed_too(server_url):
    typed = "0\n" + "".join(f"{column}\n" for column in range(1, 8)) * 10
    status, printed = await play("--url", server_url, "--ruleset", "four_in_a_row", typed=typed)

    assert status == 0, printed
    assert "Type a column: a number from 1 to 7." in printed
    assert "Final score" in printed


async def test_end_of_input_leaves_the_table(server_url):
    status, printed = await play("--url", server_url, "--rounds", 1)

    assert status == 0, printed
    assert "You left the table." in printed
    assert "Traceback" not in printed


async def test_game_that_is_left_with_ctrl_c_can_be_come_back_to(server_url, state):
    process = await started("--url", server_url, "--rounds", 1, "--name", "Ada")
    async with asyncio.timeout(60):
        before = await process.stdout.readuntil(b"How many tricks")
        process.send_signal(signal.SIGINT)
        printed = (before + (await process.communicate())[0]).decode()

    assert process.returncode == 0, printed
    assert "Traceback" not in printed
    (game_id,) = re.findall(r"The game goes on; come back with: .* --resume (\S+)", printed)
    (kept,) = state.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    status, printed = await play("--resume", game_id, typed="0\n" + "1\n" * 20)

    assert status == 0, printed
    assert "Final score" in printed  # wherever the game had got to meanwhile
    assert not list(state.iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--url", "http://127.0.0.1:9"), "Start a server with `playhall serve`"),
        (("--resume", "unknown"), "nothing is kept of a game unknown"),
        (("--ruleset", "chess"), "choose one of: el_dorado, four_in_a_row"),
        (("--ruleset", "four_in_a_row", "--rounds", 3), "Only el_dorado has rounds"),
    ],
)
async def test_what_cannot_be_is_said_with_its_remedy(arguments, sentence):
    status, printed = await play(*arguments)

    assert status == 1
    assert sentence in " ".join(printed.split())
    assert "Traceback" not in printed
