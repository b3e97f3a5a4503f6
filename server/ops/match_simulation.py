"""Matchmaking and ratings as they would go with many players, in seconds instead of days.

The queue is in memory and the clock is virtual; the search (`search_queue`), its rules and the
ratings (`rate_game`) are those that the server runs. Everybody has a true skill, which decides
games by chance as the rating systems assume: whoever is 400 points stronger than another wins ten
times as often. So the ratings can be compared with what they estimate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from math import log, sqrt
from random import Random
from statistics import fmean, median, pstdev, quantiles
from typing import Final, NamedTuple

from persistence.matchmaking.store import NewMatch, WaitingTicket
from protocol.ids import GameId, PlayerId
from server.domains.compete.ratings.rules import (
    BEGINNER,
    GameResult,
    Rated,
    SeatPlace,
    Strength,
    rate_game,
)
from server.domains.play.matchmaking.rules import SearchRules
from server.domains.play.matchmaking.search import search_queue
from server.gamekit.fold import AnyRuleset

BEGINS: Final = datetime(2027, 1, 1, tzinfo=UTC)
SKILL_MEAN: Final = 1500.0
SKILL_SPREAD: Final = 300.0
POINTS: Final = 400 / log(10)  # of the chance that decides a game
SEARCH_EVERY_S: Final = 1.0
ERRORS_AFTER: Final = (1, 5, 10, 20, 40)  # games of a player


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """What is simulated; pauses and lengths of games are means of exponential times."""

    matches: int = 10_000
    players: int = 1_000
    seats: int = 2
    pause_s: float = 300.0
    game_s: float = 300.0
    seed: int = 1


@dataclass(slots=True)
class _Player:
    skill: float
    strength: Strength = BEGINNER
    waits: list[float] = field(default_factory=list)


class _Played(NamedTuple):
    """A match: who, what they were rated, how long each waited, and which seat won."""

    players: tuple[PlayerId, ...]
    ratings: tuple[float, ...]
    waits: tuple[float, ...]
    winner: int
    favourite: int
    expected: float  # how likely the favourite was to win, by true skills


class MemoryQueue:
    """A queue of a simulation, as `search_queue` knows one."""

    def __init__(self, seats: int) -> None:
        self.now_s = 0.0
        self.waited_s = 0.0
        self._seats = seats
        self._since: dict[PlayerId, tuple[float, float]] = {}
        self.taken: list[tuple[NewMatch, tuple[float, ...]]] = []

    def add(self, player: PlayerId, rating: float) -> None:
        """Have a player wait from now on."""
        self._since[player] = (self.now_s, rating)

    def __len__(self) -> int:
        return len(self._since)

    async def list_waiting(self, *, seen_s: float, limit: int) -> Sequence[WaitingTicket]:
        """List who waits, the longest-waiting first, who was added first."""
        first = list(self._since.items())[:limit]
        return [
            WaitingTicket(
                ticket_id=player,
                seats=self._seats,
                config=b"{}",
                region=None,
                rating=rating,
                properties={},
                conditions=(),
                with_bots=False,
                waited_s=self.now_s - since_s,
                players=(player,),
            )
            for player, (since_s, rating) in first
        ]

    async def take(self, match: NewMatch, *, accept_s: float) -> bool:
        """Give players to a match."""
        people = [seat for seat in match.seats if seat is not None]
        waits = tuple(self.now_s - self._since.pop(player)[0] for player in people)
        self.taken.append((match, waits))
        return True

    async def note_wait(self, waited_s: float) -> None:
        """Note how long people waited lately."""
        self.waited_s = waited_s


class MatchSimulation:
    """Plays a plan; `report` says how it went."""

    def __init__(self, plan: SimulationPlan, ruleset: AnyRuleset, rules: SearchRules) -> None:
        self._plan = plan
        self._ruleset = ruleset
        self._rules = rules
        self._chance = chance = Random(plan.seed)  # noqa: S311 - play
        self._players = {
            PlayerId(f"player-{n:05}"): _Player(chance.gauss(SKILL_MEAN, SKILL_SPREAD))
            for n in range(plan.players)
        }
        self._queue = MemoryQueue(plan.seats)
        # What is to come: when, then players who queue. A number keeps equal times apart.
        self._events: list[tuple[float, int, tuple[PlayerId, ...]]] = []
        self._next = 0
        self._played: list[_Played] = []
        self._waiting: list[int] = []
        self._errors: dict[int, list[float]] = {}

    async def run(self) -> dict[str, float]:
        """Play until there are enough matches, and report."""
        for player in self._players:
            self._later(self._chance.expovariate(1 / self._plan.pause_s), (player,))
        while len(self._played) < self._plan.matches:
            self._queue.now_s += SEARCH_EVERY_S
            while self._events and self._events[0][0] <= self._queue.now_s:
                for player in heappop(self._events)[2]:
                    self._queue.add(player, self._players[player].strength.rating)
            await search_queue(
                self._queue,
                self._ruleset,
                self._rules,
                accept_s=0,
                shuffle=self._chance.shuffle,
            )
            for match, waits in self._queue.taken:
                self._play(match, waits)
            self._queue.taken.clear()
            self._waiting.append(len(self._queue))
        return self._report()

    def _later(self, wait_s: float, players: tuple[PlayerId, ...]) -> None:
        self._next += 1
        heappush(self._events, (self._queue.now_s + wait_s, self._next, players))

    def _play(self, match: NewMatch, waits: tuple[float, ...]) -> None:
        seats = tuple(seat for seat in match.seats if seat is not None)
        skills = [self._players[player].skill for player in seats]
        # Gumbel noise: the strongest of it wins as Bradley-Terry and Plackett-Luce say.
        shown = [skill - POINTS * log(self._chance.expovariate(1)) for skill in skills]
        order = sorted(range(len(seats)), key=lambda seat: -shown[seat])
        scores = {seat: len(seats) - place for place, seat in enumerate(order)}
        weights = [10 ** ((skill - SKILL_MEAN) / 400) for skill in skills]
        favourite = max(range(len(seats)), key=lambda seat: skills[seat])
        self._played.append(
            _Played(
                seats,
                tuple(self._players[player].strength.rating for player in seats),
                waits,
                order[0],
                favourite,
                weights[favourite] / sum(weights),
            )
        )
        result = GameResult(
            GameId(match.match_id),
            self._ruleset.name,
            BEGINS + timedelta(seconds=self._queue.now_s),
            tuple(
                SeatPlace(player, seat, scores[seat], seat == order[0], forfeited=False)
                for seat, player in enumerate(seats)
            ),
        )
        known = {player: self._players[player].strength for player in seats}
        self._rate(rate_game(self._ruleset, result, known), waits, seats)
        length_s = self._chance.expovariate(1 / self._plan.game_s)
        for player in seats:
            self._later(length_s + self._chance.expovariate(1 / self._plan.pause_s), (player,))

    def _rate(
        self, rated: Mapping[PlayerId, Rated], waits: Sequence[float], seats: Sequence[PlayerId]
    ) -> None:
        for player, wait_s in zip(seats, waits, strict=True):
            known = self._players[player]
            known.strength = rated[player].after
            known.waits.append(wait_s)
            if known.strength.games in ERRORS_AFTER:
                error = known.strength.rating - known.skill
                self._errors.setdefault(known.strength.games, []).append(error)

    def _report(self) -> dict[str, float]:
        plan, played = self._plan, self._played
        waits = [wait for match in played for wait in match.waits]
        cut = quantiles(waits, n=100)
        gaps = [max(match.ratings) - min(match.ratings) for match in played[len(played) // 2 :]]
        people = list(self._players.values())
        veterans = [p for p in people if p.strength.games >= 20] or people
        errors = [p.strength.rating - p.skill for p in veterans]
        shift = fmean(errors)  # all ratings may be off alike: only differences mean anything
        by_skill = sorted((p for p in people if p.waits), key=lambda p: p.skill)
        edge = max(1, len(by_skill) // 20)
        middle = by_skill[len(by_skill) * 2 // 5 : len(by_skill) * 3 // 5]
        outer = by_skill[:edge] + by_skill[-edge:]
        late = played[len(played) // 2 :]
        inside = [
            abs(p.strength.rating - shift - p.skill) <= 2 * p.strength.deviation for p in veterans
        ]
        alike = _correlation([(p.strength.rating, p.skill) for p in veterans])
        return {
            "matches": len(played),
            "players": plan.players,
            "seats": plan.seats,
            "virtual_hours": round(self._queue.now_s / 3600, 2),
            "waiting_mean": round(fmean(self._waiting), 1),
            "waiting_max": max(self._waiting),
            "wait_s_median": round(median(waits), 1),
            "wait_s_p95": round(cut[94], 1),
            "wait_s_p99": round(cut[98], 1),
            "wait_s_max": round(max(waits), 1),
            "wait_s_median_middle_fifth": round(median([w for p in middle for w in p.waits]), 1),
            "wait_s_median_outer_tenth": round(median([w for p in outer for w in p.waits]), 1),
            "rating_gap_median": round(median(gaps), 1),
            "rating_gap_p95": round(quantiles(gaps, n=20)[18], 1),
            "games_per_player": round(fmean(p.strength.games for p in people), 1),
            **{
                f"rating_error_after_{games}": round(sqrt(fmean(e * e for e in found)), 1)
                for games, found in sorted(self._errors.items())
                if len(found) >= plan.players // 10
            },
            "rating_skill_correlation": round(alike, 3),
            # How far skills are from what ratings say of them, whatever the scale of ratings is.
            "skill_error": round(pstdev(p.skill for p in veterans) * sqrt(1 - alike**2), 1),
            "within_two_deviations": round(fmean(inside), 3),
            "favourite_expected": round(fmean(match.expected for match in late), 3),
            "favourite_won": round(fmean(m.winner == m.favourite for m in late), 3),
            "seat_0_won": round(fmean(match.winner == 0 for match in played), 3),
        }


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    x, y = fmean(a for a, _ in pairs), fmean(b for _, b in pairs)
    both = sum((a - x) * (b - y) for a, b in pairs)
    return both / sqrt(sum((a - x) ** 2 for a, _ in pairs) * sum((b - y) ** 2 for _, b in pairs))
