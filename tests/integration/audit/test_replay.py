"""`playhall replay`: the table at any event, for whoever looks."""

import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.integration.audit.conftest import Played, Playhall

ROOT = Path(__file__).parents[3]


def test_last_event_is_shown_with_the_table(playhall: Playhall, played: Played) -> None:
    shown = playhall("replay", played.finished)
    assert shown.exit_code == 0
    assert shown.stdout.startswith(f"El Dorado 2  game {played.finished}\n")
    assert "as a spectator sees it" in shown.stdout
    assert "game_completed" in shown.stdout


def test_file_and_database_show_the_same(
    playhall: Playhall, played: Played, exported: Path
) -> None:
    for arguments in (["--at", 9], ["--at", 9, "--seat", 1], ["--open"]):
        one = playhall("replay", played.finished, *arguments)
        other = playhall("replay", "--file", exported, *arguments)
        assert one.stdout == other.stdout != ""


def test_game_under_way_is_shown_but_never_open(playhall: Playhall, played: Played) -> None:
    shown = playhall("replay", played.under_way)
    assert "\x1b" not in shown.stdout
    assert "hello" in shown.stdout
    refused = playhall("replay", played.under_way, "--open")
    assert (refused.exit_code, "still running" in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--at", 999], "--at: this game has the events 0 to "),
        (["--at", -1], "--at: this game has the events 0 to "),
        (["--seat", 3], "--seat: this game has the seats 0 to 2."),
    ],
)
def test_place_that_is_not_there_gets_a_sentence(
    playhall: Playhall, played: Played, arguments: list[object], sentence: str
) -> None:
    refused = playhall("replay", played.finished, *arguments)
    assert (refused.exit_code, sentence in refused.stderr) == (1, True)


def test_unfinished_file_says_why_it_cannot_be_replayed(playhall: Playhall, exported: Path) -> None:
    exported.write_bytes(b"".join(exported.read_bytes().splitlines(keepends=True)[:-1]))
    refused = playhall("replay", "--file", exported)
    assert "the seed is revealed when the game ends" in refused.stderr


def test_keys_walk_through_a_game(exported: Path) -> None:
    command = [sys.executable, "-m", "server.cli", "replay", "--file", str(exported)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, "--at", "3", "--step"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT
    ) as walking:
        os.close(theirs)
        for event, key in ((3, b"n"), (4, b"n"), (5, b"p"), (4, b"q")):
            read_until(ours, f"event {event} of", "q quit")
            wait_for_key_reading(ours)
            os.write(ours, key)
        assert walking.wait() == 0
    os.close(ours)


def read_until(terminal: int, *words: str) -> None:
    """Read until all of it was said, in that order; fails when the other end hangs up."""
    said = ""
    for word in words:
        while word not in said:
            said += os.read(terminal, 4096).decode(errors="replace")
        said = said.partition(word)[2]


def wait_for_key_reading(terminal: int) -> None:
    """Wait until keys are read one by one: what was typed before that is thrown away."""
    while termios.tcgetattr(terminal)[3] & termios.ICANON:
        time.sleep(0.01)
