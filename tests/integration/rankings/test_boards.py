"""Boards on a real database: counted once, ranked, paged, by period, without the hidden."""

import asyncio

import pytest

from persistence.rls import Requester
from protocol.errors import InvalidField
from protocol.ids import PlayerId, SessionId, UserId, new_id
from protocol.leaderboards import (
    BoardNotFound,
    RulesetBoardQuery,
    RulesetSeasonRequest,
    SeasonTaken,
)
from tests.integration.rankings.conftest import NOW, Rankings, days

WHO = Requester(UserId(new_id()), SessionId(new_id()))
SPRING = RulesetSeasonRequest(starts_at="2027-03-20T00:00:00Z", ends_at="2027-06-01T00:00:00Z")


async def page(
    rankings: Rankings, me: PlayerId | None = None, statistic: str = "tricks_won", **query: object
) -> tuple[list[tuple[PlayerId, int, int]], str | None]:
    """Read a board: player, rank and value of each entry, and the cursor."""
    asked = RulesetBoardQuery.model_validate(query)
    who = None if me is None else WHO
    _, rows, following = await rankings.reader.read_page(
        "el_dorado", statistic, asked, who=who, player_id=me
    )
    return [(row.row.player_id, row.rank, row.row.value) for row in rows], following


async def test_game_is_counted_once_however_often_and_at_once_it_is_delivered(
    rankings: Rankings,
) -> None:
    a, b = await rankings.players(2)
    games = [await rankings.finish("el_dorado", {a: 3, b: n}) for n in range(5)]
    async with asyncio.TaskGroup() as group:
        for batch in ([games[0]], games, games[:2] * 2, games[3:], games[::-1]):
            group.create_task(rankings.counter.count_all(batch))
    assert await page(rankings) == ([(a, 1, 15), (b, 2, 10)], None)
    assert (await page(rankings, statistic="score"))[0] == [(b, 1, 4), (a, 2, 3)]
    assert rankings.counter.counted == 5


async def test_games_counted_at_once_give_what_they_give_one_by_one(rankings: Rankings) -> None:
    a, b = await rankings.players(2)
    c, d = await rankings.players(2)
    await rankings.editor.add_season("el_dorado", "spring", SPRING)
    for one, other, is_at_once in ((a, b, True), (c, d, False)):
        games = [
            await rankings.finish("el_dorado", {one: n, other: 5}, at=NOW + days(4 * n))
            for n in range(5)
        ]
        for batch in [games] if is_at_once else [[game] for game in games]:
            await rankings.counter.count_all(batch)
    entries = [
        await rankings.owner.fetch(
            "SELECT statistic, period, value, games, achieved_at FROM board_entries"
            " WHERE player_id = $1 ORDER BY statistic, period",
            player,
        )
        for player in (a, b, c, d)
    ]
    assert entries[:2] == entries[2:]
    assert {row["value"] for row in entries[0] if row["period"] == "season:spring"} >= {4}


async def test_equal_values_share_a_rank_over_pages_and_the_earlier_comes_first(
    rankings: Rankings,
) -> None:
    players = await rankings.players(7)
    values = [9, 7, 7, 7, 5, 5, 1]
    for n, (player, value) in enumerate(zip(players, values, strict=True)):
        await rankings.count("el_dorado", {player: value, players[-1]: 0}, at=NOW + days(n / 100))
    seen, cursor = [], None
    while True:
        found, cursor = await page(rankings, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += found
        if cursor is None:
            break
    assert [player for player, _, _ in seen] == players
    assert [rank for _, rank, _ in seen] == [1, 2, 2, 2, 5, 5, 7]
    around, following = await page(rankings, me=players[3], scope="around", limit=3)
    assert around == [(players[n], 2, 7) if n < 4 else (players[n], 5, 5) for n in (2, 3, 4)]
    assert following is None
    (stranger,) = await rankings.players(1)
    assert (await page(rankings, me=stranger, scope="around"))[0] == []


async def test_friends_are_ranked_among_themselves(rankings: Rankings) -> None:
    a, b, c, d = await rankings.players(4)
    await rankings.count("el_dorado", {a: 9, b: 8, c: 7, d: 6})
    rankings.followed.players = [d, b]
    assert (await page(rankings, me=c, scope="friends"))[0] == [(b, 1, 8), (c, 2, 7), (d, 3, 6)]


async def test_bots_are_listed_if_asked_for_and_hidden_players_never(rankings: Rankings) -> None:
    a, b = await rankings.players(2)
    (bot,) = await rankings.players(1, is_bot=True)
    await rankings.count("el_dorado", {a: 1, b: 2, bot: 3})
    assert [row[0] for row in (await page(rankings))[0]] == [b, a]
    assert [row[0] for row in (await page(rankings, bots=True))[0]] == [bot, b, a]
    await rankings.boards.set_listed(b, is_listed=False)
    await rankings.count("el_dorado", {a: 1, b: 2, bot: 3})
    assert [row[0] for row in (await page(rankings, bots=True))[0]] == [bot, a]
    assert await rankings.boards.is_hidden(b)
    await rankings.boards.set_listed(b, is_listed=True)
    assert (await page(rankings))[0] == [(b, 1, 4), (a, 2, 2)]


async def test_periods_and_seasons_have_boards_of_their_own(rankings: Rankings) -> None:
    await rankings.editor.add_season("el_dorado", "spring", SPRING)
    a, b = await rankings.players(2)
    await rankings.count("el_dorado", {a: 5, b: 1}, at=NOW - days(1))
    await rankings.count("el_dorado", {a: 0, b: 2}, at=NOW)
    await rankings.count("el_dorado", {a: 7, b: 3}, at=NOW + days(11))
    assert (await page(rankings))[0] == [(a, 1, 12), (b, 2, 6)]
    assert (await page(rankings, period="day"))[0] == [(b, 1, 2), (a, 2, 0)]
    assert (await page(rankings, period="day", day="2027-03-09"))[0][0] == (a, 1, 5)
    assert (await page(rankings, period="week"))[0] == [(a, 1, 5), (b, 2, 3)]
    assert (await page(rankings, period="season", season="spring"))[0] == [(a, 1, 7), (b, 2, 3)]
    for query in (
        {"period": "season"},
        {"season": "spring"},
        {"period": "day", "day": "2027-02-30"},
    ):
        with pytest.raises(InvalidField):
            await page(rankings, **query)
    with pytest.raises(InvalidField):
        await page(rankings, period="season", season="summer")


async def test_season_is_made_before_it_begins_and_never_changed(rankings: Rankings) -> None:
    first = await rankings.editor.add_season("el_dorado", "spring", SPRING)
    assert await rankings.editor.add_season("el_dorado", "spring", SPRING) == first
    with pytest.raises(SeasonTaken):
        await rankings.editor.add_season(
            "el_dorado", "spring", SPRING.model_copy(update={"ends_at": "2027-07-01T00:00:00Z"})
        )
    begun = SPRING.model_copy(update={"starts_at": "2027-03-01T00:00:00Z"})
    with pytest.raises(InvalidField, match="has passed"):
        await rankings.editor.add_season("el_dorado", "early", begun)


async def test_who_left_and_what_does_not_count_are_on_no_board(rankings: Rankings) -> None:
    a, b = await rankings.players(2)
    await rankings.count("el_dorado", {a: 5, b: 1}, left=(a,))
    await rankings.count("el_dorado", {a: 5, b: 1}, uncounted="declared")
    assert (await page(rankings))[0] == [(b, 1, 1)]
    with pytest.raises(BoardNotFound):
        await page(rankings, statistic="highest_bid")  # declared, without a board
    assert await rankings.boards.player_statistics("el_dorado", b) == [
        ("score", 1, 1),
        ("tricks_won", 1, 1),
        ("wins", 0, 1),
    ]


async def test_old_days_and_weeks_are_deleted_and_all_time_stays(rankings: Rankings) -> None:
    a, b = await rankings.players(2)
    await rankings.count("el_dorado", {a: 5, b: 1}, at=NOW.replace(year=2020))
    boards = 3 * 2  # statistics with a board, and players
    assert await rankings.boards.delete_ended(0, limit=100) == 2 * boards
    assert len((await page(rankings))[0]) == 2
