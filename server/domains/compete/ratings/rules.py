"""How a game changes ratings. Pure.

A ruleset for two players is rated by Glicko-2, any other by Plackett-Luce (Weng and Lin, 2011),
which handles teams and any number of them. Both begin at 1500 with a deviation of 350, so that
numbers look alike; they cannot be compared across rulesets all the same.

Nobody's rating is as certain after a long pause: the deviation grows with the days since the last
rated game.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import sqrt
from typing import Final, Literal, NamedTuple, TypeAlias

from openskill.models import PlackettLuce

from protocol.ids import GameId, PlayerId
from server.domains.compete.ratings.glicko2 import SCALE, Glicko, GlickoGame, rate_period
from server.gamekit.fold import AnyRuleset

RatingSystem: TypeAlias = Literal["glicko2", "plackett_luce"]

START: Final = 1500.0
DEVIATION_MAX: Final = 350.0
VOLATILITY: Final = 0.06
# Of Plackett-Luce: how much luck is in a game, and how much a strength moves from game to game.
# The ratios to the deviation are those of the library, which thinks around 25.
BETA: Final = DEVIATION_MAX / 2
DRIFT: Final = DEVIATION_MAX / 100
DAY: Final = timedelta(days=1)

_MODEL: Final = PlackettLuce(mu=START, sigma=DEVIATION_MAX, beta=BETA, tau=DRIFT)


class Strength(NamedTuple):
    """What is known of a player's strength; `rated_at` is when their last rated game ended."""

    rating: float = START
    deviation: float = DEVIATION_MAX
    volatility: float = VOLATILITY
    games: int = 0
    rated_at: datetime | None = None


BEGINNER: Final = Strength()


class SeatPlace(NamedTuple):
    """How a game went for a seat: what places are decided by."""

    player_id: PlayerId
    seat: int
    score: int
    is_winner: bool
    forfeited: bool


class GameResult(NamedTuple):
    """A game as ratings see it."""

    game_id: GameId
    ruleset: str
    at: datetime
    seats: tuple[SeatPlace, ...]


class Rated(NamedTuple):
    """What a game did to a player."""

    place: int
    before: Strength
    after: Strength


def system_of(ruleset: AnyRuleset) -> RatingSystem:
    """Say how a ruleset is rated."""
    return "glicko2" if max(ruleset.seats) == 2 else "plackett_luce"


def is_rated(ruleset: AnyRuleset | None, seats: int) -> bool:
    """Say whether a ruleset's games change ratings."""
    return ruleset is not None and ruleset.rated and not ruleset.scores_declared and seats > 1


def rate_game(
    ruleset: AnyRuleset, game: GameResult, strengths: Mapping[PlayerId, Strength]
) -> dict[PlayerId, Rated]:
    """Say what a game does to its players; whoever has no strength yet is a beginner."""
    teams: dict[int, list[SeatPlace]] = {}
    for seat in game.seats:
        teams.setdefault(ruleset.team_of(seat.seat, len(game.seats)), []).append(seat)
    sides = list(teams.values())
    places = _places([min(map(_standing, side)) for side in sides])
    before = [
        [
            _after_pause(strengths.get(seat.player_id, BEGINNER), game.at, system_of(ruleset))
            for seat in side
        ]
        for side in sides
    ]
    if len(sides) == 1:
        after = before
    elif system_of(ruleset) == "glicko2":
        after = _by_glicko(before, places)
    else:
        after = _by_plackett_luce(before, places)
    return {
        seat.player_id: Rated(
            place,
            old,
            new._replace(games=old.games + 1, rated_at=max(game.at, old.rated_at or game.at)),
        )
        for side, place, olds, news in zip(sides, places, before, after, strict=True)
        for seat, old, new in zip(side, olds, news, strict=True)
    }


def _standing(seat: SeatPlace) -> tuple[bool, bool, int]:
    """Order seats from the best: who left is last, then come those who did not win."""
    return seat.forfeited, not seat.is_winner, 0 if seat.is_winner else -seat.score


def _places(standings: Sequence[tuple[bool, bool, int]]) -> list[int]:
    return [1 + sum(other < mine for other in standings) for mine in standings]


def _after_pause(strength: Strength, at: datetime, system: RatingSystem) -> Strength:
    """Let a deviation grow for each day without a rated game."""
    if strength.rated_at is None or at <= strength.rated_at:
        return strength
    days = (at - strength.rated_at) // DAY
    a_day = strength.volatility * SCALE if system == "glicko2" else 3 * DRIFT
    grown = sqrt(strength.deviation**2 + days * a_day**2)
    return strength._replace(deviation=min(grown, max(DEVIATION_MAX, strength.deviation)))


def _by_glicko(sides: list[list[Strength]], places: list[int]) -> list[list[Strength]]:
    (one,), (other,) = sides
    score = 0.5 if places[0] == places[1] else float(places[0] < places[1])
    return [[_glicko(one, other, score)], [_glicko(other, one, 1 - score)]]


def _glicko(player: Strength, opponent: Strength, score: float) -> Strength:
    against = GlickoGame(Glicko(*opponent[:3]), score)
    new = rate_period(Glicko(*player[:3]), [against])
    return player._replace(
        rating=new.rating,
        deviation=min(new.deviation, DEVIATION_MAX),
        volatility=new.volatility,
    )


def _by_plackett_luce(sides: list[list[Strength]], places: list[int]) -> list[list[Strength]]:
    teams = [
        [_MODEL.create_rating([each.rating, each.deviation]) for each in side] for side in sides
    ]
    rated = _MODEL.rate(teams, ranks=[float(place) for place in places])
    return [
        [
            old._replace(rating=new.mu, deviation=min(new.sigma, DEVIATION_MAX), volatility=0.0)
            for old, new in zip(side, news, strict=True)
        ]
        for side, news in zip(sides, rated, strict=True)
    ]
