"""Analytics of creators and recommendations, on a real node."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from tests.e2e.social.conftest import Person, Platform

pytestmark = pytest.mark.xdist_group("social platform")


async def test_days_of_creations_are_counted_for_their_owner(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.published("A lake", allow_remix=True)
    await ann.published("Another")
    await bob.ok("PUT", f"/creations/{creation}/like")
    kept = await bob.comment(creation)
    gone = await bob.comment(creation, "Oh")
    await bob.ok("DELETE", f"/comments/{gone}")
    remix = (await bob.ok("POST", f"/creations/{creation}/remix", {}))["creation_id"]
    await bob.ok("POST", f"/creations/{remix}/publish")
    await bob.ok("POST", f"/creations/{creation}/views")
    await platform.owner.execute("SELECT flush_creation_views()")
    # Two days ago: what happened then is counted then.
    await platform.owner.execute(
        "INSERT INTO likes (user_id, creation_id, created_at) VALUES ($1, $2, $3)",
        *(ann.id, creation, datetime.now(UTC) - timedelta(days=2)),
    )
    days = (await ann.ok("GET", f"/creations/{creation}/analytics"))["days"]
    assert len(days) == 30
    today = {"views": 1, "likes": 1, "comments": 1, "remixes": 1}
    assert {name: days[-1][name] for name in today} == today
    assert (days[-3]["likes"], days[-2]["likes"]) == (1, 0)
    assert (await ann.ok("GET", "/me/analytics"))["days"] == days
    assert await bob.refused("GET", f"/creations/{creation}/analytics") == (403, "forbidden")

    await bob.ok("DELETE", f"/creations/{creation}/like")
    await bob.ok("DELETE", f"/comments/{kept}")
    await bob.ok("POST", f"/creations/{remix}/archive")
    last = days[-1]["day"]
    [after] = (await ann.ok("GET", f"/me/analytics?first={last}&last={last}"))["days"]
    assert after == {"day": last, "views": 1, "likes": 0, "comments": 0, "remixes": 0}
    for bad in (
        *("first=2026-01-01&last=2027-06-01", "first=2026-02-01&last=2026-01-01"),
        *("first=x", "last=2026-02-30", "last=0001-01-01&first=0001-01-02"),
        *("last=9999-12-31", "last=0001-01-30", "first=0001-01-01&last=0001-01-02"),
    ):
        assert (await ann.refused("GET", f"/me/analytics?{bad}"))[0] == 422
    far = (await ann.ok("GET", "/me/analytics?last=9998-12-31"))["days"]
    assert [each["views"] for each in far] == [0] * 30
    assert await platform.wrong_counters() == []


async def similar(
    platform: Platform, who: Person | None, creation: str, more: str = ""
) -> list[str]:
    status, answer = await platform.ask(who, "GET", f"/creations/{creation}/similar{more}")
    assert status == 200, answer
    return [each["creation_id"] for each in answer["creations"]]


async def test_similar_creations_share_rare_tags_or_people(platform: Platform) -> None:
    ann, bob, eve, sue = await platform.people(4)
    rare, common = f"r{uuid4().hex[:8]}", f"c{uuid4().hex[:8]}"
    source = await ann.published("Source", tags=[rare, common])
    close = await bob.published("Close", tags=[rare])
    for number in range(5):
        await bob.published(f"Common {number}", tags=[common])
    own = await ann.published("Own", tags=[rare])
    nsfw = await bob.published("Bare", tags=[rare], is_nsfw=True)
    liked_too = await sue.published("Other")
    for each in (source, liked_too):
        await eve.ok("PUT", f"/creations/{each}/like")
    status, answer = await platform.ask(None, "GET", f"/creations/{source}/similar?limit=50")
    assert status == 200
    found = {each["creation_id"]: each for each in answer["creations"]}
    order = [each["creation_id"] for each in answer["creations"]]
    assert nsfw not in found
    assert source not in found
    assert set(order[:3]) == {close, own, liked_too}
    assert found[close]["reasons"] == [
        {"kind": "tag", "text": f"tag: {rare}", "tag": rare, "creation_id": None, "people": None}
    ]
    [reason] = found[liked_too]["reasons"]
    assert (reason["kind"], reason["people"]) == ("also_liked", 1)
    assert own not in await similar(platform, None, source, "?other_people=true&limit=50")

    await sue.ok("PUT", f"/people/{bob.id}/mute")
    assert close not in await similar(platform, sue, source)
    await sue.ok("DELETE", f"/people/{bob.id}/mute")
    await bob.ok("PUT", f"/people/{sue.id}/block")
    assert close not in await similar(platform, sue, source)
    assert close in await similar(platform, eve, source)
    await ann.ok("PATCH", f"/creations/{source}", {"is_public": False})
    status, _ = await platform.ask(sue, "GET", f"/creations/{source}/similar")
    assert status == 404


async def test_recommendations_say_because_of_what(platform: Platform) -> None:
    ann, bob, eve = await platform.people(3)
    tag = f"t{uuid4().hex[:8]}"
    liked = await bob.published("A lake at dawn", tags=[tag])
    wanted = await bob.published("A lake at dusk", tags=[tag])
    await ann.published("Mine", tags=[tag])
    assert (await ann.ok("GET", "/feed/recommended"))["creations"] == []
    await ann.ok("PUT", f"/creations/{liked}/like")
    [only] = (await ann.ok("GET", "/feed/recommended"))["creations"]
    assert only["creation_id"] == wanted
    assert [each["text"] for each in only["reasons"]] == [
        "because you liked A lake at dawn",
        f"tag: {tag}",
    ]
    assert only["reasons"][0]["creation_id"] == liked
    await ann.ok("PUT", f"/creations/{wanted}/like")  # what one likes already is not recommended
    assert (await ann.ok("GET", "/feed/recommended"))["creations"] == []
    assert (await eve.ok("GET", "/feed/recommended"))["creations"] == []
