"""Records over a real port: who sees which, how lists page, what is refused."""

from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from protocol.ids import new_id
from server.rulesets import find_rulesets
from tests.fixtures.http import bearer
from tests.integration.records.conftest import AT, Archive


async def _get(
    client: aiohttp.ClientSession, path: str, *, viewer: str | None = None, **query: object
) -> tuple[int, Any]:
    headers = bearer(viewer) if viewer else {}
    asked = {name: str(value) for name, value in query.items()}
    async with client.get(path, params=asked, headers=headers) as reply:
        return reply.status, await reply.json()


async def test_rulesets_are_listed_with_their_configuration(
    client: aiohttp.ClientSession,
) -> None:
    status, body = await _get(client, "/v1/rulesets")
    assert status == 200
    assert [one["name"] for one in body["rulesets"]] == list(find_rulesets())
    for one in body["rulesets"]:
        assert one["seats_min"] <= one["seats_max"]
        assert one["config_schema"]["type"] == "object"


async def test_summary_shows_how_a_game_ended(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    ann = await archive.player("Ann")
    game = await archive.game([ann])
    status, summary = await _get(client, f"/v1/games/{game.game_id}/summary")
    assert status == 200
    assert summary["final_scores"] == {ann: 42}
    assert summary["rounds"] == [{"cards": 10}]
    assert (summary["highest_score"], summary["highest_bid"]) == (42, None)


async def test_match_names_its_players_in_seat_order(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    players = [await archive.player("Ann"), await archive.player("Rob", is_bot=True)]
    game = await archive.game(players)
    status, match = await _get(client, f"/v1/matches/{game.match_id}")
    assert status == 200
    assert match["winner_id"] == players[0]
    assert match["ended_at"] == "2026-11-20T12:00:00.000Z"
    assert match["players"] == [
        {
            "player_id": players[0],
            "display_name": "Ann",
            "is_bot": False,
            "seat": 0,
            "score": 10,
            "is_winner": True,
            "forfeited": False,
        },
        {
            "player_id": players[1],
            "display_name": "Rob",
            "is_bot": True,
            "seat": 1,
            "score": 9,
            "is_winner": False,
            "forfeited": False,
        },
    ]


async def test_private_game_is_shown_to_its_players_only(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    ann, eve = await archive.player("Ann"), await archive.player("Eve")
    game = await archive.game([ann], is_public=False)
    for viewer, expected in ((ann, 200), (eve, 404), (None, 404)):
        for path in (f"/v1/games/{game.game_id}/summary", f"/v1/matches/{game.match_id}"):
            assert (await _get(client, path, viewer=viewer))[0] == expected
        listed = await _get(client, f"/v1/players/{ann}/matches", viewer=viewer)
        assert len(listed[1]["matches"]) == (expected == 200)


async def test_statistics_are_zero_before_the_first_game(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    ann = await archive.player("Ann")
    status, stats = await _get(client, f"/v1/players/{ann}/stats")
    assert status == 200
    assert (stats["games_played"], stats["win_rate"], stats["highest_score"]) == (0, 0.0, None)
    assert stats["last_game_at"] is None


async def test_statistics_are_shown(client: aiohttp.ClientSession, archive: Archive) -> None:
    ann = await archive.player("Ann", games_played=4, games_won=3, last_game_at=AT)
    _, stats = await _get(client, f"/v1/players/{ann}/stats")
    assert (stats["display_name"], stats["win_rate"]) == ("Ann", 0.75)
    assert stats["last_game_at"] == "2026-11-20T12:00:00.000Z"


async def test_statistics_of_one_ruleset_are_told_apart(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    ann = await archive.player("Ann", games_played=4, games_won=3)
    await archive.in_ruleset(ann, "el_dorado", games_played=2, games_won=1, highest_score=17)
    path = f"/v1/players/{ann}/stats"
    _, overall = await _get(client, path)
    assert (overall["ruleset"], overall["games_played"], overall["win_rate"]) == (None, 4, 0.75)
    _, stats = await _get(client, path, ruleset="el_dorado")
    shown = stats["ruleset"], stats["games_played"], stats["win_rate"], stats["highest_score"]
    assert shown == ("el_dorado", 2, 0.5, 17)
    _, none = await _get(client, path, ruleset="four_in_a_row")
    assert (none["ruleset"], none["games_played"], none["last_game_at"]) == (
        "four_in_a_row",
        0,
        None,
    )


async def test_history_pages_without_hole_or_repeat(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    ann = await archive.player("Ann")
    # Three matches each moment, so that pages of two break inside a moment.
    made = [
        (await archive.game([ann], at=AT - timedelta(microseconds=n // 3))).match_id
        for n in range(8)
    ]
    expected = [match for n in range(0, 8, 3) for match in sorted(made[n : n + 3])]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        _, body = await _get(client, f"/v1/players/{ann}/matches", limit=2, **cursor)
        seen += [match["match_id"] for match in body["matches"]]
        if body["next"] is None:
            break
        await archive.game([ann], at=AT + timedelta(days=1))  # a newer one moves no page
        cursor = {"cursor": body["next"]}
    assert seen == expected


@pytest.mark.parametrize("cursor", ["", "x", "MTIz", "not base64!", "9" * 30, "A" * 201])
async def test_made_up_cursor_is_refused(
    client: aiohttp.ClientSession, archive: Archive, cursor: str
) -> None:
    ann = await archive.player("Ann")
    status, error = await _get(client, f"/v1/players/{ann}/matches", cursor=cursor)
    assert (status, error["code"], error["field"]) == (422, "invalid_field", "cursor")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/games/42/summary", "game_id"),
        ("/v1/players/ANN/stats", "player_id"),
        ("/v1/players/00000000-0000-4000-8000-00000000000/matches", "player_id"),
        ("/v1/matches/'; DROP", "match_id"),
        ("/v1/leaderboards/losses", "board"),
        ("/v1/leaderboards/wins?limit=101", "limit"),
        ("/v1/leaderboards/wins?min_games=0", "min_games"),
        ("/v1/leaderboards/wins?bots=yes", "bots"),
        ("/v1/leaderboards/wins?colour=red", "colour"),
    ],
)
async def test_bad_address_is_refused_by_field(
    client: aiohttp.ClientSession, path: str, field: str
) -> None:
    status, error = await _get(client, path)
    assert (status, error["type"], error["code"]) == (422, "error", "invalid_field")
    assert error["field"] == field


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/games/{id}/summary", "game_not_found"),
        ("/v1/players/{id}/stats", "not_found"),
        ("/v1/players/{id}/matches", "not_found"),
        ("/v1/matches/{id}", "not_found"),
    ],
)
async def test_what_is_not_there_is_not_found(
    client: aiohttp.ClientSession, path: str, code: str
) -> None:
    status, error = await _get(client, path.format(id=new_id()))
    assert (status, error["code"]) == (404, code)
