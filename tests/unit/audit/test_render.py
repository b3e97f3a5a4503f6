"""What a terminal shows of any game, without knowing the game."""

import pytest
from rich.console import Console

from server.ops.audit.evidence import GameEvidence
from server.ops.audit.findings import CheckFailed
from server.ops.audit.render import (
    format_card,
    format_inline,
    replay_text,
    snapshot_table,
    strip_control_characters,
)
from server.ops.audit.replay import Replay, ReplayView
from tests.unit.audit.forgery import GAME, RULESETS, chained, copied, el_dorado

LOG = el_dorado("random", "random", "random").start().play().log


def replay() -> Replay:
    return Replay(GameEvidence(GAME, chained(LOG)), RULESETS)


def shown(replay: Replay, gaze: ReplayView) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        console.print(replay_text(replay, gaze))
    return capture.get()


def test_cards_are_written_as_people_write_them() -> None:
    assert (format_card("d0:spades:A"), format_card("d1:hearts:10")) == ("A♠", "10♥*")
    assert format_card("d0:spades:A or so") == "d0:spades:A or so"


def test_json_is_written_in_one_line_with_players_as_seats() -> None:
    value = {"p": [True, None, 3], "q": {"id-0": "d0:clubs:2"}}
    assert format_inline(value, {"id-0": "seat 0"}) == "{p: [yes - 3], q: {seat 0: 2♣}}"


def test_text_of_others_can_not_control_the_terminal() -> None:
    assert strip_control_characters("\x1b[2J\r\u202e[red]").plain == "\\x1b[2J\\r\\u202e[red]"
    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(snapshot_table({"\x1b]0;x": ["\x1b[2J", "[bold]"]}, {}))
    assert "\x1b" not in capture.get()
    assert "[bold]" in capture.get()


def test_text_without_end_is_cut() -> None:
    assert len(strip_control_characters("x" * 100_000).plain) < 1000


def test_spectator_sees_no_hand_and_a_seat_sees_its_own() -> None:
    game = replay()
    dealt = next(n for n, event in enumerate(LOG) if event.type == "cards_dealt")
    hands = LOG[dealt].payload["hands"]
    game.go_to(dealt)
    mine, theirs = (format_inline(hands[f"player-{seat}"], {})[1:-1] for seat in (1, 2))
    assert theirs not in shown(game, ReplayView())
    assert mine in shown(game, ReplayView(1))
    assert theirs not in shown(game, ReplayView(1))
    assert theirs in shown(game, ReplayView(None, is_open=True))


def test_going_back_shows_the_same_as_coming_there() -> None:
    game = replay()
    snapshots = []
    for index in range(game.head + 1):
        game.go_to(index)
        snapshots.append(shown(game, ReplayView(0)))
    for index in reversed(range(game.head + 1)):
        game.go_to(index)
        assert snapshots[index] == shown(game, ReplayView(0))
    assert f"event {game.index} of {game.head}" in snapshots[0]


def test_going_too_far_stops_at_the_ends() -> None:
    game = replay()
    game.go_to(10_000)
    assert game.index == game.head
    game.go_to(-5)
    assert game.index == 0


def test_event_that_does_not_follow_is_named() -> None:
    lie = copied(LOG)
    lie[6].payload.pop("player_id")
    game = Replay(GameEvidence(GAME, chained(lie)), RULESETS)
    with pytest.raises(CheckFailed, match="event 6 does not follow: KeyError"):
        game.go_to(game.head)
