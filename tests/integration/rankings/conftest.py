"""A database with finished games, and what counts and rates them."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from persistence.database import Database
from persistence.leaderboards.store import BoardStore
from persistence.ratings.store import RatingStore
from persistence.rls import Requester
from protocol.domain_events import GameCompleted, SeatOutcome
from protocol.ids import GameId, PlayerId, new_id
from server.core.clock import wire_time
from server.core.event_delivery import EventDelivery
from server.domains.compete.leaderboards.service import BoardCounter, BoardEditor, BoardReader
from server.domains.compete.ratings.service import RatingService
from server.rulesets import find_rulesets

NOW = datetime(2027, 3, 10, 12, tzinfo=UTC)


@dataclass
class Followed:
    """Whom everybody follows."""

    players: list[PlayerId] = field(default_factory=list)

    async def list_followed_players(self, who: Requester, *, limit: int) -> list[PlayerId]:
        return self.players[:limit]


class Rankings:
    """The domains' services on one database, and rows of finished games."""

    def __init__(self, database: Database, owner: asyncpg.Connection) -> None:
        rulesets = find_rulesets()
        self.owner = owner
        self.followed = Followed()
        self.boards = BoardStore(database)
        self.counter = BoardCounter(self.boards, rulesets)
        self.reader = BoardReader(self.boards, rulesets, self.followed, lambda: NOW)
        self.editor = BoardEditor(self.boards, self.reader, lambda: NOW)
        self.ratings = RatingStore(database)
        self.rating = RatingService(self.ratings, rulesets)

    async def players(self, count: int, *, is_bot: bool = False) -> list[PlayerId]:
        rows = await self.owner.fetch(
            "INSERT INTO players (display_name, avatar_seed, color, is_bot)"
            " SELECT 'p' || n, 'a', 'red', $2 FROM generate_series(1, $1) AS n RETURNING id",
            count,
            is_bot,
        )
        return [PlayerId(str(row["id"])) for row in rows]

    async def finish(
        self,
        ruleset: str,
        scores: dict[PlayerId, int],
        *,
        at: datetime = NOW,
        left: tuple[PlayerId, ...] = (),
        uncounted: str | None = None,
    ) -> EventDelivery:
        """Write a finished game's rows, and give its event, which was not delivered yet."""
        game_id = GameId(new_id())
        best = max(scores.values())
        await self.owner.execute(
            "INSERT INTO games (id, session_seed, config, status, ruleset, ruleset_version)"
            " VALUES ($1, 's', '{}', 'in_progress', $2, 1)",
            game_id,
            ruleset,
        )
        summary = [
            {"player_id": p, "score": s, "is_winner": s == best, "tricks_won": s, "seat_index": n}
            for n, (p, s) in enumerate(scores.items())
        ]
        await self.owner.execute(
            "INSERT INTO game_summaries (game_id, players, rounds, final_scores)"
            " VALUES ($1, $2, '[]', '{}')",
            game_id,
            json.dumps(summary),
        )
        event = GameCompleted(
            game_id=game_id,
            lobby_id=None,
            ruleset=ruleset,
            started_at=None,
            completed_at=wire_time(at),
            winner_id=None,
            uncounted=uncounted,  # type: ignore[arg-type]
            players=[
                SeatOutcome(player_id=p, seat=n, score=s, is_winner=s == best, forfeited=p in left)
                for n, (p, s) in enumerate(scores.items())
            ],
        )
        return EventDelivery(new_id(), at, event)

    async def count(self, *args: object, **fields: object) -> EventDelivery:
        delivery = await self.finish(*args, **fields)  # type: ignore[arg-type]
        await self.counter.count_completed(delivery)
        return delivery


@pytest.fixture
async def rankings(database: Database, fresh_dsn: str) -> AsyncIterator[Rankings]:
    owner = await asyncpg.connect(fresh_dsn)
    yield Rankings(database, owner)
    await owner.close()


def days(count: float) -> timedelta:
    return timedelta(days=count)
