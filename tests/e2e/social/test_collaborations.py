"""Collaborators on a real node: invitations, roles, who may what, and who is there now."""

from typing import Any

import pytest

from tests.e2e.social.conftest import Person, Platform
from tests.faults.client_line import Line

pytestmark = pytest.mark.xdist_group("social platform")


async def name_of(person: Person) -> str:
    return str((await person.ok("GET", "/me"))["username"])


async def invite(ann: Person, bob: Person, creation: str, role: str = "editor") -> None:
    body = {"username": (await name_of(bob)).upper(), "role": role}
    await ann.ok("POST", f"/creations/{creation}/collaborators", body)


async def join(ann: Person, bob: Person, creation: str, role: str = "editor") -> None:
    await invite(ann, bob, creation, role)
    await bob.ok("POST", f"/me/collaborations/{creation}/accept")


async def invitations(person: Person) -> list[Any]:
    groups = (await person.ok("GET", "/notifications"))["groups"]
    return [group for group in groups if group["type"] == "collaboration_invited"]


async def test_invitation_allows_nothing_until_it_is_accepted(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.draft("A secret lake")
    await invite(ann, bob, creation)
    assert await bob.refused("GET", f"/creations/{creation}") == (404, "creation_not_found")
    [invited] = (await bob.ok("GET", "/me/collaborations"))["collaborations"]
    assert (invited["title"], invited["accepted_at"], invited["owner_id"]) == (None, None, ann.id)
    [told] = await invitations(bob)
    assert told["metadata"] == {"role": "editor"}
    assert told["creation_id"] == creation
    assert "secret lake" not in str(told)
    await bob.ok("POST", f"/me/collaborations/{creation}/accept")
    assert (await bob.ok("GET", f"/creations/{creation}"))["title"] == "A secret lake"
    [accepted] = (await bob.ok("GET", "/me/collaborations"))["collaborations"]
    assert accepted["title"] == "A secret lake"
    assert accepted["accepted_at"] is not None
    [listed] = (await bob.ok("GET", f"/creations/{creation}/collaborators"))["collaborators"]
    assert (listed["user_id"], listed["role"]) == (bob.id, "editor")


async def test_invitation_that_is_withdrawn_takes_its_notification_with_it(
    platform: Platform,
) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.draft()
    for _ in range(2):  # whoever is invited anew is told anew
        await invite(ann, bob, creation)
        assert len(await invitations(bob)) == 1
        await ann.ok("DELETE", f"/creations/{creation}/collaborators/{bob.id}")
        assert await invitations(bob) == []


async def test_editors_edit_the_draft_and_viewers_read_it(platform: Platform) -> None:
    ann, bob, eve = await platform.people(3)
    creation = await ann.draft()
    path = f"/creations/{creation}"
    await join(ann, bob, creation)
    await join(ann, eve, creation, "viewer")
    changed = await bob.ok("PATCH", path, {"title": "A sea", "tags": ["sea"], "seed": 4})
    assert (changed["title"], changed["tags"]) == ("A sea", ["sea"])
    for change in ({"is_public": True}, {"license": "CC0-1.0"}, {"allow_remix": True}):
        assert await bob.refused("PATCH", path, change) == (403, "forbidden")
    for method, where in (
        ("POST", "/publish"),
        ("DELETE", ""),
        ("POST", "/uploads"),
        ("GET", "/analytics"),
    ):
        body = {"size": 5, "content_type": "application/pdf"} if where == "/uploads" else None
        assert await bob.refused(method, f"{path}{where}", body) == (403, "forbidden")
    assert await eve.refused("PATCH", path, {"title": "Mine"}) == (403, "forbidden")
    assert (await eve.ok("GET", path))["title"] == "A sea"

    await ann.ok("PATCH", f"{path}/collaborators/{eve.id}", {"role": "editor"})
    await eve.ok("PATCH", path, {"title": "Ours"})
    await ann.ok("POST", f"{path}/publish")
    assert await bob.refused("PATCH", path, {"title": "Late"}) == (403, "forbidden")


async def test_who_may_invite_whom(platform: Platform) -> None:
    ann, bob, eve = await platform.people(3)
    creation = await ann.draft()
    path = f"/creations/{creation}/collaborators"
    await eve.ok("PUT", f"/people/{ann.id}/block")
    eves, bobs, anns = [{"username": await name_of(each)} for each in (eve, bob, ann)]
    assert await ann.refused("POST", path, eves) == (404, "person_not_found")
    assert await ann.refused("POST", path, anns) == (404, "person_not_found")
    assert await ann.refused("POST", path, {"username": "nobody-is-it"}) == (
        404,
        "person_not_found",
    )
    assert await bob.refused("POST", path, bobs) == (404, "creation_not_found")
    await join(ann, bob, creation)
    assert await ann.refused("POST", path, bobs) == (409, "collaborator_taken")
    assert await bob.refused("POST", path, bobs) == (403, "forbidden")
    assert await bob.refused("PATCH", f"{path}/{bob.id}", {"role": "viewer"}) == (403, "forbidden")
    assert await eve.refused("DELETE", f"{path}/{bob.id}") == (404, "collaborator_not_found")


async def test_removing_leaving_and_blocking_end_it(platform: Platform) -> None:
    ann, bob, eve, sue = await platform.people(4)
    creation = await ann.draft()
    path = f"/creations/{creation}"
    for each in (bob, eve, sue):
        await join(ann, each, creation)
    await ann.ok("DELETE", f"{path}/collaborators/{bob.id}")
    await eve.ok("DELETE", f"{path}/collaborators/{eve.id}")
    await sue.ok("PUT", f"/people/{ann.id}/block")
    for each in (bob, eve, sue):
        assert await each.refused("GET", path) == (404, "creation_not_found")
        assert (await each.ok("GET", "/me/collaborations"))["collaborations"] == []
    await sue.ok("DELETE", f"/people/{ann.id}/block")
    assert await sue.refused("GET", path) == (404, "creation_not_found")


async def test_collaborators_who_block_each_other_do_not_see_each_other(platform: Platform) -> None:
    ann, bob, eve, sue = await platform.people(4)
    creation = await ann.draft()
    for each in (bob, eve, sue):
        await join(ann, each, creation)
    await bob.ok("PUT", f"/people/{eve.id}/block")
    await sue.ok("POST", "/me/deactivate")

    async def listed(person: Person) -> set[str]:
        answer = await person.ok("GET", f"/creations/{creation}/collaborators")
        return {each["user_id"] for each in answer["collaborators"]}

    assert await listed(bob) == {bob.id}
    assert await listed(eve) == {eve.id}
    assert await listed(ann) == {bob.id, eve.id, sue.id}, "the owner must be able to remove them"
    url = platform.node.websocket_url
    async with Line(url) as anns, Line(url) as bobs, Line(url) as eves:
        for line, person in ((anns, ann), (bobs, bob), (eves, eve)):
            await line.greet(person.guest)
            await line.ok("creation.join", creation_id=creation)
        await read_until(anns, [(ann.id, None), (bob.id, None), (eve.id, None)])
        await read_until(bobs, [(ann.id, None), (bob.id, None)])
        await read_until(eves, [(ann.id, None), (eve.id, None)])
        await eves.ok("creation.focus", creation_id=creation, focus="title")
        await anns.ok("creation.focus", creation_id=creation, focus="tags")
        await read_until(bobs, [(ann.id, "tags"), (bob.id, None)])
        seen = [each for each in bobs.updates if each["type"] == "creation.presence"]
        assert eve.id not in {person["user_id"] for each in seen for person in each["people"]}


def present(line: Line) -> list[tuple[str, str | None]]:
    """Say whom a connection saw last, and what they have in hand."""
    shown: list[dict[str, Any]] = [
        each for each in line.updates if each["type"] == "creation.presence"
    ]
    return sorted((each["user_id"], each["focus"]) for each in shown[-1]["people"])


async def read_until(line: Line, expected: list[tuple[str, str | None]]) -> None:
    while not any(each["type"] == "creation.presence" for each in line.updates) or (
        present(line) != sorted(expected)
    ):
        await line.read()


async def test_who_is_there_is_seen_until_they_leave_or_are_removed(platform: Platform) -> None:
    ann, bob, eve = await platform.people(3)
    creation = await ann.draft()
    await join(ann, bob, creation)
    url = platform.node.websocket_url
    async with Line(url) as anns, Line(url) as bobs, Line(url) as eves:
        for line, person in ((anns, ann), (bobs, bob), (eves, eve)):
            await line.greet(person.guest)
        await anns.ok("creation.join", creation_id=creation, focus="title")
        await bobs.ok("creation.join", creation_id=creation)
        refused = await eves.call("creation.join", creation_id=creation)
        assert refused["code"] == "creation_not_found"
        refused = await eves.call("creation.focus", creation_id=creation, focus="x")
        assert refused["code"] == "forbidden"
        await read_until(anns, [(ann.id, "title"), (bob.id, None)])
        await bobs.ok("creation.focus", creation_id=creation, focus="tags")
        await read_until(anns, [(ann.id, "title"), (bob.id, "tags")])
        await ann.ok("DELETE", f"/creations/{creation}/collaborators/{bob.id}")
        await read_until(anns, [(ann.id, "title")])
        await read_until(bobs, [])
        refused = await bobs.call("creation.focus", creation_id=creation, focus="tags")
        assert refused["code"] == "forbidden"
