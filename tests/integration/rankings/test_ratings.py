"""Ratings on a real database: one change per game, in a recorded order, under races."""

import asyncio
import itertools
from random import Random

from protocol.domain_events import GameCompleted
from protocol.ids import PlayerId
from server.domains.compete.ratings.rules import GameResult, SeatPlace, Strength, rate_game
from server.rulesets import find_rulesets
from tests.integration.rankings.conftest import NOW, Rankings, days


async def test_concurrent_and_repeated_deliveries_give_what_the_recorded_order_gives(
    rankings: Rankings,
) -> None:
    players = await rankings.players(6)
    chance = Random(7)
    games = {}
    for n in range(40):
        one, other = chance.sample(players, 2)
        delivery = await rankings.finish(
            "reversi", {one: chance.randrange(9), other: chance.randrange(9)}, at=NOW + days(n / 9)
        )
        assert isinstance(delivery.event, GameCompleted)
        games[delivery.event.game_id] = delivery
    deliveries = [*games.values()] * 3
    chance.shuffle(deliveries)
    async with asyncio.TaskGroup() as group:
        while deliveries:
            batch = [deliveries.pop() for _ in range(min(len(deliveries), chance.randint(1, 7)))]
            group.create_task(rankings.rating.rate_all(batch))
    assert rankings.rating.rated == 40

    strengths: dict[PlayerId, Strength] = {}
    async with rankings.ratings.database.acquire() as connection:
        order = await rankings.ratings.list_games(connection, "reversi", after=0)
        stored = await rankings.ratings.read_all(connection, "reversi")
    assert len(order) == 40
    for game in order:
        event = games[game.game_id].event
        assert isinstance(event, GameCompleted)
        seats = tuple(SeatPlace(*each.model_dump().values()) for each in event.players)
        result = GameResult(game.game_id, "reversi", game.completed_at, seats)
        rated = rate_game(find_rulesets()["reversi"], result, strengths)
        strengths |= {player: each.after for player, each in rated.items()}
    assert {player: each[1:] for player, each in stored.items()} == {
        player: tuple(each) for player, each in strengths.items()
    }
    changes = await rankings.ratings.list_changes(players[0], "reversi", before=2**60, limit=100)
    for newer, older in itertools.pairwise(changes):
        assert newer.before == older.rating


async def test_bots_declared_scores_and_unrated_rulesets_change_nothing(rankings: Rankings) -> None:
    a, b = await rankings.players(2)
    (bot,) = await rankings.players(1, is_bot=True)
    for delivery in (
        await rankings.finish("reversi", {a: 1, bot: 0}),
        await rankings.finish("reversi", {a: 1, b: 0}, uncounted="declared"),
        await rankings.finish("arena", {a: 1, b: 0}),
    ):
        await rankings.rating.rate_completed(delivery)
    assert await rankings.owner.fetchval("SELECT count(*) FROM rated_games") == 0
    read = await rankings.rating.read_ratings("reversi", [a, b])
    assert read[a] == read[b] == (1500.0, 350.0, 0)


async def test_list_is_by_rating_and_leaves_out_who_is_provisional_or_hidden(
    rankings: Rankings,
) -> None:
    a, b, c = await rankings.players(3)
    for _ in range(30):
        for winner, loser in ((a, b), (b, c), (a, c)):
            await rankings.rating.rate_completed(
                await rankings.finish("reversi", {winner: 1, loser: 0})
            )

    async def listed(deviation_max: float) -> list[PlayerId]:
        best = await rankings.ratings.list_best(
            "reversi",
            deviation_max=deviation_max,
            after=(float("inf"), PlayerId("00000000-0000-0000-0000-000000000000")),
            limit=10,
        )
        return [row.player_id for row in best]

    assert await listed(float("inf")) == [a, b, c]
    assert await listed(1.0) == []
    await rankings.boards.set_listed(b, is_listed=False)
    assert await listed(float("inf")) == [a, c]
