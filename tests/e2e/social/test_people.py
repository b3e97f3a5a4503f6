"""Profiles and discovery over HTTP, on a real node."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.social.conftest import PNG, Person, Platform

pytestmark = pytest.mark.xdist_group("social platform")


async def named(platform: Platform, *names: str) -> list[Person]:
    people = await platform.people(len(names))
    for person, name in zip(people, names, strict=True):
        await person.ok("PATCH", "/me", {"display_name": name})
    return people


async def found(platform: Platform, who: Person | None, path: str) -> list[str]:
    """List the ids of all pages."""
    ids: list[str] = []
    cursor = ""
    while True:
        status, page = await platform.ask(who, "GET", f"/people?{path}{cursor}")
        assert status == 200, page
        ids += [each["user_id"] for each in page["people"]]
        if page["next"] is None:
            return ids
        cursor = f"&cursor={page['next']}"


async def test_a_person_changes_what_is_theirs_and_others_see_what_is_public(
    platform: Platform,
) -> None:
    ann, eve = await platform.people(2)
    upload = {
        "bucket": "avatars",
        "path": f"{ann.id}/avatar.png",
        "size": len(PNG),
        "content_type": "image/png",
    }
    announced = await ann.ok("POST", "/files/uploads", upload)
    put = platform.web.put(announced["upload_url"], data=PNG, headers={"Content-Type": "image/png"})
    async with put as answer:
        assert answer.status == 200, await answer.text()
    change = {
        "bio": "I paint lakes.\nAnd hills.",
        "avatar_url": announced["url"],
        "onboarding_completed": True,
        "onboarding_step": 4,
        "preferences": {"show_nsfw": False},
    }
    await ann.ok("PATCH", "/me", change)
    me = await ann.ok("GET", "/me")
    assert {name: me[name] for name in change} == change
    assert (me["tier"], me["subscription_status"], me["is_verified"]) == ("explorer", None, False)
    await eve.ok("PUT", f"/people/{ann.id}/follow", {})
    await ann.published()
    public = await eve.ok("GET", f"/profiles/{me['username']}")
    assert public["arcanean_id"] == me["arcanean_id"]
    assert (public["follower_count"], public["creation_count"]) == (1, 1)
    assert public["bio"] == change["bio"]
    private = {"preferences", "subscription_status", "onboarding_step", "last_active_at"}
    assert not private & set(public)
    async with asyncio.timeout(20):  # nobody else sees an image before it is processed
        while True:
            async with platform.web.get(public["avatar_url"]) as answer:
                if answer.status == 200:
                    assert (await answer.read()).startswith(PNG[:8])
                    break
            await asyncio.sleep(0.05)
    await ann.ok("PATCH", "/me", {"avatar_url": "", "bio": ""})
    public = await eve.ok("GET", f"/profiles/{ann.id}")
    assert (public["avatar_url"], public["bio"]) == (None, "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tier", "realm_builder"),
        ("subscription_status", "active"),
        ("stripe_customer_id", "cus_1"),
        ("is_verified", True),
        ("is_active", True),
        ("follower_count", 9),
        ("creation_count", 9),
        ("arcanean_id", "ARC-000001"),
        ("xp_total", 9),
        ("onboarding_step", 101),
        ("avatar_url", "javascript:alert(1)"),
        ("avatar_url", "http://example.org/a.png"),
        ("avatar_url", "https://playhall.example@evil.example/a.png"),
        ("avatar_url", "https://[::1"),
        ("avatar_url", 'https://example.org/"><script>'),
        ("avatar_url", "/files/avatars/00000000-0000-4000-8000-000000000001/avatar.png"),
        ("bio", "x" * 2001),
        ("bio", "turned \u202e around"),
        ("display_name", "\u200b"),
        ("display_name", "\u3164"),
        ("display_name", "Аdmin"),  # noqa: RUF001 - a Cyrillic letter
        ("display_name", "M0derator"),
    ],
)
async def test_what_is_not_theirs_to_set_is_refused_by_name(
    platform: Platform, field: str, value: object
) -> None:
    (ann,) = await platform.people(1)
    before = await ann.ok("GET", "/me")
    status, refusal = await ann.ask("PATCH", "/me", {"bio": "Hello", field: value})
    assert (status, refusal["code"]) == (422, "invalid_field")
    assert refusal["field"] == field
    assert await ann.ok("GET", "/me") == before


async def test_the_picture_of_another_person_is_refused_along_any_path(platform: Platform) -> None:
    ann, eve = await platform.people(2)
    for path in (f"/files/avatars/{ann.id}/../{eve.id}/avatar.png", "/files/avatars/"):
        assert (await ann.refused("PATCH", "/me", {"avatar_url": path}))[0] == 422


async def test_arcanean_ids_grow_past_six_digits(platform: Platform) -> None:
    last: int = await platform.owner.fetchval("SELECT last_value FROM arcanean_ids")
    await platform.owner.execute("SELECT setval('arcanean_ids', 999998)")
    try:
        people = await platform.people(2)
        ids = [(await person.ok("GET", "/me"))["arcanean_id"] for person in people]
    finally:
        await platform.owner.execute("SELECT setval('arcanean_ids', $1)", last + 2)
    assert ids == ["ARC-999999", "ARC-1000000"]


async def test_people_are_found_by_name_with_accents_and_mistakes(platform: Platform) -> None:
    tail = uuid4().hex[:6]
    ann, bea, zoe = await named(platform, f"Zoë Löwenherz {tail}", f"Zoe {tail}", f"Émile {tail}")
    for query, expected in (
        ("zoe", {ann.id, bea.id}),
        ("LÖWENHERZ", {ann.id}),
        ("lowenherz", {ann.id}),
        ("emile", {zoe.id}),
        (tail, {ann.id, bea.id, zoe.id}),
        ((await ann.ok("GET", "/me"))["username"], {ann.id}),
    ):
        ids = await found(platform, None, f"q={query}&limit=100")
        assert expected <= set(ids), query
        assert not ({ann.id, bea.id, zoe.id} - expected) & set(ids), query
    status, page = await platform.ask(None, "GET", "/people?q=lowenhertz")
    assert (status, page["is_similar"], page["next"]) == (200, True, None)
    assert page["people"][0]["user_id"] == ann.id
    for nothing in ("%25", "_%25_", "xqzjwvk"):
        assert await found(platform, None, f"q={nothing}") == []


async def test_people_are_listed_by_followers_and_by_age_at_any_page_size(
    platform: Platform,
) -> None:
    tail = uuid4().hex[:6]
    people = await named(platform, *(f"Ada {tail}" for _ in range(5)))
    ada, bob, cleo, dan, eve = people
    for fan, star in ((bob, ada), (cleo, ada), (dan, ada), (cleo, bob), (dan, bob), (eve, dan)):
        await fan.ok("PUT", f"/people/{star.id}/follow", {})
    nobody = sorted((cleo.id, eve.id), reverse=True)
    popular = [ada.id, bob.id, dan.id, *nobody]
    newest = [person.id for person in reversed(people)]
    for limit in (1, 2, 5):
        assert await found(platform, ada, f"q={tail}&limit={limit}") == popular
        assert await found(platform, None, f"q={tail}&sort=newest&limit={limit}") == newest
    everybody = await found(platform, None, "sort=newest&limit=100")
    assert everybody[: len(newest)] == newest
    assert len(everybody) == len(set(everybody))
    page = await ada.ok("GET", f"/people?q={tail}&limit=1")
    refused = await ada.refused("GET", f"/people?q={tail}&sort=newest&cursor={page['next']}")
    assert refused == (422, "invalid_field")


async def test_blocked_and_merged_people_and_those_without_a_name_are_not_listed(
    platform: Platform,
) -> None:
    tail = uuid4().hex[:6]
    ann, bob, eve = await named(platform, *(f"Ada {tail}" for _ in range(3)))
    await bob.ok("PUT", f"/people/{ann.id}/block")

    async def sees(who: Person | None) -> set[str]:
        return set(await found(platform, who, f"q={tail}"))

    assert await sees(ann) == {ann.id, eve.id}
    assert await sees(bob) == {bob.id, eve.id}
    assert await sees(eve) == await sees(None) == {ann.id, bob.id, eve.id}
    hidden: list[tuple[str, Any]] = [
        ("UPDATE profiles SET is_active = false WHERE id = $1", bob.id),
        (
            "UPDATE profiles SET merged_into = (SELECT id FROM profiles WHERE id <> $1 LIMIT 1)"
            " WHERE id = $1",
            eve.id,
        ),
    ]
    for statement, who in hidden:
        await platform.owner.execute(statement, who)
    assert await sees(None) == {ann.id}


async def test_lists_have_a_tag_and_say_when_nothing_changed(platform: Platform) -> None:
    tail = uuid4().hex[:6]
    (ann,) = await named(platform, f"Ada {tail}")
    async with platform.web.get(f"/v1/people?q={tail}") as answer:
        tag = answer.headers["ETag"]
    status, _ = await platform.ask(ann, "GET", f"/people?q={tail}", None, If_None_Match=tag)
    assert status == 304
