"""Follows, blocks and mutes over HTTP, on a real node; a block hides two people everywhere."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.social.conftest import Person, Platform

pytestmark = pytest.mark.xdist_group("social platform")


async def test_people_follow_each_other(platform: Platform) -> None:
    ann, bob, eve = await platform.people(3)
    path = f"/people/{bob.id}"
    ties = await ann.ok("PUT", f"{path}/follow", {"notify_creations": True})
    assert (ties["is_following"], ties["notify_creations"]) == (True, True)
    assert not (await ann.ok("PUT", f"{path}/follow", {}))["notify_creations"]
    assert (await bob.ok("GET", f"/people/{ann.id}/ties"))["is_followed_by"]
    await eve.ok("PUT", f"{path}/follow", {})
    followers = await ann.ok("GET", f"{path}/followers?limit=1")
    rest = await ann.ok("GET", f"{path}/followers?limit=1&cursor={followers['next']}")
    listed = [each["user_id"] for each in followers["people"] + rest["people"]]
    assert listed == [eve.id, ann.id]
    assert [
        e["user_id"] for e in (await eve.ok("GET", f"/people/{ann.id}/following"))["people"]
    ] == [bob.id]
    assert not (await ann.ok("DELETE", f"{path}/follow"))["is_following"]
    await ann.ok("DELETE", f"{path}/follow")
    assert await platform.wrong_counters() == []
    for method, body in (("PUT", {}), ("PUT", {"follower_id": eve.id})):
        status, code = await ann.refused(method, f"/people/{ann.id}/follow", body)
        assert (status, code) == (422, "invalid_field")
    nobody = f"/people/{uuid4()}"
    for method, address, body in (
        ("PUT", "follow", {}),
        ("PUT", "block", None),
        ("PUT", "mute", None),
        ("GET", "ties", None),
        ("GET", "followers", None),
    ):
        assert await ann.refused(method, f"{nobody}/{address}", body) == (404, "person_not_found")


async def test_racing_follows_and_blocks_leave_right_counters(platform: Platform) -> None:
    people = await platform.people(4)
    pairs = [(one, other) for one in people for other in people if one is not other]
    await asyncio.gather(
        *(
            one.ask(method, f"/people/{other.id}/{what}", {})
            for one, other in pairs
            for method, what in (
                ("PUT", "follow"),
                ("PUT", "block"),
                ("DELETE", "follow"),
                ("PUT", "follow"),
                ("DELETE", "block"),
                ("PUT", "follow"),
            )
        )
    )
    assert await platform.wrong_counters() == []
    both = await platform.owner.fetchval(
        "SELECT count(*) FROM follows f JOIN blocks b"
        " ON f.follower_id IN (b.blocker_id, b.blocked_id)"
        " AND f.following_id IN (b.blocker_id, b.blocked_id)"
    )
    assert both == 0


async def test_blocks_and_mutes_are_known_to_their_owner_alone(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    await ann.ok("PUT", f"/people/{bob.id}/mute")
    assert (await ann.ok("GET", f"/people/{bob.id}/ties"))["is_muted"]
    ties = await bob.ok("GET", f"/people/{ann.id}/ties")
    assert not any(value for name, value in ties.items() if name != "user_id")
    await ann.ok("PUT", f"/people/{bob.id}/block")
    for which in ("blocks", "mutes"):
        listed = await ann.ok("GET", f"/me/{which}")
        assert [each["user_id"] for each in listed["people"]] == [bob.id]
        assert (await bob.ok("GET", f"/me/{which}"))["people"] == []
    assert (await ann.ok("GET", f"/people/{bob.id}/ties"))["is_blocked"]
    assert await bob.refused("GET", f"/people/{ann.id}/ties") == (404, "person_not_found")
    await ann.ok("DELETE", f"/people/{bob.id}/block")
    await ann.ok("DELETE", f"/people/{bob.id}/mute")
    assert (await bob.ok("GET", f"/people/{ann.id}/ties"))["user_id"] == ann.id


@pytest.mark.parametrize("is_blocker", [True, False])
async def test_a_block_holds_on_every_address(platform: Platform, is_blocker: bool) -> None:
    ann, bob, eve = await platform.people(3)
    creation = await ann.published(allow_remix=True)
    comment = await ann.comment(creation)
    theirs = await eve.published()
    there = await ann.comment(theirs)  # on a third person's creation, which both may see
    await ann.ok("PUT", f"/people/{bob.id}/follow", {})
    await bob.ok("PUT", f"/people/{ann.id}/follow", {})
    await eve.ok("PUT", f"/people/{ann.id}/follow", {})
    one, other = (bob, ann) if is_blocker else (ann, bob)
    await one.ok("PUT", f"/people/{other.id}/block")

    reply = {"content": "Hello", "parent_comment_id": there}
    missing: list[tuple[str, str, Any]] = [
        ("GET", f"/creations/{creation}", None),
        ("PATCH", f"/creations/{creation}", {"title": "Mine"}),
        ("DELETE", f"/creations/{creation}", None),
        ("POST", f"/creations/{creation}/publish", None),
        ("POST", f"/creations/{creation}/archive", None),
        ("POST", f"/creations/{creation}/remix", {}),
        ("POST", f"/creations/{creation}/views", None),
        ("POST", f"/creations/{creation}/files", None),
        ("POST", f"/creations/{creation}/uploads", {"size": 1, "content_type": "image/png"}),
        ("PUT", f"/creations/{creation}/like", None),
        ("DELETE", f"/creations/{creation}/like", None),
        ("GET", f"/creations/{creation}/comments", None),
        ("POST", f"/creations/{creation}/comments", {"content": "Hello"}),
        ("PATCH", f"/comments/{comment}", {"content": "Mine"}),
        ("DELETE", f"/comments/{comment}", None),
        ("PUT", f"/comments/{comment}/like", None),
        ("PUT", f"/comments/{there}/like", None),
        ("DELETE", f"/comments/{there}/like", None),
        ("POST", f"/creations/{theirs}/comments", reply),
        ("PUT", f"/people/{ann.id}/follow", {}),
        ("GET", f"/people/{ann.id}/followers", None),
        ("GET", f"/people/{ann.id}/following", None),
    ]
    for method, path, body in missing:
        assert (await bob.refused(method, path, body))[0] == 404, (method, path)
    assert await _ids(bob, f"/creations/{theirs}/comments", "comments", "comment_id") == []
    assert await _ids(bob, f"/people/{eve.id}/following", "people", "user_id") == []
    assert await _ids(eve, f"/creations/{theirs}/comments", "comments", "comment_id") == [there]
    assert await bob.notices() == []
    assert await platform.wrong_counters() == []


async def _ids(who: Person, path: str, plural: str, name: str) -> list[str]:
    return [each[name] for each in (await who.ok("GET", path))[plural]]
