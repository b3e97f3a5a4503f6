"""Feeds and search over HTTP, on a real node, and new creations over the websocket."""

from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.social.conftest import Person, Platform
from tests.faults.client_line import Line

pytestmark = pytest.mark.xdist_group("social platform")


async def titles(platform: Platform, who: Person | None, path: str) -> list[str]:
    """List the titles of all pages."""
    found: list[str] = []
    cursor = ""
    while True:
        status, page = await platform.ask(who, "GET", f"{path}{cursor}")
        assert status == 200, page
        found += [each["title"] for each in page["creations"]]
        if page["next"] is None:
            return found
        cursor = f"{'&' if '?' in path else '?'}cursor={page['next']}"


async def test_feed_is_what_those_one_follows_published(platform: Platform) -> None:
    ann, bob, eve = await platform.people(3)
    for number in range(5):
        await bob.published(f"Lake {number}")
    await bob.draft("Draft")
    await eve.published("Other")
    assert await titles(platform, ann, "/feed") == []
    await ann.ok("PUT", f"/people/{bob.id}/follow", {})
    newest = [f"Lake {number}" for number in reversed(range(5))]
    assert await titles(platform, ann, "/feed?limit=2") == newest
    page = await ann.ok("GET", "/feed?limit=2")
    await bob.published("Later")
    rest = await ann.ok("GET", f"/feed?limit=10&cursor={page['next']}")
    assert [each["title"] for each in rest["creations"]] == newest[2:]
    await ann.ok("PUT", f"/people/{bob.id}/mute")
    assert await titles(platform, ann, "/feed") == []
    await ann.ok("DELETE", f"/people/{bob.id}/mute")
    assert len(await titles(platform, ann, "/feed")) == 6
    await bob.ok("PUT", f"/people/{ann.id}/block")
    assert await titles(platform, ann, "/feed") == []
    assert (await platform.ask(None, "GET", "/feed"))[0] == 401
    assert await ann.refused("GET", "/feed?cursor=x") == (422, "invalid_field")


async def test_lists_by_tag_type_person_and_what_is_featured(platform: Platform) -> None:
    ann, bob, eve = await platform.people(3)
    tag = f"t{uuid4().hex[:8]}"
    lake = await ann.published("Lake", tags=[tag])
    await bob.published("Hill", tags=[tag])
    await bob.published("Nude", tags=[tag], is_nsfw=True)
    await platform.owner.execute("UPDATE creations SET is_featured = true WHERE id = $1", lake)
    for path, expected in (
        (f"/creations?tag={tag}", ["Hill", "Lake"]),
        (f"/creations?tag={tag}&type=text", ["Hill", "Lake"]),
        (f"/creations?tag={tag}&type=image", []),
        (f"/creations?user_id={ann.id}", ["Lake"]),
        (f"/creations?tag={tag}&featured=true", ["Lake"]),
        (f"/creations?tag={tag}&limit=1", ["Hill", "Lake"]),
    ):
        assert await titles(platform, eve, path) == expected, path
        assert await titles(platform, None, path) == expected, path
    await ann.ok("PUT", f"/people/{eve.id}/block")
    for path in (f"/creations?tag={tag}", f"/search/creations?q={tag}"):
        assert await titles(platform, eve, path) == ["Hill"], path
        assert await titles(platform, ann, path) == ["Hill", "Lake"], path


async def test_anonymous_feed_is_cached_until_lists_change(platform: Platform) -> None:
    (ann,) = await platform.people(1)
    tag = f"t{uuid4().hex[:8]}"
    path = f"/creations?tag={tag}"
    creation = await ann.published("Lake", tags=[tag])
    assert await titles(platform, None, path) == ["Lake"]
    async with platform.web.get(f"/v1{path}") as answer:
        etag = answer.headers["ETag"]
    # What does not go through the server is not seen before the cache is too old.
    await platform.owner.execute("UPDATE creations SET title = 'Sea' WHERE id = $1", creation)
    assert await titles(platform, None, path) == ["Lake"]
    assert (await platform.ask(None, "GET", path, If_None_Match=etag))[0] == 304
    assert await titles(platform, ann, path) == ["Sea"]
    await ann.ok("PATCH", f"/creations/{creation}", {"title": "River"})
    assert await titles(platform, None, path) == ["River"]
    assert (await platform.ask(None, "GET", path, If_None_Match=etag))[0] == 200
    other = await ann.published("Pond", tags=[tag])
    assert await titles(platform, None, path) == ["Pond", "River"]
    await ann.ok("POST", f"/creations/{other}/archive")
    assert await titles(platform, None, path) == ["River"]
    await ann.ok("DELETE", f"/creations/{creation}")
    assert await titles(platform, None, path) == []


async def test_search_finds_words(platform: Platform) -> None:
    (ann,) = await platform.people(1)
    word = f"w{uuid4().hex[:10]}"
    for number in range(3):
        await ann.published(f"Dragon {word} {number}")
    await ann.published(f"東京の夜景 {word}")
    path = f"/search/creations?q={word}"
    assert len(await titles(platform, None, path)) == 4
    assert await titles(platform, None, f"{path}&limit=1") == await titles(platform, ann, path)
    assert await titles(platform, None, f"{path}%20dragons%20-1") == [
        f"Dragon {word} 2",
        f"Dragon {word} 0",
    ]
    for query in ("", "x" * 201, "%00"):
        status, _ = await platform.ask(None, "GET", f"/search/creations?q={query}")
        assert status == 422
    assert await titles(platform, None, "/search/creations?q=%27%3B%20DROP%20TABLE%20x") == []


async def test_those_who_watch_are_told_of_new_creations(platform: Platform) -> None:
    ann, bob, eve, sue = await platform.people(4)
    await bob.ok("PUT", f"/people/{ann.id}/follow", {})
    await sue.ok("PUT", f"/people/{ann.id}/follow", {})
    await sue.ok("PUT", f"/people/{ann.id}/mute")
    await ann.ok("PUT", f"/people/{eve.id}/block")
    url = platform.node.websocket_url
    async with Line(url) as bobs, Line(url) as eves, Line(url) as sues:
        for line, person in ((bobs, bob), (eves, eve), (sues, sue)):
            await line.greet(person.guest)
            await line.ok("feed.watch")
            await line.ok("feed.watch", feed="public")
        first = await ann.published("Lake")
        await _read_until(bobs, first)  # or it is archived before anybody was told
        await ann.ok("POST", f"/creations/{first}/archive")
        await ann.ok("POST", f"/creations/{first}/publish")  # which is not new
        await ann.published("Bare", is_nsfw=True)  # which they do not want to see
        await bob.published("Hill")  # of which all but Bob are told: it comes last
        last = await sue.published("Sea")
        await _read_until(bobs, last)
        await bobs.ok("feed.unwatch", feed="public")
        assert _seen(bobs) == [
            ("following", "Lake"),
            ("public", "Lake"),
            ("public", "Sea"),
        ]
        await _read_until(eves, last)
        assert _seen(eves) == [("public", "Hill"), ("public", "Sea")]
        hill = await bob.published("River")
        await _read_until(sues, hill)
        assert _seen(sues) == [("public", "Lake"), ("public", "Hill"), ("public", "River")]


async def _read_until(line: Line, creation: str) -> None:
    while not any(update.get("creation_id") == creation for update in line.updates):
        await line.read()


def _seen(line: Line) -> list[tuple[Any, Any]]:
    return [(each["feed"], each["title"]) for each in line.updates if each["type"] == "feed.new"]
