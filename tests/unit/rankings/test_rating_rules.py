"""How results become places, and places ratings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol.ids import GameId, PlayerId
from server.domains.compete.ratings.rules import (
    BEGINNER,
    GameResult,
    Rated,
    SeatPlace,
    Strength,
    is_rated,
    rate_game,
)
from server.rulesets import find_rulesets

AT = datetime(2027, 3, 1, tzinfo=UTC)
RULESETS = find_rulesets()


def rated(
    ruleset: str, *seats: tuple[int, bool, bool], known: dict[int, Strength] | None = None
) -> list[Rated]:
    """Rate a game of seats (score, is_winner, forfeited)."""
    names = [PlayerId(f"p{seat}") for seat in range(len(seats))]
    places = tuple(SeatPlace(names[n], n, *seat) for n, seat in enumerate(seats))
    strengths = {names[n]: each for n, each in (known or {}).items()}
    result = rate_game(RULESETS[ruleset], GameResult(GameId("g"), ruleset, AT, places), strengths)
    return [result[name] for name in names]


def test_winner_of_two_gains_what_the_loser_loses_and_both_are_more_certain() -> None:
    winner, loser = rated("reversi", (40, True, False), (24, False, False))
    assert (winner.place, loser.place) == (1, 2)
    assert winner.after.rating - 1500 == pytest.approx(1500 - loser.after.rating)
    assert winner.after.rating > 1600
    assert winner.after.deviation == loser.after.deviation < 300
    assert (winner.after.games, winner.after.rated_at) == (1, AT)


def test_draw_of_equals_changes_no_rating() -> None:
    one, other = rated("reversi", (32, False, False), (32, False, False))
    assert (one.place, other.place) == (1, 1)
    assert one.after.rating == other.after.rating == pytest.approx(1500)


def test_more_than_two_are_placed_by_leaving_winning_and_score() -> None:
    seats = [(9, False, True), (5, True, False), (7, False, False), (7, False, False)]
    result = rated("el_dorado", *seats)
    assert [each.place for each in result] == [4, 1, 2, 2]
    ratings = [each.after.rating for each in result]
    assert ratings[2] == pytest.approx(ratings[3])
    assert ratings[1] > ratings[2] > ratings[0]
    assert all(each.after.deviation < 350 for each in result)


def test_team_has_the_place_of_its_best_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(RULESETS["el_dorado"]), "team_of", lambda self, seat, seats: seat % 2)
    lost = (1, False, False)
    result = rated("el_dorado", lost, (9, True, False), lost, lost)
    assert [each.place for each in result] == [2, 1, 2, 1]
    gained = [each.after.rating - 1500 for each in result]
    assert gained[1] == pytest.approx(gained[3])
    assert gained[1] > 0 > gained[0]


def test_deviation_grows_with_full_days_and_never_beyond_a_beginners() -> None:
    known = Strength(1700, 60, 0.06, 40, AT - timedelta(days=100, hours=5))
    idle, _ = rated("reversi", (1, True, False), (0, False, False), known={0: known})
    assert idle.before.deviation == pytest.approx((60**2 + 100 * (0.06 * 173.7178) ** 2) ** 0.5)
    gone = known._replace(rated_at=AT - timedelta(days=36_500))
    idle, _ = rated("reversi", (1, True, False), (0, False, False), known={0: gone})
    assert idle.before.deviation == 350
    later = known._replace(rated_at=AT + timedelta(days=9))  # events come in any order
    early, _ = rated("reversi", (1, True, False), (0, False, False), known={0: later})
    assert (early.before.deviation, early.after.rated_at) == (60, later.rated_at)


def test_only_rulesets_that_say_so_are_rated() -> None:
    assert is_rated(RULESETS["reversi"], 2)
    assert not is_rated(RULESETS["reversi"], 1)
    assert not is_rated(RULESETS["relay"], 2)
    assert not is_rated(None, 2)
    assert BEGINNER.rating == 1500


def test_who_has_a_team_of_their_own_alone_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def together(self: Any, seat: int, seats: int) -> int:
        return 0

    monkeypatch.setattr(type(RULESETS["reversi"]), "team_of", together)
    one, other = rated("reversi", (1, True, False), (0, False, False))
    assert one.after.rating == other.after.rating == 1500
