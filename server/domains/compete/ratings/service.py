"""Rates the games that were completed.

The games of a ruleset that ended at about the same time are rated in one transaction: their
players are locked in id order, the games are marked, which draws their numbers, and the players'
ratings are read and written. So the numbers order any two games of one player as they changed the
rating, and a second delivery of a game's event finds the mark.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from persistence.ratings.store import RatingStore, StoredChange, StoredRating
from protocol.domain_events import GameCompleted
from protocol.ids import PlayerId
from server.core.event_delivery import EventDelivery
from server.domains.compete.ratings.rules import (
    BEGINNER,
    GameResult,
    Rated,
    SeatPlace,
    Strength,
    is_rated,
    rate_game,
)
from server.domains.interfaces import PlayerRating
from server.gamekit.fold import AnyRuleset


class RatingService:
    """Rates games, and says how strong players are."""

    def __init__(self, store: RatingStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = store
        self._rulesets = rulesets
        self.rated = 0

    async def rate_completed(self, delivery: EventDelivery) -> None:
        """Rate a game that was completed, once."""
        await self.rate_all([delivery])

    async def rate_all(self, deliveries: Sequence[EventDelivery]) -> list[str]:
        """Rate games that were completed, once each; give the ids of their events."""
        games: dict[str, list[GameResult]] = {}
        for each in deliveries:
            event = each.event
            if isinstance(event, GameCompleted) and event.uncounted is None:
                games.setdefault(event.ruleset, []).append(_result_of(event))
        for ruleset, ended in games.items():
            await self.rate_games(ruleset, ended)
        return [each.event_id for each in deliveries]

    async def rate_games(self, ruleset_name: str, games: Collection[GameResult]) -> int:
        """Rate games of a ruleset in one transaction; says how many changed ratings now.

        Those that were rated before, and those that do not count, change nothing.
        """
        ruleset = self._rulesets.get(ruleset_name)
        if ruleset is None:
            return 0
        rated_games = [game for game in games if is_rated(ruleset, len(game.seats))]
        players = {seat.player_id for game in rated_games for seat in game.seats}
        if not players:
            return 0
        async with self._store.database.transaction() as connection:
            people = await self._store.lock_people(connection, players)
            # A game with a bot, or with somebody who was erased, is not rated.
            counting = {
                game.game_id: game
                for game in sorted(rated_games, key=lambda each: (each.at, each.game_id))
                if people.issuperset(seat.player_id for seat in game.seats)
            }
            if not counting:
                return 0
            numbers = await self._store.mark_rated(
                connection, ruleset_name, {game.game_id: game.at for game in counting.values()}
            )
            if not numbers:
                return 0
            stored = await self._store.read_ratings(connection, ruleset_name, people)
            strengths = {player: strength_of(rating) for player, rating in stored.items()}
            ratings: dict[PlayerId, StoredRating] = {}
            changes: list[StoredChange] = []
            for game_id, number in sorted(numbers.items(), key=lambda each: each[1]):
                rated = rate_game(ruleset, counting[game_id], strengths)
                after, what = rows_of(counting[game_id], number, rated)
                strengths |= {player: each.after for player, each in rated.items()}
                ratings |= {each.player_id: each for each in after}
                changes += what
            await self._store.write(connection, ruleset_name, list(ratings.values()), changes)
        self.rated += len(numbers)
        return len(numbers)

    async def read_ratings(
        self, ruleset: str, players: Collection[PlayerId]
    ) -> Mapping[PlayerId, PlayerRating]:
        """Read ratings; a player without rated games has that of a beginner."""
        async with self._store.database.acquire() as connection:
            stored = await self._store.read_ratings(connection, ruleset, players)
        found = {player: strength_of(stored[player]) if player in stored else BEGINNER
                 for player in players}  # fmt: skip
        return {
            player: PlayerRating(each.rating, each.deviation, each.games)
            for player, each in found.items()
        }


def _result_of(event: GameCompleted) -> GameResult:
    seats = tuple(
        SeatPlace(seat.player_id, seat.seat, seat.score, seat.is_winner, seat.forfeited)
        for seat in event.players
    )
    at = datetime.fromisoformat(event.completed_at)
    return GameResult(event.game_id, event.ruleset, at, seats)


def strength_of(stored: StoredRating) -> Strength:
    """Read a strength as it is stored."""
    return Strength(*stored[1:])


def rows_of(
    game: GameResult, number: int, rated: Mapping[PlayerId, Rated]
) -> tuple[list[StoredRating], list[StoredChange]]:
    """Put together what a game's rating writes."""
    ratings = [StoredRating(player, *each.after) for player, each in rated.items()]
    changes = [
        StoredChange(
            game.game_id,
            player,
            number,
            each.place,
            each.before.rating,
            each.after.rating,
            each.after.deviation,
            each.after.volatility,
        )
        for player, each in rated.items()
    ]
    return ratings, changes
