"""Rates the games that were completed.

A game is rated in one transaction: its players are locked in id order, the game is marked, which
draws its number, and their ratings are read and written. So the numbers order any two games of one
player as they changed the rating, and a second delivery of a game's event finds the mark.
"""

from collections.abc import Collection, Mapping
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
        event = delivery.event
        assert isinstance(event, GameCompleted)
        if event.uncounted is not None:
            return
        seats = tuple(
            SeatPlace(seat.player_id, seat.seat, seat.score, seat.is_winner, seat.forfeited)
            for seat in event.players
        )
        at = datetime.fromisoformat(event.completed_at)
        await self.rate(GameResult(event.game_id, event.ruleset, at, seats))

    async def rate(self, game: GameResult) -> bool:
        """Rate a game; False if it was rated before, or is not one that counts."""
        ruleset = self._rulesets.get(game.ruleset)
        if ruleset is None or not is_rated(ruleset, len(game.seats)):
            return False
        players = [seat.player_id for seat in game.seats]
        async with self._store.database.transaction() as connection:
            if await self._store.lock_people(connection, players) != set(players):
                return False  # a bot, or somebody who was erased
            number = await self._store.mark_rated(connection, game.game_id, game.ruleset, game.at)
            if number is None:
                return False
            stored = await self._store.read_ratings(connection, game.ruleset, players)
            strengths = {player: strength_of(rating) for player, rating in stored.items()}
            rated = rate_game(ruleset, game, strengths)
            ratings, changes = rows_of(game, number, rated)
            await self._store.write(connection, game.ruleset, ratings, changes)
        self.rated += 1
        return True

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
