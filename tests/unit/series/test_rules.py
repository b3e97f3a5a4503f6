"""How a series goes on."""

from typing import Any

import pytest

from persistence.series.store import StoredSeries
from protocol.domain_events import SeatOutcome
from protocol.ids import GameId, PlayerId, new_id
from protocol.series import NoRematch
from server.domains.play.series.rules import agree, count_game, decline, lobby_of, rotated_seats

A, B, C = PlayerId("a"), PlayerId("b"), PlayerId("c")


def series(**fields: Any) -> StoredSeries:
    given: dict[str, Any] = {
        "series_id": new_id(),
        "after_game": GameId("g"),
        "ruleset": "reversi",
        "config": {},
        "seats": (A, None, B),
        "best_of": 3,
        "wins": {},
        **fields,
    }
    return StoredSeries(**given)


def game(*winners: PlayerId, left: tuple[PlayerId, ...] = ()) -> list[SeatOutcome]:
    return [
        SeatOutcome(player_id=p, seat=n, score=0, is_winner=p in winners, forfeited=p in left)
        for n, p in enumerate((A, B))
    ]


def test_it_begins_once_all_people_have_agreed() -> None:
    one = agree(series(), A)
    assert (one.state, one.agreed, one.is_starting) == ("proposed", (A,), False)
    assert agree(one, A) is one
    both = agree(one, B)
    assert (both.state, both.number, both.is_starting) == ("playing", 1, True)
    assert agree(both, B) is both
    for change in (agree, decline):
        with pytest.raises(NoRematch):
            change(one, C)
    assert decline(one, B).state == "finished"
    with pytest.raises(NoRematch):
        decline(both, B)


def play(*games: list[SeatOutcome], best_of: int = 3) -> StoredSeries:
    now = series(state="playing", number=1, best_of=best_of)
    for each in games:
        assert now.state == "playing"
        now = count_game(now, each)
    return now


def test_who_cannot_be_caught_up_with_has_won() -> None:
    assert play(game(A)).number == 2
    won = play(game(A), game(A))
    assert (won.state, won.winner_id, won.wins) == ("finished", A, {A: 2})
    assert play(game(A), game(B)).state == "playing"
    assert play(game(A), game(B), game(B)).winner_id == B


def test_draws_count_for_nobody_and_an_even_series_has_no_winner() -> None:
    drawn = play(game(), game(A, B), game())
    assert (drawn.state, drawn.winner_id, drawn.wins) == ("finished", None, {})
    assert play(game(A), game(), game()).winner_id == A
    assert play(game(A), game(B), game()).winner_id is None


def test_who_leaves_is_out() -> None:
    over = play(game(A), game(B, left=(A,)), best_of=5)
    assert (over.state, over.winner_id) == ("finished", B)
    assert play(game(left=(A, B))).winner_id is None


def test_seats_move_on_by_one_with_each_game_and_each_has_its_lobby() -> None:
    first, second = series(number=1), series(number=2)
    assert rotated_seats(first) == [None, B, A]
    assert rotated_seats(second) == [B, A, None]
    assert lobby_of(first) == lobby_of(first)
    assert lobby_of(first) != lobby_of(second)
