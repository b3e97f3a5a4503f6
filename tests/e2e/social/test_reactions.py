"""Likes and comments over HTTP, on a real node: counted once, in threads, and not for everyone."""

import asyncio
from uuid import uuid4

import pytest

from tests.e2e.social.conftest import Platform

pytestmark = pytest.mark.xdist_group("social platform")


async def test_like_counts_once_however_often_it_is_sent(platform: Platform) -> None:
    ann, *others = await platform.people(4)
    creation = await ann.published()
    path = f"/creations/{creation}/like"
    answers = await asyncio.gather(*(each.ok("PUT", path) for each in others * 5))
    assert sum(each["is_changed"] for each in answers) == len(others)
    assert (await ann.ok("GET", f"/creations/{creation}"))["like_count"] == len(others)
    assert (await others[0].ok("GET", f"/creations/{creation}"))["user_has_liked"]
    mixed = [each.ok(method, path) for each in others for method in ("PUT", "DELETE") * 5]
    await asyncio.gather(*mixed)
    answers = await asyncio.gather(*(each.ok("DELETE", path) for each in others * 2))
    assert answers[-1]["is_liked"] is False
    assert (await ann.ok("GET", f"/creations/{creation}"))["like_count"] == 0
    assert await platform.wrong_counters() == []
    assert sorted(await ann.notices()) == sorted(("creation_liked", each.id) for each in others)


async def test_what_is_not_published_is_neither_liked_nor_commented(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    for creation in (await ann.draft(), str(uuid4())):
        path = f"/creations/{creation}"
        for method, address, body in (
            ("PUT", f"{path}/like", None),
            ("DELETE", f"{path}/like", None),
            ("GET", f"{path}/comments", None),
            ("POST", f"{path}/comments", {"content": "Hello"}),
        ):
            assert await bob.refused(method, address, body) == (404, "creation_not_found")


async def test_comments_make_a_thread(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.published()
    first = await bob.comment(creation, "First")
    reply = await ann.comment(creation, "Thank you", parent_comment_id=first)
    await bob.comment(creation, "Second")
    path = f"/creations/{creation}/comments"
    listed = (await ann.ok("GET", path))["comments"]
    assert [(each["content"], each["depth"]) for each in listed] == [
        ("First", 0),
        ("Thank you", 1),
        ("Second", 0),
    ]
    replies = await ann.ok("GET", f"{path}?parent_comment_id={first}")
    assert [each["comment_id"] for each in replies["comments"]] == [reply]
    page = await ann.ok("GET", f"{path}?limit=2")
    rest = await ann.ok("GET", f"{path}?limit=2&cursor={page['next']}")
    assert [each["content"] for each in rest["comments"]] == ["Second"]

    edited = await bob.ok("PATCH", f"/comments/{first}", {"content": "Number one"})
    assert (edited["content"], edited["is_edited"]) == ("Number one", True)
    assert (await ann.ok("PUT", f"/comments/{first}/like"))["like_count"] == 1
    assert not (await ann.ok("PUT", f"/comments/{first}/like"))["is_changed"]
    assert (await ann.ok("DELETE", f"/comments/{first}/like"))["like_count"] == 0

    await bob.ok("DELETE", f"/comments/{first}")
    tombstone = (await ann.ok("GET", path))["comments"][0]
    assert (tombstone["is_deleted"], tombstone["user_id"], tombstone["content"]) == (True, None, "")
    assert await bob.refused("PATCH", f"/comments/{first}", {"content": "Back"}) == (
        404,
        "comment_not_found",
    )
    body = {"content": "Late", "parent_comment_id": first}
    assert await bob.refused("POST", path, body) == (404, "comment_not_found")
    await ann.ok("DELETE", f"/comments/{reply}")
    assert len((await ann.ok("GET", path))["comments"]) == 1
    assert (await ann.ok("GET", f"/creations/{creation}"))["comment_count"] == 1
    assert await platform.wrong_counters() == []


async def test_bad_comments_are_refused(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation, other = await ann.published(), await ann.published()
    path = f"/creations/{creation}/comments"
    parent = await bob.comment(creation)
    for body in (
        {"content": ""},
        {"content": " \n "},
        {"content": "x" * 2001},
        {"content": "\u202etxet"},
        {"content": "a", "user_id": ann.id},
        {"content": "a", "depth": 0},
        {"content": "a", "like_count": 3},
        {"content": "a", "created_at": "2020-01-01T00:00:00Z"},
    ):
        assert await bob.refused("POST", path, body) == (422, "invalid_field")
    body = {"content": "a", "comment_id": parent}
    assert await bob.refused("POST", path, body) == (409, "comment_taken")
    body = {"content": "a", "parent_comment_id": parent}
    elsewhere = f"/creations/{other}/comments"
    assert await bob.refused("POST", elsewhere, body) == (404, "comment_not_found")
    for method, change in (("PATCH", {"content": "Mine"}), ("DELETE", None)):
        assert await ann.refused(method, f"/comments/{parent}", change) == (403, "forbidden")
    for _ in range(8):
        parent = await bob.comment(creation, parent_comment_id=parent)
    body = {"content": "a", "parent_comment_id": parent}
    assert await bob.refused("POST", path, body) == (409, "comment_too_deep")


async def test_at_most_ten_of_those_mentioned_are_told(platform: Platform) -> None:
    ann, bob, *crowd = await platform.people(14)
    names = [f"{name}{uuid4().hex[:8]}" for name in "abcdefghijkl"]
    for person, name in zip(crowd, names, strict=True):
        await platform.owner.execute(
            "UPDATE profiles SET username = $2 WHERE id = $1", person.id, name
        )
    creation = await ann.published()
    await bob.comment(creation, " ".join(f"@{name}" for name in names * 10))
    told = [await each.notices() for each in crowd]
    assert told == [[("mention", bob.id)]] * 10 + [[]] * 2
    assert await ann.notices() == [("creation_commented", bob.id)]


async def test_blocked_person_deletes_what_they_said_and_says_nothing_else(
    platform: Platform,
) -> None:
    ann, bob, cid = await platform.people(3)
    creation = await ann.published()
    comment = await bob.comment(creation, "I regret this")
    await ann.ok("PUT", f"/people/{bob.id}/block")
    path = f"/comments/{comment}"
    assert await bob.refused("PATCH", path, {"content": "Ha"}) == (404, "comment_not_found")
    assert await ann.refused("DELETE", path) == (404, "comment_not_found")
    assert await cid.refused("DELETE", path) == (403, "forbidden")
    assert (await bob.ok("DELETE", path))["comment_id"] == comment
    assert (await cid.ok("GET", f"/creations/{creation}/comments"))["comments"] == []
    assert (await cid.ok("GET", f"/creations/{creation}"))["comment_count"] == 0
    assert await platform.wrong_counters() == []


async def test_likes_of_many_at_once_share_a_transaction_and_keep_everybodys_rules(
    platform: Platform,
) -> None:
    ann, blocked, gone, *others = await platform.people(12)
    creation = await ann.published()
    path = f"/creations/{creation}/like"
    await gone.ok("PUT", path)
    await ann.ok("PUT", f"/people/{blocked.id}/block")
    before = await platform.metric("playhall_likes_together_total")
    answers = await asyncio.gather(
        *(each.ok("PUT", path) for each in others),
        blocked.refused("PUT", path),
        gone.ok("DELETE", path),
        others[0].ok("PUT", path),
        blocked.refused("DELETE", path),
        return_exceptions=True,
    )
    failed = [each for each in answers if isinstance(each, BaseException)]
    assert failed == []
    *liked, refused, taken, _again, refused_again = answers
    assert refused == refused_again == (404, "creation_not_found")
    assert [(each["is_liked"], each["like_count"] > 0) for each in liked] == [(True, True)] * 9
    assert (taken["is_liked"], taken["is_changed"]) == (False, True)
    assert await platform.metric("playhall_likes_together_total") > before
    assert (await ann.ok("GET", f"/creations/{creation}"))["like_count"] == len(others)
    assert await platform.wrong_counters() == []
    assert sorted(await ann.notices()) == sorted(
        ("creation_liked", each.id) for each in (*others, gone)
    )
