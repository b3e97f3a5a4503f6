"""Who is matched with whom."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from protocol.ids import PlayerId
from server.domains.play.matchmaking.rules import (
    FoundMatch,
    SearchRules,
    Ticket,
    find_matches,
    fits,
    holds,
    seat_players,
)
from server.rulesets import find_rulesets

RULES = SearchRules()
RULESETS = find_rulesets()


def ticket(
    name: str, rating: float = 1500, waited_s: float = 0, *, people: int = 1, seats: int = 2,
    config: bytes = b"{}", **fields: Any,
) -> Ticket:  # fmt: skip
    players = tuple(PlayerId(f"{name}{n}") for n in range(people))
    return Ticket(name, players, (seats, config), rating, waited_s, **fields)


def found(*tickets: Ticket, rules: SearchRules = RULES, has_bots: bool = True) -> list[str]:
    matches = find_matches(tickets, rules, has_bots=has_bots)
    return ["".join(sorted(t.ticket_id for t in m.tickets)) + "." * m.bots for m in matches]


def test_longest_waiting_looks_first_and_takes_the_nearest() -> None:
    assert found(ticket("a", 1500, 9), ticket("b", 1590, 8), ticket("c", 1510, 1)) == ["ac"]


def test_window_widens_with_the_wait_of_both() -> None:
    near, far = ticket("a", 1500, 20), ticket("b", 1790, 19)
    assert found(near, far) == ["ab"]
    assert found(near, far._replace(waited_s=18.9)) == []
    assert RULES.window_after(10_000) == 1000


def test_other_seats_and_configurations_are_other_pools() -> None:
    assert found(ticket("a"), ticket("b", seats=3), ticket("c", config=b"[]")) == []


def test_regions_are_kept_apart_for_a_while() -> None:
    here, there = ticket("a", region="eu"), ticket("b", region="us")
    assert found(here, there) == []
    assert found(here, ticket("c")) == ["ac"]
    assert found(here._replace(waited_s=15), there._replace(waited_s=16)) == ["ab"]
    assert FoundMatch((here, ticket("c"))).region == "eu"
    assert FoundMatch((here, there)).region is None


def test_bots_come_after_a_wait_for_those_who_want_them() -> None:
    late = ticket("a", waited_s=30)
    assert found(late) == ["a."]
    assert found(late._replace(waited_s=29.9)) == []
    assert found(late._replace(with_bots=False)) == []
    assert found(late, has_bots=False) == []
    assert found(late, rules=SearchRules(bots_after_s=0)) == []
    three = [ticket("a", waited_s=30, seats=3), ticket("b", seats=3), ticket("c", 2500, seats=3)]
    assert found(*three) == ["ab."]


def test_parties_fill_the_seats_without_being_split() -> None:
    tickets = [ticket("a", people=2, seats=4, waited_s=3), ticket("b", people=3, seats=4),
               ticket("c", seats=4), ticket("d", seats=4)]  # fmt: skip
    assert found(*tickets) == ["acd"]


@pytest.mark.parametrize(
    ("op", "value", "holds_for"),
    [
        ("eq", 3, {3}),
        ("ne", 3, {2, "3", None}),
        ("lt", 3, {2}),
        ("ge", 3, {3, 4}),
        ("gt", "a", {"b"}),
        ("in", ["3", 4], {"3", 4}),
        ("in", 4, {4}),
    ],
)
def test_conditions_compare_text_with_text_and_numbers_with_numbers(
    op: str, value: Any, holds_for: set[Any]
) -> None:
    condition = {"property": "p", "op": op, "value": value}
    for present in (2, 3, 3.0, 4, "3", "a", "b", None):
        properties = {} if present is None else {"p": present}
        expected = present in holds_for and {type(p) for p in holds_for if p == present} != set()
        if op == "ne":
            expected = present != value
        assert holds(condition, properties) is expected, (condition, present)


def test_conditions_of_both_must_hold() -> None:
    picky = ticket("a", conditions=[{"property": "mode", "op": "eq", "value": "duel"}])
    assert not fits(picky, ticket("b"), RULES)
    assert not fits(ticket("b"), picky, RULES)
    assert fits(picky, ticket("b", properties={"mode": "duel"}), RULES)


def test_nobody_is_matched_twice_and_everybody_fits() -> None:
    chance = Random(5)
    tickets = [
        ticket(f"t{n:03}", chance.gauss(1500, 300), chance.uniform(0, 40), seats=4,
               people=chance.choice([1, 1, 1, 2, 3]), region=chance.choice([None, "eu", "us"]))
        for n in range(400)
    ]  # fmt: skip
    matches = list(find_matches(tickets, RULES))
    players = Counter(p for m in matches for t in m.tickets for p in t.players)
    assert len(matches) > 80
    assert set(players.values()) == {1}
    for match in matches:
        assert match.bots == 0 or match.tickets[0].waited_s >= 30
        assert match.bots >= 0
        for one in match.tickets:
            assert all(fits(one, other, RULES) for other in match.tickets if other is not one)


def test_seats_are_drawn_and_teams_are_even(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = FoundMatch((ticket("a"), ticket("b")))
    drawn = {
        tuple(seat_players(alone, RULESETS["reversi"], Random(n).shuffle) or ()) for n in range(20)
    }
    assert drawn == {("a0", "b0"), ("b0", "a0")}
    monkeypatch.setattr(type(RULESETS["el_dorado"]), "team_of", lambda self, seat, seats: seat % 2)
    pair = ticket("p", 1500, people=2, seats=4)
    match = FoundMatch((pair, ticket("x", 1600, seats=4), ticket("y", 1400, seats=4)))
    for n in range(10):
        seats = seat_players(match, RULESETS["el_dorado"], Random(n).shuffle)
        assert seats is not None
        assert {seats.index(PlayerId("p0")) % 2, seats.index(PlayerId("p1")) % 2} in ({0}, {1})
    split = FoundMatch((ticket("p", people=3, seats=4), ticket("x", seats=4)))
    assert seat_players(split, RULESETS["el_dorado"], Random(1).shuffle) is None
    mixed = FoundMatch((ticket("a", seats=4), ticket("b", 1400, seats=4)))
    seats = seat_players(mixed, RULESETS["el_dorado"], Random(1).shuffle)
    assert seats is not None
    assert seats.count(None) == 2
    assert seats.index(PlayerId("a0")) % 2 != seats.index(PlayerId("b0")) % 2
