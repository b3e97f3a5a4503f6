"""Pairings: nobody meets twice, nobody rests twice, every format ends with a table."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from server.domains.compete.tournaments.rules import (
    REPLAYS_MAX,
    Entrant,
    Format,
    FreePlayer,
    Pairing,
    bracket,
    circle_round,
    count_firsts,
    next_step,
    pair_arena,
    pair_swiss,
    planned_rounds,
    swiss_rounds,
    total_points,
)
from server.domains.compete.tournaments.standings import TableRow, build_table

Result = Callable[[Pairing], tuple[int, int]]
Meanwhile = Callable[[int, list[Entrant]], list[Entrant]]

RESULTS = ((2, 0), (1, 1), (0, 2))
many = st.integers(min_value=2, max_value=40)
seeds = st.integers(min_value=0, max_value=2**32)


def by_chance(seed: int) -> Result:
    chance = Random(seed)
    return lambda _: chance.choice(RESULTS)


def better_seed_wins(pairing: Pairing) -> tuple[int, int]:
    return (2, 0) if pairing.second is None or pairing.first < pairing.second else (0, 2)


def play(
    format_: Format,
    count: int,
    result: Result,
    *,
    rounds: int | None = None,
    meanwhile: Meanwhile = lambda _, entrants: entrants,
) -> tuple[list[Pairing], list[TableRow]]:
    """Play a whole tournament; every step is checked for what holds in all formats."""
    entrants = [Entrant(number) for number in range(1, count + 1)]
    planned = planned_rounds(format_, count, rounds)
    assert planned is not None
    pairings: list[Pairing] = []
    for _ in range(planned * (REPLAYS_MAX + 1) + 1):
        step = next_step(format_, planned, entrants, pairings)
        assert step is not None
        if step.is_over:
            return pairings, build_table(format_, entrants, pairings)
        new = list(step.pairings)
        busy = [number for pairing in new for number in pairing.players]
        assert len(busy) == len(set(busy)), "somebody plays twice in a round"
        if any(pairing.points is None for pairing in new):
            assert next_step(format_, planned, entrants, [*pairings, *new]) is None
        pairings += [p if p.points else replace(p, points=result(p)) for p in new]
        entrants = meanwhile(pairings[-1].round, entrants)
    raise AssertionError("the tournament does not end")


def meetings(pairings: Sequence[Pairing]) -> Counter[frozenset[int]]:
    return Counter(frozenset(p.players) for p in pairings if p.second is not None)


# ------------------------------------------------------------------ Swiss


@given(many, seeds)
@settings(max_examples=150)
def test_nobody_meets_or_rests_twice_in_a_swiss_of_the_most_rounds(count: int, seed: int) -> None:
    pairings, table = play("swiss", count, by_chance(seed), rounds=10_000)
    rounds = swiss_rounds(count, 10_000)
    assert max(pairing.round for pairing in pairings) == rounds
    assert set(meetings(pairings).values()) == {1}
    byes = Counter(pairing.first for pairing in pairings if pairing.kind == "bye")
    assert byes.total() == (rounds if count % 2 else 0)
    assert not byes or max(byes.values()) == 1
    assert sum(row.points for row in table) == 2 * len(pairings)


@given(many, seeds)
@settings(max_examples=60)
def test_swiss_goes_on_when_entrants_withdraw(count: int, seed: int) -> None:
    chance = Random(seed)

    def leave(_: int, entrants: list[Entrant]) -> list[Entrant]:
        return [replace(e, is_active=e.is_active and chance.random() > 0.15) for e in entrants]

    pairings, table = play("swiss", count, by_chance(seed), meanwhile=leave)
    assert len(table) == count
    assert all(pairing.kind in ("game", "bye") for pairing in pairings)


@given(st.integers(1, 6).map(lambda half: 2 * half), seeds)
@settings(max_examples=100)
def test_few_players_meet_again_only_if_there_is_no_other_way(count: int, seed: int) -> None:
    chance, everybody = Random(seed), list(range(1, count + 1))
    met = {frozenset(two): 1 for two in combinations(everybody, 2) if chance.random() < 0.6}
    pairs = pair_swiss(everybody, Counter(), met)
    assert sorted(number for pair in pairs for number in pair) == everybody
    if any(frozenset(pair) in met for pair in pairs):
        assert not any(
            all(frozenset(pair) not in met for pair in matching)
            for matching in matchings(everybody)
        )


def matchings(players: list[int]) -> list[list[tuple[int, int]]]:
    if not players:
        return [[]]
    first, *others = players
    return [
        [(first, other), *rest]
        for other in others
        for rest in matchings([one for one in others if one != other])
    ]


def test_first_round_of_a_swiss_pairs_the_upper_half_with_the_lower() -> None:
    step = next_step("swiss", 3, [Entrant(number) for number in range(1, 9)], [])
    assert step is not None
    met = {tuple(sorted(pairing.players)) for pairing in step.pairings}
    assert met == {(1, 5), (2, 6), (3, 7), (4, 8)}


def test_swiss_puts_the_strongest_first_and_shares_the_first_seats() -> None:
    pairings, table = play("swiss", 32, better_seed_wins)
    assert (table[0].number, table[0].points, table[0].place) == (1, 10, 1)
    firsts = count_firsts(pairings)
    assert max(firsts.values()) - min(firsts[number] for number in range(1, 33)) <= 2


def test_number_of_swiss_rounds_is_enough_for_one_winner_and_bounded() -> None:
    assert [swiss_rounds(count, None) for count in (2, 4, 8, 9, 256)] == [1, 2, 3, 4, 8]
    assert [swiss_rounds(count, 7) for count in (2, 8, 16)] == [1, 4, 7]


# ------------------------------------------------------------------ round robin


@given(st.integers(min_value=2, max_value=17), seeds)
@settings(max_examples=40)
def test_everybody_meets_everybody_once_in_a_round_robin(count: int, seed: int) -> None:
    pairings, table = play("round_robin", count, by_chance(seed))
    everybody = range(1, count + 1)
    assert meetings(pairings) == Counter(frozenset(two) for two in combinations(everybody, 2))
    assert all(row.games == count - 1 for row in table)
    firsts = count_firsts(pairings)
    assert max(firsts.values()) - min(firsts[number] for number in everybody) <= 3


def test_circle_gives_everybody_one_opponent_a_round() -> None:
    for count in range(2, 12):
        for round_ in range(1, count + count % 2):
            seats = [one for pair in circle_round(range(count), round_) for one in pair]
            assert sorted(one for one in seats if one is not None) == list(range(count))


def test_who_withdraws_from_a_round_robin_forfeits_the_rest() -> None:
    def leave(_: int, entrants: list[Entrant]) -> list[Entrant]:
        return [replace(entrant, is_active=entrant.number != 1) for entrant in entrants]

    pairings, table = play("round_robin", 4, better_seed_wins, meanwhile=leave)
    mine = [p for p in pairings if 1 in p.players]
    assert [pairing.kind for pairing in mine] == ["game", "forfeit", "forfeit"]
    row = next(row for row in table if row.number == 1)
    assert (row.points, row.wins, row.games) == (2, 1, 1)


# ------------------------------------------------------------------ single elimination


@given(many, seeds)
@settings(max_examples=100)
def test_elimination_has_one_winner_whatever_the_results(count: int, seed: int) -> None:
    pairings, table = play("single_elimination", count, by_chance(seed))
    assert [row.place for row in table].count(1) == 1
    lost = {row.number for row in table if row.survived < table[0].survived}
    assert len(lost) == count - 1
    replays = Counter((p.round, p.board) for p in pairings)
    assert max(replays.values()) <= REPLAYS_MAX + 1


def test_best_seeds_meet_last_and_have_the_byes() -> None:
    assert bracket(8) == [1, 8, 4, 5, 2, 7, 3, 6]
    pairings, table = play("single_elimination", 6, better_seed_wins)
    assert [p.first for p in pairings if p.kind == "bye"] == [1, 2]
    assert [(row.number, row.place) for row in table] == [
        *((1, 1), (2, 2), (3, 3), (4, 3)),
        *((5, 5), (6, 5)),
    ]


def test_drawn_game_is_played_again_with_seats_swapped_then_the_better_seed_goes_on() -> None:
    pairings, table = play("single_elimination", 2, lambda _: (1, 1))
    assert [(p.attempt, p.first) for p in pairings] == [
        (attempt, pairings[0].first if attempt % 2 else pairings[0].second)
        for attempt in range(1, REPLAYS_MAX + 2)
    ]
    assert table[0].number == 1


def test_nobody_goes_on_from_a_board_that_both_forfeited() -> None:
    def result(pairing: Pairing) -> tuple[int, int]:
        return (0, 0) if pairing.round == 1 and pairing.board == 1 else better_seed_wins(pairing)

    pairings, table = play("single_elimination", 4, result)
    assert [(p.kind, p.players) for p in pairings if p.round == 2] == [("bye", (2,))]
    assert table[0].number == 2


# ------------------------------------------------------------------ arena


@given(st.lists(st.integers(0, 20), max_size=30), seeds)
def test_arena_pairs_nobody_twice_and_not_with_whom_they_just_met(
    points: list[int], seed: int
) -> None:
    chance = Random(seed)
    numbers = range(1, len(points) + 1)
    free = [
        FreePlayer(number, got, chance.choice([None, *numbers]))
        for number, got in zip(numbers, points, strict=True)
    ]
    last = {player.number: player.last for player in free}
    pairs = pair_arena(free)
    busy = [number for pair in pairs for number in pair]
    assert len(busy) == len(set(busy))
    if len(free) > 2:
        assert all(last[a] != b and last[b] != a for a, b in pairs)


def test_only_two_in_an_arena_meet_again() -> None:
    assert pair_arena([FreePlayer(1, 2, 2), FreePlayer(2, 0, 1)]) == [(1, 2)]


# ------------------------------------------------------------------ tables


def game(round_: int, first: int, second: int, points: tuple[int, int]) -> Pairing:
    return Pairing(round_, first, first, second, "game", points)


def test_buchholz_and_sonneborn_berger_break_ties() -> None:
    pairings = [
        *(game(1, 1, 2, (2, 0)), game(1, 3, 4, (2, 0))),
        *(game(2, 1, 4, (2, 0)), game(2, 3, 2, (1, 1))),
    ]
    table = build_table("swiss", [Entrant(n) for n in range(1, 5)], pairings)
    assert [(r.number, r.points, r.buchholz, r.sonneborn_berger) for r in table] == [
        *((1, 4, 1, 2), (3, 3, 1, 1)),
        *((2, 1, 7, 3), (4, 0, 7, 0)),
    ]


def test_round_without_a_game_counts_as_an_opponent_of_ones_own_points() -> None:
    pairings = [game(1, 1, 2, (2, 0)), Pairing(1, 2, 3, None, "bye", (2, 0))]
    table = build_table("swiss", [Entrant(n) for n in range(1, 4)], pairings)
    assert [(r.number, r.buchholz, r.wins) for r in table] == [(3, 2, 0), (1, 0, 1), (2, 2, 0)]


def test_head_to_head_decides_among_those_who_have_all_met() -> None:
    pairings = [
        *(game(1, 1, 2, (2, 0)), game(2, 3, 1, (2, 0)), game(3, 1, 4, (2, 0))),
        *(game(4, 2, 4, (2, 0)), game(5, 3, 4, (2, 0)), game(6, 5, 3, (2, 0))),
    ]
    table = build_table("round_robin", [Entrant(n) for n in range(1, 6)], pairings)
    # 1 and 3 have 4 points each, and 3 won; 2 and 5 have 2 each and never met.
    assert [(r.number, r.points, r.head_to_head) for r in table][:2] == [(3, 4, 2), (1, 4, 0)]
    assert {r.number: r.head_to_head for r in table if r.number in (2, 5)} == {2: 0, 5: 0}


def test_equal_entrants_share_a_place() -> None:
    table = build_table("arena", [Entrant(n) for n in range(1, 4)], [game(1, 1, 2, (1, 1))])
    assert [(row.number, row.place) for row in table] == [(1, 1), (2, 1), (3, 3)]


def test_points_are_added_up() -> None:
    pairings = [game(1, 1, 2, (2, 0)), game(2, 2, 1, (1, 1)), Pairing(3, 1, 1, 2)]
    assert total_points(pairings) == Counter({1: 3, 2: 1})
