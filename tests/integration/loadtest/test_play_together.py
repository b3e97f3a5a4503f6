"""People at terminals, against a real server: they meet, talk, and see what happens meanwhile."""

import asyncio
import re
from contextlib import suppress

import pytest

from playhall import RequestRefused, connect
from tests.integration.loadtest.test_play import Terminal, state

__all__ = ["state"]  # a fixture, used by every test here

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r")


def plain(terminal: Terminal) -> str:
    return ANSI.sub("", terminal.printed)


def test_friend_is_invited_talks_and_plays(server_url):
    host = Terminal(
        "--url", server_url, "--ruleset", "rock_paper_scissors", "--invite", 2, "--name", "Ada"
    )
    host.until("--join ")
    host.until("\r")
    code = re.search(r"--join (\w{6})", host.printed)[1]
    friend = Terminal("--url", server_url, "--join", code, "--name", "Grace")
    assert host.until("Grace joined."), host.printed
    for terminal in (host, friend):
        assert terminal.until("scissors?"), terminal.printed
    host.type("/say hello there\n")
    assert friend.until("Ada: hello there"), friend.printed
    friend.type("?\n")
    assert friend.until("rock beats scissors"), friend.printed

    # Half a line stays while the other's throw is printed, and is sent then.
    host.type("pap")
    assert host.until("pap"), host.printed
    place = len(host.printed)
    friend.type("rock\n")
    assert host.until("Grace has thrown.", after=place), host.printed
    host.type("er\n")
    assert host.until("You paper, Grace rock: You win the round.", after=place), host.printed
    place = friend.until("Ada wins the round.")
    assert place, friend.printed
    assert friend.until("scissors?", after=place), friend.printed  # where keys are read again
    friend.type("\x04")
    assert friend.end() == 0, friend.printed
    assert host.end() == 0, host.printed
    assert "You won. Final score" in plain(host)


def test_prompt_counts_down_and_is_dropped_when_the_time_is_up(server_url):
    terminal = Terminal("--url", server_url, "--rounds", 1, "--turn-timeout", 3)
    assert terminal.until("How many tricks will you take?"), terminal.printed
    terminal.type("1")
    assert terminal.until("the server bid 0."), terminal.printed
    assert terminal.end() == 0, terminal.printed
    shown = plain(terminal)
    assert "[0:02]" in shown
    assert "[0:00]" in shown  # of what is in between, only the digits are written
    assert "Final score" in shown


def test_ctrl_c_at_a_prompt_disconnects_and_ctrl_d_leaves(server_url):
    for key, said in (("\x03", "You disconnected."), ("\x04", "You left the game.")):
        terminal = Terminal("--url", server_url, "--ruleset", "reversi")
        assert terminal.until("Which cell?"), terminal.printed
        terminal.type(key)
        assert terminal.end() == 0, terminal.printed
        assert said in plain(terminal)
        assert "Traceback" not in terminal.printed


def test_quick_play_says_who_comes(server_url):
    terminal = Terminal("--url", server_url, "--ruleset", "four_in_a_row", "--with-people")
    for text in ("Waiting for other players", "joined.", "Which column?"):
        assert terminal.until(text), terminal.printed
    terminal.type("\x04")
    assert terminal.end() == 0, terminal.printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--join", "AAAAAA"), "playhall:"),
        (("--join", "AAAAAA", "--with-people"), "Choose one of --with-people"),
    ],
)
def test_what_cannot_be_is_a_sentence(server_url, arguments, said):
    terminal = Terminal("--url", server_url, *arguments)
    assert terminal.end() == 1
    assert said in " ".join(plain(terminal).split())
    assert "Traceback" not in terminal.printed


async def test_lost_connection_is_said_and_restored(server_url):
    async with connect(server_url) as client:
        await client.player_id()
        client.connection.drop_websocket()
        updates = client.updates()
        kinds = [(await anext(updates))["type"] for _ in range(2)]
    assert kinds == ["connection.lost", "connection.restored"]


async def test_code_of_a_lobby_with_several_tables_leads_to_a_free_seat(server_url):
    async with connect(server_url, name="Ann") as ann:
        asked = {"ruleset": "rock_paper_scissors", "config": {"wins": 1}, "tables": 2}
        lobby = (await ann.call("lobby.create", **asked))["lobby"]
        terminal = await asyncio.to_thread(
            Terminal, "--url", server_url, "--auto", "--join", lobby["join_code"], "--name", "Bob"
        )
        async for update in ann.updates():
            if update["type"] == "lobby.update" and update["change"]["kind"] == "ready":
                break
        started = (await ann.call("lobby.start", lobby_id=lobby["lobby_id"]))["lobby"]
        game = await ann.wait_for_game(started)
        async for event in game:
            if event.type in ("game_created", "round_revealed"):
                with suppress(RequestRefused):  # it was the last round
                    await game.act({"type": "throw", "throw": "rock"})
        assert await asyncio.to_thread(terminal.end) == 0, terminal.printed
        assert "Final score" in plain(terminal)
