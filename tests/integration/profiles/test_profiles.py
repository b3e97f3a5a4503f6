"""Names and preferences: what their owner may change, and what others see."""

import asyncio
from typing import Any

import pytest

from persistence.rls import Requester, RlsDatabase
from protocol.errors import Forbidden
from protocol.ids import SessionId, UserId, new_id
from tests.integration.profiles.conftest import Room


def _code(answer: tuple[int, dict[str, Any]]) -> tuple[int, str, str | None]:
    return answer[0], answer[1]["code"], answer[1].get("field")


async def test_coined_username_changes_at_once_and_a_chosen_one_after_30_days(room: Room) -> None:
    ann = await room.guest()
    assert (await room.change(ann, username="ann-1"))[1]["username"] == "ann-1"
    refused = await room.change(ann, username="ann-2", display_name="Annie")
    assert _code(refused) == (409, "username_too_soon", "username")
    free_at = await room.value(
        "SELECT to_char(username_changed_at + interval '30 days', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        " FROM profiles WHERE id = $1",
        ann.user_id,
    )
    assert f"try again after {free_at}" in refused[1]["message"]
    assert (await room.me(ann))["display_name"] == "Ann"
    await room.run("UPDATE profiles SET username_changed_at = now() - interval '30 days 1 s'")
    assert (await room.change(ann, username="ann-2"))[1]["username"] == "ann-2"


async def test_same_username_again_is_no_change(room: Room) -> None:
    ann = await room.guest()
    for _ in range(2):
        assert (await room.change(ann, username="ann-1"))[0] == 200


async def test_username_is_one_person_s_whatever_its_case(room: Room) -> None:
    ann, bo = await room.guest(), await room.guest("Bo")
    assert (await room.change(ann, username=" AnnA "))[1]["username"] == "anna"
    refused = await room.change(bo, username="ANNA", display_name="Bobby")
    assert _code(refused) == (409, "username_taken", "username")
    assert (await room.me(bo))["display_name"] == "Bo"


async def test_of_two_who_want_a_username_at_once_one_gets_it(room: Room) -> None:
    people = [await room.guest() for _ in range(4)]
    answers = await asyncio.gather(*(room.change(who, username="wanted") for who in people))
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409]


@pytest.mark.parametrize(
    "username", ["ab", "a" * 25, "_ann", "-ann", "ann lee", "änn", "ann.lee", "", 7, "ann\0"]
)
async def test_bad_username_is_refused_by_field(room: Room, username: object) -> None:
    ann = await room.guest()
    assert _code(await room.change(ann, username=username)) == (422, "invalid_field", "username")


async def test_players_choose_their_colour_and_avatar(room: Room) -> None:
    ann = await room.guest()
    coined = await room.me(ann)
    status, changed = await room.change(ann, color="#AABBCC", avatar_seed="ann-7")
    assert status == 200, changed
    assert (changed["color"], changed["avatar_seed"]) == ("#aabbcc", "ann-7")
    assert (await room.change(ann, color="#000001"))[1]["avatar_seed"] == "ann-7"
    seen = (await room.ask("GET", f"/v1/profiles/{coined['username']}"))[1]
    assert (seen["color"], seen["avatar_seed"]) == ("#000001", "ann-7")


@pytest.mark.parametrize(
    "look",
    [
        *({"color": color} for color in ("red", "#abc", "#12345g", "", "#112233; x", 7)),
        *({"avatar_seed": seed} for seed in ("", "a" * 65, "a b", "\u200b", "<svg>", 7)),
    ],
)
async def test_bad_look_is_refused_by_field(room: Room, look: dict[str, object]) -> None:
    ann = await room.guest()
    before = await room.me(ann)
    assert _code(await room.change(ann, **look)) == (422, "invalid_field", next(iter(look)))
    assert await room.me(ann) == before


async def test_new_name_is_the_player_s_too_and_is_dated(room: Room) -> None:
    ann = await room.guest()
    await room.run("UPDATE players SET created_at = now() - interval '1 day'")
    assert (await room.change(ann, display_name="Annie"))[1]["display_name"] == "Annie"
    changed = await room.value(
        "SELECT p.display_name = 'Annie' AND f.display_name = 'Annie'"
        " AND p.updated_at > p.created_at + interval '1 hour'"
        " FROM players p JOIN profiles f ON f.id = p.user_id::uuid"
    )
    assert changed is True


async def test_preferences_are_kept_whole_and_shown_to_nobody_else(room: Room) -> None:
    ann, bo = await room.guest(), await room.guest("Bo")
    preferences = {"sound": False, "theme": {"name": "night", "hues": [1, 2.5, None]}}
    assert (await room.change(ann, preferences=preferences))[1]["preferences"] == preferences
    assert (await room.change(ann, display_name="Annie"))[1]["preferences"] == preferences
    _, seen = await room.ask("GET", f"/v1/profiles/{ann.user_id}", bo)
    assert "preferences" not in seen
    assert (await room.change(ann, preferences={}))[1]["preferences"] == {}


@pytest.mark.parametrize("preferences", [{"x": "y" * 4096}, {"x": "nul\0"}, [], 7])
async def test_bad_preferences_are_refused_by_field(room: Room, preferences: object) -> None:
    ann = await room.guest()
    refused = await room.change(ann, preferences=preferences)
    assert _code(refused) == (422, "invalid_field", "preferences")


async def test_nobody_changes_another_s_names_whatever_program_asks(
    room: Room, rls: RlsDatabase
) -> None:
    ann, eve = await room.guest(), await room.guest("Eve")
    as_eve = Requester(UserId(eve.user_id), SessionId(new_id()))
    rename = "UPDATE profiles SET username = 'taken-over' WHERE id = $1"
    async with rls.as_user(as_eve) as connection:
        assert await connection.execute(rename, ann.user_id) == "UPDATE 0"
    for column in ("xp_total = 7", "username_changed_at = NULL"):
        with pytest.raises(Forbidden):
            async with rls.as_user(as_eve) as connection:
                await connection.execute(f"UPDATE profiles SET {column}")


async def test_profile_is_found_by_username_and_by_id_without_a_token(room: Room) -> None:
    ann = await room.guest()
    await room.change(ann, username="anna")
    await room.run("UPDATE profiles SET xp_total = 35")
    status, by_name = await room.ask("GET", "/v1/profiles/ANNA")
    assert status == 200
    assert (await room.ask("GET", f"/v1/profiles/{ann.user_id}"))[1] == by_name
    assert (await room.ask("GET", f"/v1/profiles/{by_name['player_id']}"))[1] == by_name
    assert (
        by_name.items()
        >= {
            "user_id": ann.user_id,
            "player_id": ann.player_id,
            "username": "anna",
            "display_name": "Ann",
            "xp_total": 35,
            "creation_count": 0,
            "follower_count": 0,
            "following_count": 0,
        }.items()
    )


@pytest.mark.parametrize("name", ["nobody", "00000000-0000-4000-8000-000000000000", "%00", "💡"])
async def test_unknown_profile_is_not_found(room: Room, name: str) -> None:
    status, error = await room.ask("GET", f"/v1/profiles/{name}")
    assert (status, error["code"]) == (404, "profile_not_found")


async def test_username_is_free_until_somebody_has_it(room: Room) -> None:
    ann = await room.guest()
    asked = "/v1/profiles?username=ANNA"
    assert (await room.ask("GET", asked))[1] == {"username": "anna", "is_free": True}
    await room.change(ann, username="anna")
    assert (await room.ask("GET", asked))[1] == {"username": "anna", "is_free": False}


@pytest.mark.parametrize("username", ["123", "true"])
async def test_username_that_looks_like_another_value_can_be_asked_for(
    room: Room, username: str
) -> None:
    answer = await room.ask("GET", f"/v1/profiles?username={username}")
    assert answer == (200, {"username": username, "is_free": True})


async def test_who_asks_for_many_usernames_is_slowed(room: Room) -> None:
    answers = [await room.ask("GET", "/v1/profiles?username=anna") for _ in range(32)]
    assert {status for status, _ in answers[:30]} == {200}
    assert answers[31][1]["code"] == "rate_limited"
