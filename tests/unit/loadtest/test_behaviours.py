"""The simulated players against the real rules."""

from random import Random

import pytest

from loadtest.players import KINDS
from loadtest.players.relay import RelayBehaviour
from server.gamekit.contract import IllegalMove
from server.rulesets import find_rulesets
from tests.unit.loadtest.games import Hall


def test_every_player_is_of_a_ruleset():
    assert set(KINDS) <= set(find_rulesets())


@pytest.mark.parametrize("seats", [2, 4, 5, 6, 10])
@pytest.mark.parametrize("seed", range(5))
def test_el_dorado_is_played_to_the_end_by_legal_moves_alone(seats, seed):
    rounds = 3 if seats > 5 else 10
    played = Hall("el_dorado", seed=seed, seats=seats, rounds=rounds).play_out()

    assert played.events[-1].type == "game_completed"


@pytest.mark.parametrize("seed", range(20))
def test_four_in_a_row_is_played_until_it_is_decided(seed):
    hall = Hall("four_in_a_row", seed=seed)
    while hall.fold.outcome() is None:
        seat = hall.fold.turn.seats[0]
        assert hall.behaviours[1 - seat].choose_move() is None
        hall.move(seat, hall.behaviours[seat].choose_move())

    assert all(behaviour.choose_move() is None for behaviour in hall.behaviours)


def test_nothing_is_dropped_between_the_last_disc_and_the_end():
    first = KINDS["four_in_a_row"].behaviour("a", Random(1))
    first.on_event("game_created", {"players": [{"player_id": "a"}, {"player_id": "b"}]})
    for number in range(42):
        assert (first.choose_move() is None) == (number % 2 == 1)
        first.on_event("disc_dropped", {"column": number % 7})
    assert first.choose_move() is None  # `board_filled` has not come yet


@pytest.mark.parametrize("ruleset", ["el_dorado", "four_in_a_row"])
def test_every_misplay_is_refused_by_the_rules(ruleset):
    hall = Hall(ruleset, seed=7)
    refused = 0
    while hall.fold.outcome() is None:
        seat = hall.fold.turn.seats[0]
        with pytest.raises(IllegalMove):
            hall.ruleset.decide(
                hall.fold.state, seat, hall.ruleset.parse(hall.behaviours[seat].make_illegal_move())
            )
        refused += 1
        hall.move(seat, hall.behaviours[seat].choose_move())

    assert refused > 6


@pytest.mark.parametrize("ruleset", ["el_dorado", "four_in_a_row", "lamplighter"])
@pytest.mark.parametrize("seed", range(10))
def test_counted_score_is_the_result(ruleset, seed):
    hall = Hall(ruleset, seed=seed)
    while hall.fold.outcome() is None:
        seat = hall.fold.turn.seats[0]
        hall.move(seat, hall.behaviours[seat].choose_move())
    score = hall.kind.score(hall.players)
    for event in hall.events:
        score.on_event(event.type, event.payload)

    assert score.totals == hall.events[-1].payload["final_scores"]


def test_turns_are_numbered_apart():
    hall = Hall("el_dorado", seed=3, rounds=2)
    behaviour, turns = hall.behaviours[0], []
    while hall.fold.outcome() is None:
        seat = hall.fold.turn.seats[0]
        if seat == 0:
            turns.append(behaviour.turn)
        hall.move(seat, hall.behaviours[seat].choose_move())

    assert len(turns) == 2 + 2 + 1  # two bids, and the cards of both rounds
    assert len(set(turns)) == len(turns)


def test_relay_messages_have_the_size_that_was_asked_for():
    import orjson

    behaviour = RelayBehaviour("me", None, payload_bytes=250)

    assert [len(orjson.dumps(behaviour.choose_move())) for _ in range(1000)][998] == 249
    assert len(orjson.dumps(behaviour.choose_move())) == 250
