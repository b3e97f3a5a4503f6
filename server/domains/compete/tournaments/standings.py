"""The table of a tournament: points, and what breaks ties. Pure.

====================  ======================================================================
format                in this order
====================  ======================================================================
Swiss                 points, Buchholz, Sonneborn-Berger, head-to-head, wins
round robin           points, head-to-head, Sonneborn-Berger, wins
single elimination    rounds survived
arena                 points, wins, fewer games
====================  ======================================================================

*Buchholz*: the points of all opponents. *Sonneborn-Berger*: for each opponent, their points times
what was scored against them. In both, a round without a game (a bye, a forfeit) counts as a game
against somebody with the player's own points, so that neither an absent opponent nor a lucky one
changes it. *Head-to-head*: points from the games among those who are tied so far, if each of them
has met every other. Who is equal in all has the same place.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby

from server.domains.compete.tournaments.rules import (
    DRAW,
    WIN,
    Entrant,
    Format,
    Pairing,
    board_winner,
    total_points,
)


@dataclass(frozen=True, slots=True)
class TableRow:
    """What an entrant has; `survived` counts rounds of an elimination."""

    number: int
    points: int
    wins: int = 0
    draws: int = 0
    losses: int = 0
    buchholz: int = 0
    sonneborn_berger: int = 0
    head_to_head: int = 0
    survived: int = 0
    place: int = 0

    @property
    def games(self) -> int:
        """How many games were played."""
        return self.wins + self.draws + self.losses


def build_table(
    format_: Format, entrants: Sequence[Entrant], pairings: Sequence[Pairing]
) -> list[TableRow]:
    """Rank the entrants, the best first."""
    decided = [pairing for pairing in pairings if pairing.points is not None]
    rows = _count(entrants, decided)
    if format_ == "single_elimination":
        survived = _survived(decided, [entrant.number for entrant in entrants])
        rows = [replace(row, survived=survived.count(row.number)) for row in rows]
        return _placed(rows, lambda row: (row.survived,))
    if format_ == "arena":
        return _placed(rows, lambda row: (row.points, row.wins, -row.games))
    if format_ == "round_robin":
        rows = _with_head_to_head(rows, decided, lambda row: (row.points,))
        return _placed(
            rows, lambda row: (row.points, row.head_to_head, row.sonneborn_berger, row.wins)
        )
    rows = _with_head_to_head(
        rows, decided, lambda row: (row.points, row.buchholz, row.sonneborn_berger)
    )
    return _placed(
        rows,
        lambda row: (row.points, row.buchholz, row.sonneborn_berger, row.head_to_head, row.wins),
    )


def _count(entrants: Sequence[Entrant], pairings: Iterable[Pairing]) -> list[TableRow]:
    pairings = list(pairings)
    points = total_points(pairings)
    results: defaultdict[int, list[tuple[int | None, int]]] = defaultdict(list)
    for pairing in pairings:
        assert pairing.points is not None
        for number, got in zip(pairing.players, pairing.points, strict=False):
            others = [one for one in pairing.players if one != number]
            opponent = others[0] if others and pairing.kind in ("game", "void") else None
            results[number].append((opponent, got))
    rows = []
    for entrant in entrants:
        number, of = entrant.number, results[entrant.number]
        against = [(points[number if them is None else them], got) for them, got in of]
        played = [got for them, got in of if them is not None]
        rows.append(
            TableRow(
                number,
                points[number],
                wins=played.count(WIN),
                draws=played.count(DRAW),
                losses=played.count(0),
                buchholz=sum(theirs for theirs, _ in against),
                sonneborn_berger=sum(theirs * got for theirs, got in against),
            )
        )
    return rows


def _with_head_to_head(
    rows: Sequence[TableRow],
    pairings: Sequence[Pairing],
    key: Callable[[TableRow], tuple[int, ...]],
) -> list[TableRow]:
    met = {frozenset(p.players) for p in pairings if p.kind == "game" and p.second is not None}
    done: list[TableRow] = []
    for _, tied in groupby(sorted(rows, key=key), key=key):
        group = list(tied)
        numbers = {row.number for row in group}
        if len(group) > 1 and all(frozenset(two) in met for two in combinations(numbers, 2)):
            among = [p for p in pairings if p.kind == "game" and numbers >= set(p.players)]
            points = total_points(among)
            group = [replace(row, head_to_head=points[row.number]) for row in group]
        done += group
    return done


def _survived(pairings: Iterable[Pairing], numbers: Sequence[int]) -> list[int]:
    """List the winners of all boards, each as often as they won one."""
    last: dict[tuple[int, int], Pairing] = {}
    for pairing in sorted(pairings, key=lambda each: each.attempt):
        last[pairing.round, pairing.board] = pairing
    winners = [board_winner(pairing, numbers) for pairing in last.values()]
    return [winner for winner in winners if winner is not None]


def _placed(rows: Sequence[TableRow], key: Callable[[TableRow], tuple[int, ...]]) -> list[TableRow]:
    """Give places; who is equal has the same, and is listed by number."""
    ranked = sorted(rows, key=lambda row: row.number)
    ranked.sort(key=key, reverse=True)
    placed: list[TableRow] = []
    for position, row in enumerate(ranked, 1):
        is_tied = placed and key(placed[-1]) == key(row)
        placed.append(replace(row, place=placed[-1].place if is_tied else position))
    return placed
