"""El Dorado: the deal, the order of a round, points, absence, and the end."""

from collections import Counter

import pytest

from protocol.ids import PlayerId
from server.gamekit.cards import shuffled_pack
from server.gamekit.chance import derive_seed
from server.gamekit.conformance.playout import Playout
from server.gamekit.contract import Standing
from server.rulesets.el_dorado import RULESET, events
from server.rulesets.el_dorado.moves import raw_bid
from server.rulesets.el_dorado.scoring import round_points
from server.rulesets.el_dorado.state import Config
from tests.unit.rulesets.eldorado_table import (
    bid,
    code,
    last,
    new_game,
    play,
    play_round,
    table,
    types,
)

# ------------------------------------------------------------------ the deal


def test_cards_go_round_from_seat_0_and_the_next_one_is_trump() -> None:
    playout = new_game(3, rounds=4)
    order = [card.id for card in shuffled_pack(1, derive_seed("seed", "round", 1))]
    hands = last(playout, "cards_dealt")["hands"]
    assert hands["player-0"] == [order[0], order[3], order[6], order[9]]
    assert hands["player-2"] == [order[2], order[5], order[8], order[11]]
    trump = last(playout, "trump_revealed")
    assert (trump["card"], trump["trump"]) == (order[12], order[12].split(":")[1])


@pytest.mark.parametrize(("seats", "decks"), [(2, {"d0"}), (5, {"d0"}), (6, {"d0", "d1"})])
def test_second_deck_comes_with_the_sixth_player(seats: int, decks: set[str]) -> None:
    hands = last(new_game(seats), "cards_dealt")["hands"]
    assert {card[:2] for hand in hands.values() for card in hand} == decks


@pytest.mark.parametrize("seats", RULESET.seats)
def test_longest_deal_leaves_a_card_to_turn_and_gives_none_twice(seats: int) -> None:
    playout = new_game(seats)
    dealt = [card for hand in last(playout, "cards_dealt")["hands"].values() for card in hand]
    assert len(dealt) == 10 * seats
    assert max(Counter([*dealt, last(playout, "trump_revealed")["card"]]).values()) == 1


@pytest.mark.parametrize("rounds", [1, 3, 10])
def test_each_round_deals_one_card_less(rounds: int) -> None:
    playout = new_game(2, rounds=rounds).play()
    dealt = [event.payload["cards"] for event in playout.log if event.type == "round_started"]
    assert dealt == list(range(rounds, 0, -1))


def test_start_moves_on_by_one_seat_each_round() -> None:
    playout = new_game(3, rounds=5).play()
    first = [event.payload["player_id"] for event in playout.log if event.type == "round_started"]
    assert first == [f"player-{seat}" for seat in (0, 1, 2, 0, 1)]
    bids = [event.payload["player_id"] for event in playout.log if event.type == "player_bid"]
    assert bids[3:6] == ["player-1", "player-2", "player-0"]
    leads = [
        event.payload["player_id"]
        for event in playout.log
        if event.type == "trick_started" and event.payload["trick"] == 1
    ]
    assert leads == first


@pytest.mark.parametrize("rounds", [0, 11, True, 1.5])
def test_number_of_rounds_is_bounded(rounds: object) -> None:
    with pytest.raises(ValueError, match="rounds"):
        Config.model_validate({"rounds": rounds})


@pytest.mark.parametrize("timeout_s", [0.5, 86_401, float("nan"), float("inf")])
def test_time_for_a_turn_is_bounded(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="turn_timeout_s"):
        Config(turn_timeout_s=timeout_s)


# ------------------------------------------------------------------ the order of events


def test_one_round_is_these_events() -> None:
    playout = table("s2 c3", "h5 c4")
    bid(playout, 0, 2)
    play(playout, "s2 h5 c4 c3")
    assert types(playout.log) == [
        "round_started",
        "cards_dealt",
        "trump_revealed",
        "player_bid",
        "player_bid",
        "bidding_completed",
        "trick_started",
        "card_played",
        "card_played",
        "trump_broken",
        "trick_completed",
        "trick_started",
        "card_played",
        "card_played",
        "trick_completed",
        "round_scored",
        "game_completed",
    ]
    assert last(playout, "bidding_completed")["bids"] == {"player-0": 0, "player-1": 2}


def test_last_card_of_a_round_deals_the_next() -> None:
    playout = new_game(2, rounds=2)
    play_round(playout)
    assert types(playout.log)[-5:] == [
        "trick_completed",
        "round_scored",
        "round_started",
        "cards_dealt",
        "trump_revealed",
    ]


@pytest.mark.parametrize("seed", ["a", "b", "c"])
def test_four_players_and_ten_rounds_make_422_events_and_one_a_broken_trump(seed: str) -> None:
    counts = Counter(types(new_game(4, seed=seed).play().log))
    broken = counts.pop("trump_broken")
    assert 1 <= broken <= 10
    # 2 for the game, 9 a round (4 of them bids), 6 a trick.
    assert counts.total() == 2 + 10 * 9 + 55 * 6 == 422


# ------------------------------------------------------------------ points


@pytest.mark.parametrize(
    ("promised", "tricks", "points"),
    [(0, 0, 5), (3, 3, 8), (10, 10, 15), (0, 1, -5), (3, 2, -8), (3, 4, -8), (10, 9, -15)],
)
def test_points_are_won_for_exactly_the_bid_and_lost_otherwise(
    promised: int, tricks: int, points: int
) -> None:
    assert round_points(promised, tricks) == points


def test_round_is_scored_for_everybody() -> None:
    playout = table("sA c3", "h5 c4")
    bid(playout, 1, 1)
    play(playout, "sA h5 c4 c3")
    assert last(playout, "round_scored") == {
        "round": 1,
        "cards": 2,
        "trump": "hearts",
        "players": {
            "player-0": {"bid": 1, "tricks": 0, "delta": -6},
            "player-1": {"bid": 1, "tricks": 2, "delta": -6},
        },
        "_v": 1,
    }
    assert playout.view(None)["totals"] == [-6, -6]


def test_equal_totals_share_the_win() -> None:
    playout = table("sA c3", "h5 c4")
    bid(playout, 1, 1)
    play(playout, "sA h5 c4 c3")
    assert last(playout, "game_completed")["winners"] == ["player-0", "player-1"]


# ------------------------------------------------------------------ the result


def test_outcome_of_a_game_worked_out_by_hand() -> None:
    """Seed `fixed`, bids as below, cards by the clock:

    1. diamonds; h7 c6 s4 bids 2, c5 h10 cA bids 1: tricks s4-c5, c6-cA, h10-h7: 1 and 2
    2. clubs;    hA c2 bids 2, d9 s9 (starts) bids 0: tricks d9-hA, s9-c2: 1 and 1
    3. diamonds; hA bids 0, hQ bids 0: trick hA-hQ: 1 and 0
    """
    playout, bids = new_game(2, rounds=3, seed="fixed"), iter([2, 1, 0, 2, 0, 0])
    while playout.to_act() is not None:
        if playout.fold.state.phase == "bidding":
            bid(playout, next(bids))
        else:
            playout.time_out()
    outcome = playout.fold.outcome()
    assert outcome is not None
    assert outcome.standings == (
        Standing(
            seat=0,
            score=-7 - 7 - 5,
            is_winner=False,
            statistics={"tricks_won": 3, "highest_bid": 2},
            longest_win_streak=0,
            longest_loss_streak=3,
        ),
        Standing(
            seat=1,
            score=-6 - 5 + 5,
            is_winner=True,
            statistics={"tricks_won": 3, "highest_bid": 1},
            longest_win_streak=1,
            longest_loss_streak=2,
        ),
    )
    assert [(r["round"], r["cards"], r["trump"]) for r in outcome.rounds] == [
        (1, 3, "diamonds"),
        (2, 2, "clubs"),
        (3, 1, "diamonds"),
    ]
    assert outcome.rounds[1]["players"] == {
        "player-0": {"bid": 2, "tricks": 1, "delta": -7},
        "player-1": {"bid": 0, "tricks": 1, "delta": -5},
    }


@pytest.mark.parametrize(
    ("rounds", "made", "missed"),
    [("++-+++--+-", 3, 2), ("++++++++++", 10, 0), ("----------", 0, 10), ("++.+-.--++", 2, 2)],
)
def test_runs_are_of_rounds_in_a_row_and_absence_ends_them(
    rounds: str, made: int, missed: int
) -> None:
    playout = Playout(RULESET, 2, "runs", config=Config())
    for number, kind in enumerate(rounds, start=1):
        result = {"bid": 1, "tricks": int(kind == "+"), "delta": 6 if kind == "+" else -6}
        players = {"player-1": {"bid": 0, "tricks": 1, "delta": -5}}
        if kind != ".":
            players["player-0"] = result
        start = events.round_started(number, cards=11 - number, player_id=PlayerId("player-0"))
        cards = 11 - number
        score = events.round_scored(number, cards=cards, trump="hearts", players=players)
        playout.apply([start, score])
    outcome = playout.fold.outcome()
    assert outcome is not None
    standing = outcome.standings[0]
    assert (standing.longest_win_streak, standing.longest_loss_streak) == (made, missed)


# ------------------------------------------------------------------ absence


def test_who_leaves_is_played_for_until_the_round_ends_and_then_absent() -> None:
    playout = new_game(3, rounds=3)
    playout.presence("player_left", 1)
    play_round(playout)
    assert set(playout.fold.state.results[0]["players"]) == {"player-0", "player-1", "player-2"}
    assert types(playout.log)[-4:] == [
        "round_started",
        "player_marked_absent",
        "cards_dealt",
        "trump_revealed",
    ]
    assert last(playout, "player_marked_absent")["player_id"] == "player-1"
    assert last(playout, "cards_dealt")["counts"] == {"player-0": 2, "player-2": 2}


def test_absent_are_skipped_and_get_no_points() -> None:
    playout = new_game(3, rounds=2)
    playout.presence("player_left", 2)
    play_round(playout)
    total = playout.view(None)["totals"][2]
    play_round(playout)
    players = [e.payload["player_id"] for e in playout.log if e.type == "player_bid"][3:]
    assert players == ["player-1", "player-0"]
    assert set(playout.fold.state.results[1]["players"]) == {"player-0", "player-1"}
    assert playout.view(None)["totals"][2] == total


def test_absent_cannot_act() -> None:
    playout = new_game(3, rounds=2)
    playout.presence("player_left", 2)
    play_round(playout)
    assert code(playout, 2, raw_bid(0)) == "not_your_turn"
    assert playout.view(2)["hand"] == []


def test_start_passes_over_the_absent() -> None:
    playout = new_game(3, rounds=2)
    playout.presence("player_left", 1)
    play_round(playout)
    assert last(playout, "round_started")["player_id"] == "player-2"
    assert playout.to_act() == 2


def test_who_comes_back_plays_from_the_next_round_on() -> None:
    playout = new_game(3, rounds=3)
    playout.presence("player_left", 2)
    play_round(playout)
    playout.presence("player_joined", 2)
    assert playout.view(2)["playing"] == [0, 1]
    play_round(playout)
    assert playout.view(2)["playing"] == [0, 1, 2]
    assert len(playout.view(2)["hand"]) == 1


def test_who_comes_back_within_the_round_missed_nothing() -> None:
    playout = new_game(2, rounds=2)
    playout.presence("player_left", 0)
    playout.presence("player_joined", 0)
    play_round(playout)
    assert playout.view(0)["playing"] == [0, 1]


def test_game_ends_at_the_round_that_fewer_than_two_could_play() -> None:
    playout = new_game(3, rounds=10)
    play_round(playout)
    for seat in (0, 2):
        playout.presence("player_left", seat)
    assert "game_completed" not in types(playout.log)
    play_round(playout)
    assert playout.completed
    assert types(playout.log)[-2:] == ["round_scored", "game_completed"]
    outcome = playout.fold.outcome()
    assert outcome is not None
    assert len(outcome.rounds) == 2
    assert [s.score for s in outcome.standings] == playout.view(None)["totals"]


def test_deck_count_follows_the_seats_not_who_is_present() -> None:
    playout = new_game(6, rounds=10)
    playout.presence("player_left", 5)
    play_round(playout)
    hands = last(playout, "cards_dealt")["hands"]
    assert {card[:2] for hand in hands.values() for card in hand} == {"d0", "d1"}
