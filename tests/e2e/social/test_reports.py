"""Reports and moderation over HTTP, on a real node: filed once, decided once, on record."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.social.conftest import Person, Platform
from tests.e2e.social.test_feed import titles

pytestmark = pytest.mark.xdist_group("social platform")


@pytest.fixture(scope="package")
async def moderators(platform: Platform) -> list[Person]:
    staff = await platform.people(2)
    for each in staff:
        await asyncio.to_thread(platform.node.grant, each.id, "moderator")
    return staff


async def reported(who: Person, **target: Any) -> str:
    body = {"reason": "spam", **target}
    return str((await who.ok("POST", "/reports", body))["report_id"])


async def test_report_is_filed_once_while_it_is_open(platform: Platform) -> None:
    ann, bob, eve = await platform.people(3)
    creation = await ann.published()
    comment = await ann.comment(creation)
    first = await reported(bob, creation_id=creation, details="Look")
    assert await reported(bob, creation_id=creation) == first
    assert await reported(eve, creation_id=creation) != first
    second = await reported(bob, comment_id=comment)
    third = await reported(bob, user_id=ann.id)
    listed = (await bob.ok("GET", "/me/reports"))["reports"]
    assert [each["report_id"] for each in listed] == [third, second, first]
    assert await platform.owner.fetchval("SELECT is_flagged FROM comments WHERE id = $1", comment)
    assert (await ann.ok("GET", "/me/reports"))["reports"] == []

    draft = await ann.draft()
    for target in ({"creation_id": draft}, {"user_id": str(uuid4())}, {"message_id": str(uuid4())}):
        body = {"reason": "spam", **target}
        assert await bob.refused("POST", "/reports", body) == (404, "report_target_not_found")
    await ann.ok("PUT", f"/people/{eve.id}/block")
    body = {"reason": "spam", "comment_id": comment}
    assert await eve.refused("POST", "/reports", body) == (404, "report_target_not_found")
    for body in (
        {"reason": "spam"},
        {"reason": "spam", "creation_id": creation, "user_id": ann.id},
        {"reason": "boring", "creation_id": creation},
        {"reason": "spam", "creation_id": creation, "reporter_id": ann.id},
        {"reason": "spam", "creation_id": creation, "status": "upheld"},
    ):
        assert await bob.refused("POST", "/reports", body) == (422, "invalid_field")


async def test_only_moderators_see_the_queue_and_decide(
    platform: Platform, moderators: list[Person]
) -> None:
    ann, bob = await platform.people(2)
    report = await reported(bob, creation_id=await ann.published())
    decision = f"/admin/reports/{report}/decision"
    assert await bob.refused("GET", "/admin/reports") == (403, "forbidden")
    assert await bob.refused("POST", decision, {"decision": "none"}) == (403, "forbidden")
    featured = f"/admin/creations/{await ann.published()}/featured"
    assert await ann.refused("PUT", featured, {"is_featured": True}) == (403, "forbidden")
    nothing = f"/admin/reports/{uuid4()}/decision"
    refused = await moderators[0].refused("POST", nothing, {"decision": "none"})
    assert refused == (404, "report_not_found")


async def test_moderators_learn_and_decide_nothing_about_themselves(
    platform: Platform, moderators: list[Person]
) -> None:
    mod, other = moderators
    (bob,) = await platform.people(1)
    creation = await mod.published()
    comment = await mod.comment(creation)
    targets = ({"user_id": mod.id}, {"creation_id": creation}, {"comment_id": comment})
    reports = {await reported(bob, **target) for target in targets}

    async def queued(person: Person) -> set[str]:
        page = await person.ok("GET", "/admin/reports?limit=100")
        return {each["report_id"] for each in page["reports"]}

    assert reports <= await queued(other)
    assert not reports & await queued(mod)
    for report in reports:
        path = f"/admin/reports/{report}/decision"
        assert await mod.refused("POST", path, {"decision": "none"}) == (404, "report_not_found")
        assert (await other.ok("POST", path, {"decision": "none"}))["status"] == "dismissed"


async def test_removed_creation_is_gone_for_all_but_its_owner(
    platform: Platform, moderators: list[Person]
) -> None:
    ann, bob, eve = await platform.people(3)
    tag = f"t{uuid4().hex[:8]}"
    creation = await ann.published("Lake", tags=[tag])
    reports = [await reported(each, creation_id=creation) for each in (bob, eve)]
    assert await titles(platform, None, f"/creations?tag={tag}") == ["Lake"]
    queue = (await moderators[0].ok("GET", "/admin/reports?limit=100"))["reports"]
    mine = [each for each in queue if each["report_id"] in reports]
    assert [(each["excerpt"], each["owner_id"]) for each in mine] == [("Lake", ann.id)] * 2
    assert [each["reporter_id"] for each in mine] == [bob.id, eve.id]

    body = {"decision": "removed", "note": "Spam"}
    answers = await asyncio.gather(
        *(
            moderator.ask("POST", f"/admin/reports/{report}/decision", body)
            for moderator in moderators
            for report in reports
        )
    )
    assert sorted(status for status, _ in answers) == [200, 409, 409, 409]
    assert await titles(platform, None, f"/creations?tag={tag}") == []
    assert await bob.refused("GET", f"/creations/{creation}") == (404, "creation_not_found")
    assert (await ann.ok("GET", f"/creations/{creation}"))["is_removed"]
    await ann.ok("POST", f"/creations/{creation}/archive")
    await ann.ok("POST", f"/creations/{creation}/publish")
    assert await titles(platform, None, f"/creations?tag={tag}") == []
    assert [kind for kind, _ in await ann.notices()] == ["moderation_decision"]
    for each in (bob, eve):
        assert [kind for kind, _ in await each.notices()] == ["moderation_decision"]
        (filed,) = (await each.ok("GET", "/me/reports"))["reports"]
        assert filed["status"] == "upheld"
        assert "decision_note" not in filed
    acts = await platform.owner.fetch(
        "SELECT action FROM audit_log WHERE target = $1", f"creation {creation}"
    )
    assert [row["action"] for row in acts] == ["decide_report"]


async def test_other_decisions(platform: Platform, moderators: list[Person]) -> None:
    ann, bob = await platform.people(2)
    moderator = moderators[0]
    creation = await ann.published()
    comment = await ann.comment(creation)

    async def decide(report: str, decision: str) -> tuple[int, Any]:
        path = f"/admin/reports/{report}/decision"
        return await moderator.ask("POST", path, {"decision": decision})

    report = await reported(bob, comment_id=comment)
    status, refused = await decide(report, "marked_nsfw")
    assert (status, refused["field"]) == (422, "decision")
    assert (await decide(report, "none"))[1]["status"] == "dismissed"
    flagged = "SELECT is_flagged FROM comments WHERE id = $1"
    assert not await platform.owner.fetchval(flagged, comment)
    assert (await decide(await reported(bob, comment_id=comment), "removed"))[0] == 200
    listed = await bob.ok("GET", f"/creations/{creation}/comments")
    assert listed["comments"] == []
    assert await ann.refused("PATCH", f"/comments/{comment}", {"content": "Back"}) == (
        404,
        "comment_not_found",
    )
    assert (await decide(await reported(bob, creation_id=creation), "marked_nsfw"))[0] == 200
    assert (await bob.ok("GET", f"/creations/{creation}"))["is_nsfw"]

    status, refused = await decide(await reported(bob, user_id=moderators[1].id), "deactivated")
    assert (status, refused["code"]) == (403, "forbidden")
    assert (await decide(await reported(bob, user_id=ann.id), "deactivated"))[0] == 200
    assert await bob.refused("GET", f"/creations/{creation}") == (404, "creation_not_found")
    assert await bob.refused("PUT", f"/people/{ann.id}/follow", {}) == (404, "person_not_found")
    assert await platform.wrong_counters() == []


async def test_moderators_feature_creations(platform: Platform, moderators: list[Person]) -> None:
    (ann,) = await platform.people(1)
    tag = f"t{uuid4().hex[:8]}"
    creation = await ann.published("Lake", tags=[tag])
    path = f"/creations?featured=true&tag={tag}"
    assert await titles(platform, None, path) == []
    featured = f"/admin/creations/{creation}/featured"
    await moderators[0].ok("PUT", featured, {"is_featured": True})
    assert await titles(platform, None, path) == ["Lake"]
    await moderators[0].ok("PUT", featured, {"is_featured": False})
    assert await titles(platform, None, path) == []
    draft = f"/admin/creations/{await ann.draft()}/featured"
    refused = await moderators[0].refused("PUT", draft, {"is_featured": True})
    assert refused == (404, "creation_not_found")
