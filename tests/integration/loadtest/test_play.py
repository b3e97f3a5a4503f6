"""The terminal player as one starts it, against a real server."""

import asyncio
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import time

import psycopg
import pytest

from tests.fixtures.shell import playhall

PATIENCE_S = 60
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
    done = await asyncio.to_thread(playhall, "play", *arguments, text=typed)
    return done.status, done.out + done.err


@pytest.mark.parametrize("arguments", [("--rounds", 2), ("--ruleset", "four_in_a_row")])
async def test_auto_plays_a_game_to_its_end(server_url, serving_dsn, arguments):
    status, printed = await play("--url", server_url, "--auto", "--name", "Ada", *arguments)

    assert status == 0, printed
    assert "Final score" in printed
    assert "You" in printed
    kept = re.fullmatch(r"Saved as game (\S+)\.", printed.splitlines()[-1])
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
    assert "You left the game." in printed
    assert "Traceback" not in printed


async def test_game_that_is_left_with_ctrl_c_can_be_come_back_to(server_url, state):
    process = await started("--url", server_url, "--rounds", 1, "--name", "Ada")
    async with asyncio.timeout(60):
        before = await process.stdout.readuntil(b"How many tricks")
        process.send_signal(signal.SIGINT)
        printed = (before + (await process.communicate())[0]).decode()

    assert process.returncode == 0, printed
    assert "Traceback" not in printed
    (game_id,) = re.findall(r"The game continues; return with: .* --resume (\S+)", printed)
    (kept,) = state.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    status, printed = await play("--resume", game_id, typed="0\n" + "1\n" * 20)

    assert status == 0, printed
    assert "Final score" in printed  # wherever the game had got to meanwhile
    assert not list(state.iterdir())


class Terminal:
    """The program at a terminal of its own; `printed` is all that the screen has shown."""

    def __init__(self, *arguments):
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            close_fds=True,
        )
        os.close(theirs)
        self.printed = ""

    def until(self, text, *, after=0):
        """Read until a text is on the screen; gives the place behind it, None if it never comes."""
        give_up_at = time.monotonic() + PATIENCE_S  # a prompt that counts down is never silent
        while text not in self.printed[after:]:
            assert time.monotonic() < give_up_at, f"no {text!r} in {self.printed[-3000:]!r}"
            if not self._read():
                return None
        return self.printed.index(text, after) + len(text)

    def type(self, text):
        os.write(self._ours, text.encode())

    def end(self):
        """Read to the end; gives the exit status."""
        give_up_at = time.monotonic() + PATIENCE_S
        while self._read():
            assert time.monotonic() < give_up_at, self.printed[-3000:]
        os.close(self._ours)
        return self._process.wait(60)

    def _read(self):
        assert select.select([self._ours], [], [], 60)[0], self.printed
        try:
            data = os.read(self._ours, 4096)
        except OSError:  # how Linux says that the other side is closed
            return False
        self.printed += data.decode()
        return bool(data)


def test_number_typed_before_a_turn_timed_out_is_not_played_in_a_later_one(server_url, serving_dsn):
    """The number is typed for a bid; the key that sends it comes when a card is asked for."""
    for turn_s in (2, 4, 8, 16, 32):  # until the test is quick enough to type within a turn
        terminal = Terminal("--url", server_url, "--rounds", 2, "--turn-timeout", turn_s)
        asked = terminal.until("How many tricks will you take?")
        terminal.type("1")
        late = terminal.until("Your turn timed out; the server ", after=asked)
        is_in_time = "1" in terminal.printed[asked:late].partition(")")[2].split("\r")[0]
        card = terminal.until("Which card?", after=late)
        terminal.type("\n")
        answered = terminal.until("Type a card's number", after=card)
        assert terminal.end() == 0, terminal.printed
        assert "Final score" in terminal.printed
        [game_id] = re.findall(r"Saved as game (\S+)\.", terminal.printed)
        with psycopg.connect(serving_dsn) as connection:
            moves = "SELECT count(*) FROM game_events WHERE game_id = %s AND payload ? '_cmd'"
            assert not is_in_time or connection.execute(moves, [game_id]).fetchone() == (0,)
        if is_in_time and answered is not None:
            return
    pytest.fail("nothing was ever typed within a turn")


def test_what_the_server_plays_is_shown_while_a_move_is_waited_for(server_url):
    terminal = Terminal("--url", server_url, "--rounds", 1, "--turn-timeout", 1)
    place = 0
    for text in (
        "How many tricks will you take?",
        "Your turn timed out; the server bid 0.",
        "Your turn timed out; the server played ",
        "Final score",
    ):
        place = terminal.until(text, after=place)
        assert place is not None, terminal.printed
    assert terminal.end() == 0, terminal.printed


def logged_inputs(serving_dsn):
    """Read which inputs of people were logged in arenas."""
    statement = """
        SELECT input -> 2 FROM game_events, jsonb_array_elements(payload -> 'inputs') AS input
        WHERE type = 'tick' AND input -> 1 <> 'null' ORDER BY created_at, event_index
    """
    with psycopg.connect(serving_dsn) as connection:
        return [row[0] for row in connection.execute(statement)]


def test_arena_is_drawn_and_played_with_keys(server_url, serving_dsn):
    terminal = Terminal(
        "--url", server_url, "--ruleset", "arena", "--bots", 2, "--bot", "wanderer", "--name", "Ann"
    )
    place = terminal.until("Arrows or WASD steer")
    assert place is not None, terminal.printed
    first = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.printed[:place])
    assert "@ You 0" in first
    assert "2 Wanderer 1" in first
    assert "3 Wanderer 2" in first
    for count, key in enumerate(("\x1b[C", "s", " "), start=1):
        terminal.type(key)
        while len(logged_inputs(serving_dsn)) < count:
            place = terminal.until("Arrows or WASD steer", after=place)  # it is drawn again
    assert logged_inputs(serving_dsn) == [
        {"type": "steer", "x": 1, "y": 0},
        {"type": "steer", "x": 0, "y": 1},
        {"type": "dash"},
    ]
    terminal.type("?")
    assert terminal.until("Run over gems to gather them", after=place) is not None, terminal.printed
    terminal.type("\x03")
    assert terminal.end() == 0, terminal.printed
    assert "Traceback" not in terminal.printed
    (game_id,) = re.findall(r"return with: .* --resume (\S+)", terminal.printed)
    again = Terminal("--resume", game_id)
    assert again.until("Arrows or WASD steer") is not None, again.printed
    again.type("\x04")
    assert again.end() == 0, again.printed
    assert "You left the game." in again.printed


async def test_bots_at_the_table_are_as_many_and_those_that_one_wants(server_url, serving_dsn):
    status, printed = await play(
        "--url", server_url, "--auto", "--rounds", 1, "--bots", 2, "--bot", "random"
    )
    assert status == 0, printed
    [game_id] = re.findall(r"Saved as game (\S+)\.", printed)
    with psycopg.connect(serving_dsn) as connection:
        statement = (
            "SELECT payload -> 'players' FROM game_events WHERE game_id = %s AND event_index = 0"
        )
        (players,) = connection.execute(statement, [game_id]).fetchone()
    assert [each["bot"] for each in players] == [None, "random", "random"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--bots", 10), "--bots: 1 to 9 can sit at this table of el_dorado."),
        (("--ruleset", "four_in_a_row", "--bots", 2), "--bots: 1 can sit at this table"),
        (("--invite", 3, "--bots", 3), "--bots: 0 to 2 can sit at this table"),
        (("--bot", "nobody"), "--bot: el_dorado has no bot nobody; it has bid_and_duck, random."),
        (("--with-people", "--bots", 2), "--bots and --bot are for a table that you open"),
        (("--ruleset", "arena"), "arena is played in real time, which needs a terminal"),
    ],
)
async def test_bots_that_cannot_sit_there_are_refused(server_url, arguments, sentence):
    status, printed = await play("--url", server_url, *arguments)

    assert status == 1
    assert sentence in " ".join(printed.split())
    assert "Traceback" not in printed


async def test_ruleset_that_the_server_has_no_bots_for_is_answered_with_those_it_has(server_url):
    status, printed = await play("--url", server_url, "--ruleset", "chess")

    assert status == 1
    assert "no chess with bots; it has arena, el_dorado, four_in_a_row" in printed


async def test_rounds_of_a_game_that_has_none_are_refused_by_the_server(server_url):
    status, printed = await play("--url", server_url, "--ruleset", "four_in_a_row", "--rounds", 3)

    assert status == 1
    assert "rounds" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--url", "http://127.0.0.1:9"), "Start a server with `playhall serve`"),
        (("--resume", "unknown"), "there is no saved game unknown"),
    ],
)
async def test_what_cannot_be_is_said_with_its_remedy(arguments, sentence):
    status, printed = await play(*arguments)

    assert status == 1
    assert sentence in " ".join(printed.split())
    assert "Traceback" not in printed
