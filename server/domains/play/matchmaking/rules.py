"""Who is matched with whom. Pure.

Tickets of one ruleset, number of seats and configuration are a *pool*. The ticket that has waited
longest looks first: of those that fit it, it takes the nearest in rating, until the seats are full
or nobody is left. Two tickets fit if each one's rating window has the other, their regions agree,
or both have waited long enough for that not to matter, and each one's conditions hold for the
other. The window widens with the wait.

A ticket that has waited `bots_after_s` takes whoever fits, and bots for the rest.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final, NamedTuple, TypeAlias

from protocol.ids import PlayerId
from server.gamekit.fold import AnyRuleset

# How many tickets a ticket looks at, beginning with the nearest in rating.
LOOKED_AT_MAX: Final = 64

# Puts a list into a random order.
Shuffle: TypeAlias = Callable[[list[Any]], None]

_COMPARISONS: Final = {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}


@dataclass(frozen=True, slots=True)
class SearchRules:
    """How matches are found; ratings are those of the ratings domain."""

    window: float = 100.0
    window_per_s: float = 10.0
    window_max: float = 1000.0
    region_s: float = 15.0  # after so long, any region will do
    bots_after_s: float = 30.0  # 0 for never

    def window_after(self, waited_s: float) -> float:
        """Say how far ratings may be apart after a wait."""
        return min(self.window + self.window_per_s * waited_s, self.window_max)


class Ticket(NamedTuple):
    """Who waits together, and for what; `pool` is equal for tickets that can play together."""

    ticket_id: str
    players: tuple[PlayerId, ...]
    pool: tuple[int, bytes]
    rating: float
    waited_s: float
    region: str | None = None
    properties: Mapping[str, Any] = {}
    conditions: Sequence[Mapping[str, Any]] = ()
    with_bots: bool = True

    @property
    def seats(self) -> int:
        """How many seats the match has."""
        return self.pool[0]


class FoundMatch(NamedTuple):
    """Tickets that play together; the seats that they leave free are for bots."""

    tickets: tuple[Ticket, ...]

    @property
    def bots(self) -> int:
        """How many bots play."""
        return self.tickets[0].seats - sum(len(ticket.players) for ticket in self.tickets)

    @property
    def region(self) -> str | None:
        """The region that its tickets agree on, if they do."""
        regions = {ticket.region for ticket in self.tickets} - {None}
        return regions.pop() if len(regions) == 1 else None


def find_matches(
    tickets: Sequence[Ticket], rules: SearchRules, *, has_bots: bool = True
) -> Iterator[FoundMatch]:
    """Find matches among tickets, each of which is in one at most."""
    pools: dict[tuple[int, bytes], list[Ticket]] = {}
    for ticket in tickets:
        pools.setdefault(ticket.pool, []).append(ticket)
    for pool in pools.values():
        yield from _in_pool(pool, rules, has_bots=has_bots)


def _in_pool(pool: Sequence[Ticket], rules: SearchRules, *, has_bots: bool) -> Iterator[FoundMatch]:
    by_rating: list[tuple[float, str, Ticket]] = []
    for ticket in pool:
        insort(by_rating, (ticket.rating, ticket.ticket_id, ticket), key=_order)
    gone: set[str] = set()
    for first in sorted(pool, key=lambda ticket: (-ticket.waited_s, ticket.ticket_id)):
        if first.ticket_id in gone:
            continue
        found = _gather(first, by_rating, rules)
        is_full = sum(len(ticket.players) for ticket in found) == first.seats
        if not is_full:
            due = 0 < rules.bots_after_s <= first.waited_s
            if not (has_bots and due and first.with_bots):
                continue
            found = [ticket for ticket in found if ticket.with_bots]
        for ticket in found:
            gone.add(ticket.ticket_id)
            at = bisect_left(by_rating, (ticket.rating, ticket.ticket_id), key=_order)
            del by_rating[at]
        yield FoundMatch(tuple(found))


def _order(entry: tuple[Any, ...]) -> tuple[float, str]:
    return entry[0], entry[1]


def _gather(
    first: Ticket, by_rating: Sequence[tuple[float, str, Ticket]], rules: SearchRules
) -> list[Ticket]:
    """Take the nearest tickets that fit the first one and each other, as far as there is room."""
    chosen, free = [first], first.seats - len(first.players)
    for ticket in _nearest(first, by_rating, rules):
        if not free:
            break
        if len(ticket.players) <= free and all(fits(ticket, each, rules) for each in chosen):
            chosen.append(ticket)
            free -= len(ticket.players)
    return chosen


def _nearest(
    first: Ticket, by_rating: Sequence[tuple[float, str, Ticket]], rules: SearchRules
) -> Iterator[Ticket]:
    """List the tickets around a rating, the nearest first, within the first one's window."""
    window = rules.window_after(first.waited_s)
    at = bisect_left(by_rating, (first.rating, first.ticket_id), key=_order)
    low, high = at - 1, at + 1
    for _ in range(LOOKED_AT_MAX):
        below = first.rating - by_rating[low][0] if low >= 0 else float("inf")
        above = by_rating[high][0] - first.rating if high < len(by_rating) else float("inf")
        if min(below, above) > window:
            return
        if below <= above:
            yield by_rating[low][2]
            low -= 1
        else:
            yield by_rating[high][2]
            high += 1


def fits(one: Ticket, other: Ticket, rules: SearchRules) -> bool:
    """Say whether two tickets may be in one match."""
    waited_s = min(one.waited_s, other.waited_s)
    if abs(one.rating - other.rating) > rules.window_after(waited_s):
        return False
    regions = {one.region, other.region} - {None}
    if len(regions) > 1 and waited_s < rules.region_s:
        return False
    return all(holds(each, other.properties) for each in one.conditions) and all(
        holds(each, one.properties) for each in other.conditions
    )


def holds(condition: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    """Say whether a condition holds; text and numbers are neither equal nor in an order."""
    op, wanted = condition["op"], condition["value"]
    value = properties.get(condition["property"])
    if op == "in":
        return value is not None and value in (wanted if isinstance(wanted, list) else [wanted])
    if value is None or isinstance(value, str) is not isinstance(wanted, str):
        return bool(op == "ne")
    return bool(_COMPARISONS[op](value, wanted))


# ------------------------------------------------------------------ seats


def seat_players(
    match: FoundMatch, ruleset: AnyRuleset, shuffle: Shuffle
) -> list[PlayerId | None] | None:
    """Give the players of a match their seats, None for a bot; None if parties would be split.

    Where the ruleset has teams, a party is in one of them, and the strongest parties are put into
    the weakest teams. Which seats a team has, and who of it is first, is drawn.
    """
    seats = match.tickets[0].seats
    teams: dict[int, list[int]] = {}
    for seat in range(seats):
        teams.setdefault(ruleset.team_of(seat, seats), []).append(seat)
    if len(teams) == seats:
        players = [player for ticket in match.tickets for player in ticket.players]
        everybody: list[PlayerId | None] = [*players, *[None] * match.bots]
        shuffle(everybody)
        return everybody
    placed: list[PlayerId | None] = [None] * seats
    free = list(teams.values())
    for places in free:
        shuffle(places)
    shuffle(free)
    strength = [0.0] * len(free)
    for ticket in sorted(match.tickets, key=lambda t: (-len(t.players), -t.rating)):
        room = [n for n, places in enumerate(free) if len(places) >= len(ticket.players)]
        if not room:
            return None
        team = min(room, key=lambda n: strength[n])
        strength[team] += ticket.rating * len(ticket.players)
        for player in ticket.players:
            placed[free[team].pop()] = player
    return placed
