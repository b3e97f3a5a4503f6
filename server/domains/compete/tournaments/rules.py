"""Who meets whom. Pure.

Entrants are named by their numbers, 1, 2, 3, … in the order of registration: a lower number is the
better seed, and the last thing that breaks a tie.

**Swiss.** Players of equal points meet, the upper half against the lower, and nobody meets an
opponent twice. Pairs are first chosen greedily. Whoever is left over is then put in by an exchange:
two who have met, `u` and `v`, take the partners of a pair `a` and `b`: `u` meets `a`, and `v`
meets `b`. While each of `n` players has `n / 2` possible opponents left, there always is such a
pair: those of `u` and of `v` are at least `n` together, and all of them are in the fewer than
`n / 2` pairs, so some pair has three of its four possible meetings open, and two of these fit.
That is why a tournament has at most half as many rounds as entrants (`swiss_rounds`), and why no
matching library is needed. Withdrawals can break the condition. Then up to `SEARCHED_MAX` players
are searched completely; among more, a pair meets again.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, log2
from typing import Final, Literal, NamedTuple, TypeAlias

Format: TypeAlias = Literal["swiss", "round_robin", "single_elimination", "arena"]
Kind: TypeAlias = Literal["game", "bye", "forfeit", "void"]

WIN: Final = 2
DRAW: Final = 1
# A drawn game of an elimination is played again so often; then the better seed goes on.
REPLAYS_MAX: Final = 2
SEARCHED_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class Entrant:
    """Somebody who takes part."""

    number: int
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Pairing:
    """Who meets whom on a board; `first` has the first seat, `second` is None for a bye.

    `points` are those of both; None while nothing is decided.
    """

    round: int
    board: int
    first: int
    second: int | None
    kind: Kind = "game"
    points: tuple[int, int] | None = None
    attempt: int = 1

    @property
    def players(self) -> tuple[int, ...]:
        """Who is on this board."""
        return (self.first,) if self.second is None else (self.first, self.second)


class NextStep(NamedTuple):
    """What comes now: new pairings of a round, or the end."""

    pairings: Sequence[Pairing] = ()
    is_over: bool = False


# ------------------------------------------------------------------ rounds


def swiss_rounds(entrants: int, wanted: int | None) -> int:
    """Say how many rounds a Swiss tournament has: enough for one winner, if nothing else is said.

    At most half as many as entrants.
    """
    usual = ceil(log2(entrants)) if entrants > 1 else 1
    return max(1, min(usual if wanted is None else wanted, entrants // 2))


def planned_rounds(format_: Format, entrants: int, wanted: int | None) -> int | None:
    """Say how many rounds a tournament will have; None for an arena."""
    if format_ == "swiss":
        return swiss_rounds(entrants, wanted)
    if format_ == "round_robin":
        return entrants - 1 + entrants % 2
    return ceil(log2(entrants)) if format_ == "single_elimination" else None


def next_step(
    format_: Format, rounds: int, entrants: Sequence[Entrant], pairings: Sequence[Pairing]
) -> NextStep | None:
    """Say what comes after these pairings; None while something is undecided.

    For formats with rounds: an arena pairs whoever is free (`pair_arena`).
    """
    if any(pairing.points is None for pairing in pairings):
        return None
    last = max((pairing.round for pairing in pairings), default=0)
    if format_ == "single_elimination":
        return _next_of_elimination(last, rounds, entrants, pairings)
    active = [entrant.number for entrant in entrants if entrant.is_active]
    if last >= rounds or len(active) < 2:
        return NextStep(is_over=True)
    if format_ == "round_robin":
        return NextStep(_round_robin(last + 1, entrants, pairings))
    return NextStep(_swiss(last + 1, active, pairings))


def seat_pair(
    round_: int, board: int, a: int, b: int, active: Collection[int], firsts: Mapping[int, int]
) -> Pairing:
    """Seat two: who had the first seat less often gets it. Whoever withdrew forfeits."""
    first, second = (a, b) if (firsts[a], a) <= (firsts[b], b) else (b, a)
    if firsts[a] == firsts[b] and (round_ + board) % 2:
        first, second = second, first
    points = (WIN if first in active else 0, WIN if second in active else 0)
    if points == (WIN, WIN):
        return Pairing(round_, board, first, second)
    return Pairing(round_, board, first, second, "forfeit", points)


def count_firsts(pairings: Iterable[Pairing]) -> Counter[int]:
    """Count how often each had the first seat of a game."""
    return Counter(pairing.first for pairing in pairings if pairing.kind == "game")


# ------------------------------------------------------------------ Swiss


def _swiss(round_: int, active: Sequence[int], pairings: Sequence[Pairing]) -> list[Pairing]:
    points = total_points(pairings)
    ranked = sorted(active, key=lambda number: (-points[number], number))
    byes = Counter(pairing.first for pairing in pairings if pairing.kind == "bye")
    resting: int | None = None
    if len(ranked) % 2:
        resting = min(reversed(ranked), key=lambda number: byes[number])
        ranked.remove(resting)
    met = Counter(frozenset(p.players) for p in pairings if p.second is not None)
    pairs = pair_swiss(ranked, points, met)
    firsts, everybody = count_firsts(pairings), frozenset(active)
    seated = [
        seat_pair(round_, board, a, b, everybody, firsts) for board, (a, b) in enumerate(pairs, 1)
    ]
    if resting is not None:
        seated.append(Pairing(round_, len(pairs) + 1, resting, None, "bye", (WIN, 0)))
    return seated


def pair_swiss(
    ranked: Sequence[int], points: Mapping[int, int], met: Mapping[frozenset[int], int]
) -> list[tuple[int, int]]:
    """Pair an even number of players, the best first; `met` says how often two have met."""
    pairs: list[tuple[int, int]] = []
    waiting, left = list(ranked), []
    while waiting:
        player = waiting.pop(0)
        for other in _by_preference(player, waiting, points):
            if not met.get(frozenset((player, other))):
                waiting.remove(other)
                pairs.append((player, other))
                break
        else:
            left.append(player)
    while left:
        u = left.pop(0)
        v = next((one for one in left if not met.get(frozenset((u, one)))), None)
        if v is not None:
            left.remove(v)
            pairs.append((u, v))
            continue
        v = left.pop(0)
        if _exchange(u, v, pairs, points, met):
            continue
        if len(ranked) <= SEARCHED_MAX and (found := _search(list(ranked), points, met)):
            return _in_order(found, points)
        pairs.append((u, v))
    return _in_order(pairs, points)


def _by_preference(player: int, others: Sequence[int], points: Mapping[int, int]) -> list[int]:
    """Order opponents: those of the same points from the middle on, then all below."""
    same = [one for one in others if points[one] == points[player]]
    middle = len(same) // 2
    lower = others[len(same) :]
    return [*same[middle:], *reversed(same[:middle]), *lower]


def _exchange(
    u: int,
    v: int,
    pairs: list[tuple[int, int]],
    points: Mapping[int, int],
    met: Mapping[frozenset[int], int],
) -> bool:
    """Put two who have met into the pairs, where that changes the points least."""
    best: tuple[int, int, tuple[int, int], tuple[int, int]] | None = None
    for place, (a, b) in enumerate(pairs):
        for one, other in ((a, b), (b, a)):
            if met.get(frozenset((u, one))) or met.get(frozenset((v, other))):
                continue
            gap = abs(points[u] - points[one]) + abs(points[v] - points[other])
            if best is None or gap < best[0]:
                best = (gap, place, (u, one), (v, other))
    if best is None:
        return False
    _, place, *new = best
    pairs[place : place + 1] = new
    return True


def _search(
    players: list[int], points: Mapping[int, int], met: Mapping[frozenset[int], int]
) -> list[tuple[int, int]] | None:
    """Find pairs who have not met, by trying everything; None where there are none."""
    if not players:
        return []
    player, *others = players
    for other in _by_preference(player, others, points):
        if met.get(frozenset((player, other))):
            continue
        rest = _search([one for one in others if one != other], points, met)
        if rest is not None:
            return [(player, other), *rest]
    return None


def _in_order(pairs: Iterable[tuple[int, int]], points: Mapping[int, int]) -> list[tuple[int, int]]:
    """Order boards: the highest points first."""

    def place(pair: tuple[int, int]) -> tuple[int, int, int]:
        a, b = pair
        return -max(points[a], points[b]), -points[a] - points[b], min(pair)

    return sorted(pairs, key=place)


# ------------------------------------------------------------------ round robin


def _round_robin(
    round_: int, entrants: Sequence[Entrant], pairings: Sequence[Pairing]
) -> list[Pairing]:
    active = {entrant.number for entrant in entrants if entrant.is_active}
    firsts = count_firsts(pairings)
    seated: list[Pairing] = []
    for board, (a, b) in enumerate(circle_round([e.number for e in entrants], round_), 1):
        if a is None or b is None:
            resting = a if b is None else b
            assert resting is not None
            seated.append(Pairing(round_, board, resting, None, "bye", (0, 0)))
        else:
            seated.append(seat_pair(round_, board, a, b, active, firsts))
    return seated


def circle_round(players: Sequence[int], round_: int) -> list[tuple[int | None, int | None]]:
    """Pair a round by the circle method: the first stays, all others move on by one.

    Over all rounds everybody meets everybody once. None is the opponent of whoever rests.
    """
    seats: list[int | None] = list(players)
    if len(seats) % 2:
        seats.append(None)
    moved = (round_ - 1) % (len(seats) - 1)
    ring = seats[1:]
    circle = [seats[0], *ring[len(ring) - moved :], *ring[: len(ring) - moved]]
    half = len(circle) // 2
    return list(zip(circle[:half], reversed(circle[half:]), strict=True))


# ------------------------------------------------------------------ single elimination


def bracket(entrants: int) -> list[int]:
    """Order seeds so that the best meet as late as possible: 1, 8, 4, 5, 2, 7, 3, 6."""
    order = [1]
    while len(order) < entrants:
        size = 2 * len(order) + 1
        order = [seed for one in order for seed in (one, size - one)]
    return order


def _next_of_elimination(
    last: int, rounds: int, entrants: Sequence[Entrant], pairings: Sequence[Pairing]
) -> NextStep:
    active = {entrant.number for entrant in entrants if entrant.is_active}
    firsts = count_firsts(pairings)
    numbers = [entrant.number for entrant in entrants]
    if last == 0:
        seeds = bracket(len(numbers))
        places = [numbers[seed - 1] if seed <= len(numbers) else None for seed in seeds]
    else:
        boards: dict[int, Pairing] = {}
        for pairing in pairings:
            if pairing.round == last:
                known = boards.get(pairing.board)
                if known is None or known.attempt < pairing.attempt:
                    boards[pairing.board] = pairing
        if replays := [_replay(pairing, active) for pairing in boards.values() if _again(pairing)]:
            return NextStep(replays)
        if last >= rounds:
            return NextStep(is_over=True)
        in_order = range(1, 2 ** (rounds - last) + 1)
        places = [
            board_winner(boards[board], numbers) if board in boards else None for board in in_order
        ]
    new: list[Pairing] = []
    for board, (a, b) in enumerate(list(pairwise(places))[::2], 1):
        if a is not None and b is not None:
            new.append(seat_pair(last + 1, board, a, b, active, firsts))
        elif (only := a if b is None else b) is not None:
            new.append(Pairing(last + 1, board, only, None, "bye", (WIN, 0)))
    return NextStep(new) if new else NextStep(is_over=True)


def _again(pairing: Pairing) -> bool:
    """Say whether a drawn game is played again."""
    assert pairing.points is not None
    is_drawn = pairing.kind in ("game", "void") and pairing.points[0] == pairing.points[1] > 0
    return is_drawn and pairing.attempt <= REPLAYS_MAX


def _replay(pairing: Pairing, active: Collection[int]) -> Pairing:
    """Play a game again with the seats swapped."""
    assert pairing.second is not None
    first, second = pairing.second, pairing.first
    points = (WIN if first in active else 0, WIN if second in active else 0)
    is_game = points == (WIN, WIN)
    return Pairing(
        pairing.round,
        pairing.board,
        first,
        second,
        "game" if is_game else "forfeit",
        None if is_game else points,
        pairing.attempt + 1,
    )


def board_winner(pairing: Pairing, numbers: Sequence[int]) -> int | None:
    """Say who goes on: the winner, the better seed of a draw; nobody if both forfeited."""
    assert pairing.points is not None
    first, second = pairing.points
    if pairing.second is None or first > second:
        return pairing.first
    if second > first:
        return pairing.second
    return min(pairing.players, key=numbers.index) if first else None


# ------------------------------------------------------------------ arena


class FreePlayer(NamedTuple):
    """An entrant of an arena who plays no game; `last` is whom they met last."""

    number: int
    points: int
    last: int | None


def pair_arena(free: Sequence[FreePlayer]) -> list[tuple[int, int]]:
    """Pair who is free with their neighbours in points, but not with whom they have just met.

    Two who are the only ones there meet again.
    """
    waiting = sorted(free, key=lambda player: (-player.points, player.number))
    pairs: list[tuple[int, int]] = []
    left: list[FreePlayer] = []
    while waiting:
        player = waiting.pop(0)
        for other in waiting:
            if other.number != player.last and other.last != player.number:
                waiting.remove(other)
                pairs.append((player.number, other.number))
                break
        else:
            left.append(player)
    if not pairs and len(left) == 2:
        return [(left[0].number, left[1].number)]
    return pairs


# ------------------------------------------------------------------ points


def game_points(*, first_won: bool, second_won: bool, all_left: bool) -> tuple[int, int]:
    """Say what a game gives; `all_left`: both went away before its end, and get nothing."""
    if first_won != second_won:
        return (WIN, 0) if first_won else (0, WIN)
    return (0, 0) if all_left else (DRAW, DRAW)


def total_points(pairings: Iterable[Pairing]) -> Counter[int]:
    """Add up what everybody has."""
    points: Counter[int] = Counter()
    for pairing in pairings:
        if pairing.points is not None:
            for number, got in zip(pairing.players, pairing.points, strict=False):
                points[number] += got
    return points
