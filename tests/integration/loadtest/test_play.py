"""The terminal player as one starts it, against a real server."""

import asyncio
import sys

import pytest

MAIN = "import typer; from loadtest.play import play; typer.run(play)"


async def play(*arguments, typed=""):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        MAIN,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate(typed.encode())
    return process.returncode, printed.decode()


@pytest.mark.parametrize("arguments", [("--rounds", 2), ("--ruleset", "four_in_a_row")])
async def test_auto_plays_a_game_to_its_end(server_url, arguments):
    status, printed = await play("--url", server_url, "--auto", "--name", "Ada", *arguments)

    assert status == 0, printed
    assert "Final score" in printed
    assert "You" in printed


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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--url", "http://127.0.0.1:9"), "Start a server with `playhall serve`"),
        (("--ruleset", "chess"), "choose one of: el_dorado, four_in_a_row"),
        (("--ruleset", "four_in_a_row", "--rounds", 3), "Only el_dorado has rounds"),
    ],
)
async def test_what_cannot_be_is_said_with_its_remedy(arguments, sentence):
    status, printed = await play(*arguments)

    assert status == 1
    assert sentence in " ".join(printed.split())
    assert "Traceback" not in printed
