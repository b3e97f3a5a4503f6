from io import StringIO
from json import dumps

import pytest
from rich.console import Console

from loadtest.players import KINDS
from loadtest.terminal import SCREENS, make_screen
from loadtest.terminal.boards import cell_name
from loadtest.terminal.screens import UnclearInput, card_text, read_card, sort_hand
from server.gamekit.conformance.playout import Playout
from server.rulesets import find_rulesets
from tests.unit.loadtest.games import Hall

HAND = ["d0:spades:A", "d0:hearts:10", "d1:hearts:10", "d0:clubs:2"]


@pytest.mark.parametrize(
    ("line", "card"),
    [
        ("1", HAND[0]),
        (" 4 ", HAND[3]),
        ("as", HAND[0]),
        ("A♠", HAND[0]),
        ("10H", HAND[1]),
        ("10h2", HAND[2]),
        ("2c", HAND[3]),
    ],
)
def test_card_is_read_by_place_or_name(line, card):
    assert read_card(line, HAND) == card


@pytest.mark.parametrize("line", ["", "0", "5", "KS", "ace", "٣", "1.0"])
def test_line_that_names_no_card_is_answered_with_what_does(line):
    with pytest.raises(UnclearInput, match=r"number|name"):
        read_card(line, HAND)


def test_cards_are_shown_by_suit_high_ones_first():
    assert [card_text(card) for card in sort_hand(HAND[::-1])] == ["A♠", "10♥", "10♥²", "2♣"]


@pytest.mark.parametrize("ruleset", sorted(set(SCREENS) & set(KINDS)))
def test_whole_game_can_be_described_shown_and_played_by_what_is_typed(ruleset):
    hall = Hall(ruleset, seed=5)
    names = {player: f"Player {seat}" for seat, player in enumerate(hall.players)}
    screen = SCREENS[ruleset](hall.players[0], names)
    console = Console(width=100, file=StringIO())
    shown = 0
    while not hall.fold.table.completed:
        shown = show_new(hall, screen, console, shown)
        seat = hall.fold.turn.seats[0]
        move = hall.behaviours[seat].choose_move()
        if seat == 0:
            view = hall.ruleset.view(hall.fold.state, 0)
            console.print(screen.show_view(view))
            move = screen.read_move(typed(view, move), view)
        hall.move(seat, move)
    show_new(hall, screen, console, shown)

    text = console.file.getvalue()
    assert "Final score" in text
    assert "You" in text
    assert all(name in text for name in names.values() if name != "Player 0")


@pytest.mark.parametrize("ruleset", ["reversi", "rock_paper_scissors"])
def test_whole_game_of_bots_can_be_described_and_shown(ruleset):
    playout = Playout(find_rulesets()[ruleset], 2, "shown")
    screen = SCREENS[ruleset]("player-0", {"player-0": "Ann", "player-1": "Bob"})
    console = Console(width=100, file=StringIO())

    def describe(event):
        line = screen.describe(event.type, playout.ruleset.redact(event, 0))
        if line is not None:
            console.print(line)

    playout.watch = describe
    playout.start()
    while (seat := playout.to_act()) is not None:
        move = playout.bot_move(seat)
        if seat == 0:
            view = playout.view(0)
            console.print(screen.show_view(view), screen.prompt_text(view))
            typed = cell_name(move["cell"]) if ruleset == "reversi" else move["throw"][0].upper()
            assert screen.read_move(f" {typed} ", view) == move
            with pytest.raises(UnclearInput, match="Type "):
                screen.read_move("well", view)
        playout.act(seat, move)
    text = console.file.getvalue()
    assert "Final score" in text
    assert "Bob" in text
    assert ("a b c d e f g h" if ruleset == "reversi" else "the round") in text


def test_nested_values_of_a_game_that_is_not_known_are_laid_out_in_rows():
    screen = make_screen("my_game", "me", {"me": "Ann", "you": "Bob"})
    console = Console(width=100, file=StringIO())
    hands = {"me": [f"card {number}" for number in range(12)], "you": {"a": 1}}
    console.print(screen.show_view({"hands": hands, "n": 3, "legal_moves": [{"type": "pass"}]}))
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["11", '"card', '11"'] in lines
    assert ["Bob", '{"a":', "1}"] in lines
    assert ["1", '{"type":', '"pass"}'] in lines


def test_game_that_is_not_known_is_shown_as_it_is_and_played_by_numbers_or_json():
    hall = Hall("four_in_a_row", seed=5)
    me, other = hall.players
    screen = make_screen("my_game", me, {me: "Ann", other: "Bob"})
    console = Console(width=100, file=StringIO())
    shown = 0
    while not hall.fold.table.completed:
        shown = show_new(hall, screen, console, shown)
        seat = hall.fold.turn.seats[0]
        move = hall.behaviours[seat].choose_move()
        if seat == 0:
            view = hall.ruleset.view(hall.fold.state, 0)
            console.print(screen.show_view(view))
            number = view["legal_moves"].index(move) + 1
            assert (
                screen.read_move(f"{number}", view) == screen.read_move(dumps(move), view) == move
            )
            for line in ("0", "true", "take two", str(len(view["legal_moves"]) + 1)):
                with pytest.raises(UnclearInput, match="its number, from 1 to"):
                    screen.read_move(line, view)
        hall.move(seat, move)
    show_new(hall, screen, console, shown)

    text = console.file.getvalue()
    assert "my_game: You, Bob" in text
    assert 'disc_dropped  {"player_id": "You", "column": ' in text
    assert "board" in text
    assert "\x1b" not in screen.describe("\x1b[2J", {"\x1b": "\x1b"}).plain


def show_new(hall, screen, console, shown):
    for event in hall.events[shown:]:
        line = screen.describe(event.type, hall.ruleset.redact(event, 0) or {})
        if line is not None:
            console.print(line)
    return len(hall.events)


def typed(view, move):
    """Write a move as somebody would type it."""
    if move["type"] == "play_card":
        return str(sort_hand(view["hand"]).index(move["card"]) + 1)
    if move["type"] == "choose":
        return str([*view["options"]].index(move["choice"]) + 1)
    return str(move["bid"] if move["type"] == "bid" else move["column"] + 1)


def test_bid_out_of_bounds_is_answered_with_the_bounds():
    hall = Hall("el_dorado", seed=5)
    screen = SCREENS["el_dorado"](hall.players[0], {})
    view = hall.ruleset.view(hall.fold.state, 0)

    with pytest.raises(UnclearInput, match="0 to 10"):
        screen.read_move("11", view)


def test_every_screen_is_of_a_ruleset_with_bots():
    from server.rulesets import find_rulesets

    with_bots = {name for name, ruleset in find_rulesets().items() if ruleset.bots}
    assert set(SCREENS) <= with_bots
