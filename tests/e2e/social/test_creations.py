"""Creations over HTTP, on a real node: the life cycle, files, remixes, views, and who may what."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.social.conftest import PNG, Person, Platform

pytestmark = pytest.mark.xdist_group("social platform")


async def test_creation_goes_from_draft_to_published_to_archived(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    made = await ann.ok("POST", "/creations", {"title": "A lake", "type": "image", "seed": 7})
    creation = made["creation_id"]
    assert (made["status"], made["is_public"], made["user_id"]) == ("draft", False, ann.id)
    path = f"/creations/{creation}"
    assert await bob.refused("GET", path) == (404, "creation_not_found")
    assert await ann.refused("POST", f"{path}/publish") == (409, "creation_incomplete")
    assert await ann.refused("POST", f"{path}/files") == (404, "file_not_found")

    body = {"size": len(PNG), "content_type": "image/png"}
    announced = await ann.ok("POST", f"{path}/uploads", body)
    assert announced["url"] == f"/files/creations/{ann.id}/image/{creation}.png"
    assert (await ann.ok("GET", path))["status"] == "processing"
    put = platform.web.put(announced["upload_url"], data=PNG, headers={"Content-Type": "image/png"})
    async with put as answer:
        assert answer.status == 200
    await ann.ok("POST", f"{path}/files")
    attached = await ann.settled(creation)
    assert (attached["status"], attached["file_url"]) == ("draft", announced["url"])
    assert (attached["file_size"], attached["file_format"]) == (len(PNG), "png")

    published = await ann.ok("POST", f"{path}/publish")
    assert (published["status"], published["is_public"]) == ("published", True)
    assert (await bob.ok("GET", path))["seed"] == 7
    changed = await ann.ok("PATCH", path, {"title": "A sea", "seed": None, "tags": ["sea", "sea"]})
    assert (changed["title"], changed["seed"], changed["tags"]) == ("A sea", None, ["sea"])

    await ann.ok("POST", f"{path}/archive")
    assert await bob.refused("GET", path) == (404, "creation_not_found")
    again = await ann.ok("POST", f"{path}/publish")
    assert again["published_at"] == published["published_at"]
    await ann.ok("DELETE", path)
    assert await ann.refused("GET", path) == (404, "creation_not_found")
    assert await platform.wrong_counters() == []


async def test_file_is_read_by_those_who_may_see_its_creation(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.draft(type="image")
    url = await ann.upload(creation)
    await ann.upload(creation, kind="thumbnail")
    assert (await ann.ok("GET", f"/creations/{creation}"))["thumbnail_url"] is not None

    async def status(who: Person | None) -> int:
        headers = {"Authorization": f"Bearer {who.guest.token}"} if who else {}
        async with platform.web.get(url, headers=headers) as answer:
            return answer.status

    assert (await status(ann), await status(bob), await status(None)) == (200, 404, 404)
    await ann.ok("POST", f"/creations/{creation}/publish")
    assert (await status(bob), await status(None)) == (200, 200)
    insert = "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)"
    await platform.owner.execute(insert, ann.id, bob.id)
    assert (await status(bob), await status(None)) == (404, 200)
    await ann.ok("POST", f"/creations/{creation}/archive")
    assert (await status(ann), await status(None)) == (200, 404)
    await ann.ok("DELETE", f"/creations/{creation}")
    assert await status(ann) == 404


async def test_creation_whose_file_was_deleted_is_published_with_a_new_one(
    platform: Platform,
) -> None:
    (ann,) = await platform.people(1)
    creation = await ann.draft(type="image")
    url = await ann.upload(creation)
    await ann.ok("DELETE", url)
    refused = await ann.refused("POST", f"/creations/{creation}/publish")
    assert refused == (409, "creation_incomplete")
    url = await ann.upload(creation)
    assert (await ann.ok("POST", f"/creations/{creation}/publish"))["status"] == "published"
    thumbnail = (await ann.ok("GET", f"/creations/{creation}"))["thumbnail_url"]
    for shown in (url, thumbnail):
        assert await ann.refused("DELETE", shown) == (409, "file_in_use")
    await ann.ok("POST", f"/creations/{creation}/archive")
    await ann.ok("DELETE", url)


async def test_file_that_lies_about_its_type_is_refused(platform: Platform) -> None:
    (ann,) = await platform.people(1)
    creation = await ann.draft(type="image")
    path = f"/creations/{creation}/uploads"
    announced = await ann.ok("POST", path, {"size": 100, "content_type": "image/png"})
    headers = {"Content-Type": "image/png"}
    async with platform.web.put(
        announced["upload_url"], data=b"<svg" + bytes(96), headers=headers
    ) as answer:
        assert (answer.status, (await answer.json())["code"]) == (422, "file_refused")
    for content_type in ("audio/ogg", "image/svg+xml", "text/html", "image/../png"):
        body = {"size": 100, "content_type": content_type}
        assert await ann.refused("POST", path, body) == (422, "invalid_field")
    body = {"size": 200 * 1024 * 1024, "content_type": "image/png"}
    assert await ann.refused("POST", path, body) == (422, "invalid_field")


@pytest.mark.parametrize(
    "fields",
    [
        {"user_id": str(uuid4())},
        {"is_featured": True},
        {"like_count": 9},
        {"view_count": 9},
        {"status": "published"},
        {"published_at": "2020-01-01T00:00:00Z"},
        {"remix_of": str(uuid4())},
        {"file_url": "/files/creations/a/image/b.png"},
        {"title": "\u202eevil"},
        {"title": "\u2800"},
        {"title": "x" * 201},
        {"tags": ["x"] * 31},
        {"tags": [""]},
        {"type": "spell"},
        {"license": "<script>"},
        {"metadata": {"a": "x" * 20_000}},
        {"metadata": {"a": "\0"}},
        {"metadata": []},
        {"license": "CC-BY-ND-4.0", "allow_remix": True},
        {"seed": 2**60},
    ],
)
async def test_what_nobody_may_set_is_refused(platform: Platform, fields: dict[str, Any]) -> None:
    (ann,) = await platform.people(1)
    body = {"title": "A lake", "type": "text", **fields}
    assert await ann.refused("POST", "/creations", body) == (422, "invalid_field")
    creation = await ann.draft()
    assert (await ann.refused("PATCH", f"/creations/{creation}", fields))[0] == 422
    assert (await ann.ok("GET", f"/creations/{creation}"))["title"] == "A lake"


async def test_only_the_owner_changes_a_creation(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    seen, hidden = await ann.published(), await ann.draft()
    for creation, expected in (
        (seen, (403, "forbidden")),
        (hidden, (404, "creation_not_found")),
        (str(uuid4()), (404, "creation_not_found")),
    ):
        path = f"/creations/{creation}"
        upload = {"size": 1, "content_type": "image/png"}
        for method, address, body in (
            ("PATCH", path, {"title": "Mine"}),
            ("DELETE", path, None),
            ("POST", f"{path}/publish", None),
            ("POST", f"{path}/archive", None),
            ("POST", f"{path}/uploads", upload),
            ("POST", f"{path}/files", None),
        ):
            assert await bob.refused(method, address, body) == expected, address
    taken = {"title": "Mine", "type": "text", "creation_id": seen}
    assert await bob.refused("POST", "/creations", taken) == (409, "creation_taken")
    assert await bob.refused("GET", "/creations/none") == (422, "invalid_field")


async def test_remix_names_its_original_and_keeps_to_its_licence(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    closed = await ann.published()
    assert await bob.refused("POST", f"/creations/{closed}/remix", {}) == (409, "remix_refused")
    draft = await ann.draft(allow_remix=True)
    assert (await bob.refused("POST", f"/creations/{draft}/remix", {}))[0] == 404

    original = await ann.published("Hill", allow_remix=True, license="CC-BY-SA-4.0", tags=["hill"])
    path = f"/creations/{original}/remix"
    for terms in ({"license": "MIT"}, {"allow_commercial": True}):
        assert await bob.refused("POST", path, terms) == (409, "remix_refused")
    remix = await bob.ok("POST", path, {"title": "Hill at night"})
    assert (remix["status"], remix["remix_of"], remix["tags"]) == ("draft", original, ["hill"])
    assert (remix["license"], remix["allow_remix"]) == ("CC-BY-SA-4.0", False)
    assert remix["original"]["user_id"] == ann.id
    mine = f"/creations/{remix['creation_id']}"
    for terms in ({"license": "MIT"}, {"allow_commercial": True}):
        assert await bob.refused("PATCH", mine, terms) == (409, "remix_refused")
    await bob.ok("POST", f"{mine}/publish")
    assert (await ann.ok("GET", f"/creations/{original}"))["remix_count"] == 1

    await ann.ok("POST", f"/creations/{original}/archive")
    assert (await bob.ok("GET", mine))["original"] is None  # it may not be seen
    assert await bob.refused("PATCH", mine, {"allow_commercial": True}) == (409, "remix_refused")
    await ann.ok("DELETE", f"/creations/{original}")
    assert (await bob.ok("GET", mine))["remix_of"] is None
    assert await platform.wrong_counters() == []


async def test_views_count_once_per_viewer_and_day(platform: Platform) -> None:
    ann, *viewers = await platform.people(4)
    creation = await ann.published()
    path = f"/creations/{creation}/views"
    assert await ann.ok("POST", path) == {"is_counted": False}
    answers = await asyncio.gather(*(each.ok("POST", path) for each in viewers * 5))
    assert sum(each["is_counted"] for each in answers) == len(viewers)
    await platform.owner.fetchval("SELECT flush_creation_views()")
    assert (await ann.ok("GET", f"/creations/{creation}"))["view_count"] == len(viewers)
    assert await viewers[0].ok("POST", path) == {"is_counted": False}
    assert await platform.wrong_counters() == []
    assert (await viewers[0].refused("POST", f"/creations/{await ann.draft()}/views"))[0] == 404


async def test_views_without_an_account_count_once_per_network_and_day(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.published()
    path = f"/creations/{creation}/views"
    answers = await asyncio.gather(*(platform.ask(None, "POST", path) for _ in range(5)))
    assert [status for status, _ in answers] == [200] * 5
    assert sum(answer["is_counted"] for _, answer in answers) == 1
    assert await bob.ok("POST", path) == {"is_counted": True}
    assert (await platform.ask(None, "POST", f"/creations/{await ann.draft()}/views"))[0] == 404
    await platform.owner.fetchval("SELECT flush_creation_views()")
    assert (await ann.ok("GET", f"/creations/{creation}"))["view_count"] == 2
    # What is stored says nothing about the address: it is hashed with a secret of the day, which is
    # deleted after it, and another creation gives another hash.
    other = await ann.published()
    await platform.ask(None, "POST", f"/creations/{other}/views")
    rows = await platform.owner.fetch(
        "SELECT viewer_hash FROM creation_views"
        " WHERE viewer_id IS NULL AND creation_id::text IN ($1, $2)",
        creation,
        other,
    )
    assert len({bytes(row["viewer_hash"]) for row in rows}) == 2
    assert not any(b"127.0.0.1" in row["viewer_hash"] for row in rows)
    assert await platform.wrong_counters() == []


async def test_own_creations_are_listed_page_by_page(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    made = [await ann.draft(f"Lake {number}") for number in range(5)]
    await ann.ok("POST", f"/creations/{made[0]}/publish")
    seen: list[str] = []
    cursor = ""
    while True:
        page = await ann.ok("GET", f"/me/creations?limit=2{cursor}")
        seen += [each["creation_id"] for each in page["creations"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == made[::-1]
    listed = (await ann.ok("GET", "/me/creations?status=published"))["creations"]
    assert [each["creation_id"] for each in listed] == made[:1]
    assert (await bob.ok("GET", "/me/creations"))["creations"] == []
    assert await ann.refused("GET", "/me/creations?cursor=x") == (422, "invalid_field")


async def test_same_answer_has_the_same_tag(platform: Platform) -> None:
    (ann,) = await platform.people(1)
    path = f"/creations/{await ann.published()}"
    async with platform.web.get(f"/v1{path}") as answer:
        tag = answer.headers["ETag"]
    assert (await platform.ask(None, "GET", path, If_None_Match=tag))[0] == 304
    await ann.ok("PATCH", path, {"title": "Other"})
    assert (await platform.ask(None, "GET", path, If_None_Match=tag))[0] == 200
