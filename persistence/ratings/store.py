"""Ratings as they are stored. A game changes them while its players are locked, in id order."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import GameId, PlayerId

SQL: Final = load_queries("ratings/store")
PAGE_ROWS: Final = 100  # games are folded between pages, while the transaction is open
RULESETS_SHOWN_MAX: Final = 100


class StoredRating(NamedTuple):
    """A player's rating in a ruleset; `rated_at` is when their last rated game ended."""

    player_id: PlayerId
    rating: float
    deviation: float
    volatility: float
    games: int
    rated_at: datetime | None


class StoredChange(NamedTuple):
    """What a game did to a player's rating."""

    game_id: GameId
    player_id: PlayerId
    number: int
    place: int
    before: float
    rating: float
    deviation: float
    volatility: float


class ChangeShown(NamedTuple):
    """A change as it is listed."""

    number: int
    game_id: GameId
    completed_at: datetime
    place: int
    before: float
    rating: float
    deviation: float


class RatedPlayer(NamedTuple):
    """A player in a list by rating."""

    player_id: PlayerId
    display_name: str
    rating: float
    deviation: float
    games: int
    rated_at: datetime


class RatedGame(NamedTuple):
    """A game that changed ratings; `number` orders any two games of one player."""

    number: int
    game_id: GameId
    completed_at: datetime


class RatingStore:
    """Ratings in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # ------------------------------------------------------------------ rating a game

    async def lock_people(
        self, connection: Connection, players: Collection[PlayerId]
    ) -> set[PlayerId]:
        """Lock players; bots and who was erased are left out."""
        rows = await connection.fetch(SQL["lock_players"], list(players))
        return {row["id"] for row in rows}

    async def mark_rated(
        self, connection: Connection, ruleset: str, games: Mapping[GameId, datetime]
    ) -> dict[GameId, int]:
        """Note that games are rated, in this order; give the numbers of those that were not."""
        columns = (list(games), list(games.values()))
        rows = await connection.fetch(SQL["mark_rated"], ruleset, *columns)
        return {row["game_id"]: row["number"] for row in rows}

    async def read_ratings(
        self, connection: Connection, ruleset: str, players: Collection[PlayerId]
    ) -> dict[PlayerId, StoredRating]:
        """Read the ratings of those players who have one."""
        rows = await connection.fetch(SQL["ratings_of"], ruleset, list(players))
        return {row["player_id"]: StoredRating(*row) for row in rows}

    async def write(
        self,
        connection: Connection,
        ruleset: str,
        ratings: Sequence[StoredRating],
        changes: Sequence[StoredChange],
    ) -> None:
        """Write ratings and what games did to them; the players are locked."""
        if ratings:
            columns = [list(column) for column in zip(*ratings, strict=True)]
            await connection.execute(SQL["write_ratings"], ruleset, *columns)
        if changes:
            columns = [list(column) for column in zip(*changes, strict=True)]
            await connection.execute(SQL["write_changes"], ruleset, *columns)

    # ------------------------------------------------------------------ reading

    async def list_ratings_of(self, player_id: PlayerId) -> list[tuple[str, StoredRating]] | None:
        """List a player's ratings by ruleset; None where there is no such player."""
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["player_ratings"], player_id, RULESETS_SHOWN_MAX)
            if not rows and not await connection.fetchval(SQL["has_player"], player_id):
                return None
        return [(ruleset, StoredRating(player_id, *rest)) for ruleset, *rest in rows]

    async def list_changes(
        self, player_id: PlayerId, ruleset: str, *, before: int, limit: int
    ) -> list[ChangeShown]:
        """List what games did to a player's rating, newest first."""
        asked = (player_id, ruleset, before, limit)
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["list_changes"], *asked)
        return [ChangeShown(*row) for row in rows]

    async def list_best(
        self,
        ruleset: str,
        *,
        deviation_max: float,
        after: tuple[float, PlayerId],
        limit: int,
    ) -> list[RatedPlayer]:
        """List players by rating, from the highest."""
        asked = (ruleset, deviation_max, *after, limit)
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["list_best"], *asked)
        return [RatedPlayer(*row) for row in rows]

    # ------------------------------------------------------------------ computing again

    async def list_rulesets(self, connection: Connection) -> list[str]:
        """List the rulesets that have rated games."""
        return [row["ruleset"] for row in await connection.fetch(SQL["rated_rulesets"])]

    async def list_games(
        self, connection: Connection, ruleset: str, *, after: int
    ) -> list[RatedGame]:
        """List some rated games after a number, in their order."""
        rows = await connection.fetch(SQL["rated_games"], ruleset, after, PAGE_ROWS)
        return [RatedGame(*row) for row in rows]

    async def read_changes(
        self, connection: Connection, games: Collection[GameId]
    ) -> Mapping[tuple[GameId, PlayerId], tuple[int, float, float, float, float]]:
        """Read what games did: place, before, rating, deviation, volatility."""
        rows = await connection.fetch(SQL["changes_of_games"], list(games))
        return {(game_id, player_id): tuple(rest) for game_id, player_id, *rest in rows}

    async def read_all(self, connection: Connection, ruleset: str) -> dict[PlayerId, StoredRating]:
        """Read all ratings of a ruleset."""
        rows = await connection.fetch(SQL["all_ratings"], ruleset)
        return {row["player_id"]: StoredRating(*row) for row in rows}

    async def lock_all(self, connection: Connection, ruleset: str) -> set[PlayerId]:
        """Lock everybody who has a rating in a ruleset."""
        return {row["id"] for row in await connection.fetch(SQL["lock_rated"], ruleset)}

    async def list_unrated_games(
        self, rulesets: Collection[str], *, after: int = 0
    ) -> list[tuple[int, GameId]]:
        """List some games that should have changed ratings and have not."""
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["unrated_games"], after, list(rulesets), PAGE_ROWS)
        return [(row["seq"], row["game_id"]) for row in rows]
