"""A person who is not active is hidden on every address, and disconnected."""

from typing import Any

import pytest

from tests.e2e.social.conftest import Person, Platform
from tests.e2e.social.test_feed import titles
from tests.faults.client_line import Line
from tests.fixtures.http import bearer

pytestmark = pytest.mark.xdist_group("social platform")

Shown = dict[str, bool]


async def shown(platform: Platform, ann: Person, eve: Person, creation: str, word: str) -> Shown:
    """Say where `eve` sees anything of `ann`, who wrote on a creation of hers."""
    found: Shown = {}
    for name, path, items in (
        ("profile", f"/profiles/{ann.id}", None),
        ("ties", f"/people/{ann.id}/ties", None),
        ("followers of her", f"/people/{ann.id}/followers", None),
        ("discovery", f"/people?q={word}", "people"),
        ("followers", f"/people/{eve.id}/followers", "people"),
        ("following", f"/people/{eve.id}/following", "people"),
        ("comments", f"/creations/{creation}/comments", "comments"),
        ("feed", "/feed", "creations"),
        ("list", f"/creations?user_id={ann.id}", "creations"),
        ("search", f"/search/creations?q={word}", "creations"),
        ("notifications", "/notifications", "groups"),
    ):
        status, answer = await eve.ask("GET", path)
        if items is None:
            found[name] = status == 200
        else:
            assert status == 200, (name, answer)
            key = next(iter(name for name in answer if isinstance(answer[name], list)))
            found[name] = any(ann.id in str(each) for each in answer[key])
    found["list of everybody"] = word in await titles(
        platform, None, f"/creations?user_id={ann.id}"
    )
    return found


async def test_a_person_who_deactivates_is_seen_nowhere_until_they_come_back(
    platform: Platform,
) -> None:
    ann, eve, new = await platform.people(3)
    word = f"zephyr{ann.id[:8]}"
    await ann.ok("PATCH", "/me", {"display_name": word})
    theirs = await eve.published()
    mine = await ann.published(word)
    await ann.ok("PUT", f"/people/{eve.id}/follow", {})
    await eve.ok("PUT", f"/people/{ann.id}/follow", {})
    await ann.comment(theirs)
    await ann.ok("PUT", f"/creations/{theirs}/like")
    everywhere = await shown(platform, ann, eve, theirs, word)
    assert all(everywhere.values()), everywhere
    before = len((await eve.ok("GET", "/notifications"))["groups"])

    async with Line(platform.node.websocket_url) as line, Line(platform.node.websocket_url) as late:
        await line.greet(ann.guest)
        await ann.ok("POST", "/me/deactivate")
        ended = await line.end()
        assert (ended.code, ended.reason) == (4106, "deactivated")
        answer = await late.call("session.hello", token=ann.guest.token)
        assert answer["code"] == "account_deactivated"
        assert (await late.end()).code == 4106
    nowhere = await shown(platform, ann, eve, theirs, word)
    assert not any(nowhere.values()), nowhere
    assert len((await eve.ok("GET", "/notifications"))["groups"]) < before
    assert await eve.refused("GET", f"/creations/{mine}") == (404, "creation_not_found")
    refused = await new.refused("PUT", f"/people/{ann.id}/follow", {})
    assert refused == (404, "person_not_found")
    for method, path, body in _own(mine):
        assert await ann.refused(method, path, body) == (403, "account_deactivated")
    refresh: dict[str, Any] = {"refresh_token": ann.guest.session["refresh_token"]}
    status, refusal = await platform.ask(None, "POST", "/auth/refresh", refresh)
    assert (status, refusal["code"]) == (403, "account_deactivated")
    body = {"access_token": ann.guest.token}
    assert await platform.ask(None, "POST", "/me/reactivate", body) == (200, {"user_id": ann.id})
    everywhere = await shown(platform, ann, eve, theirs, word)
    assert all(everywhere.values()), everywhere
    status, _ = await platform.ask(None, "POST", "/auth/refresh", refresh)
    assert status == 200
    assert await platform.wrong_counters() == []


def _own(creation: str) -> list[tuple[str, str, Any]]:
    return [
        ("GET", "/me", None),
        ("GET", "/feed", None),
        ("GET", "/notifications", None),
        ("PATCH", f"/creations/{creation}", {"title": "Mine"}),
        ("POST", "/me/deactivate", None),
    ]


async def test_the_name_of_a_person_who_is_not_active_stays_theirs(platform: Platform) -> None:
    ann, eve = await platform.people(2)
    username = (await ann.ok("GET", "/me"))["username"]
    await ann.ok("POST", "/me/deactivate")
    assert not (await eve.ok("GET", f"/profiles?username={username}"))["is_free"]


async def test_moderators_decision_closes_the_connections(platform: Platform) -> None:
    ann, eve, mod = await platform.people(3)
    platform.node.grant(mod.id, "moderator")
    report = await eve.ok("POST", "/reports", {"user_id": ann.id, "reason": "spam"})
    async with Line(platform.node.websocket_url) as line:
        await line.greet(ann.guest)
        path = f"/admin/reports/{report['report_id']}/decision"
        await mod.ok("POST", path, {"decision": "deactivated", "note": "Spam."})
        assert (await line.end()).reason == "deactivated"
    body = {"access_token": ann.guest.token}
    status, refusal = await platform.ask(None, "POST", "/me/reactivate", body)
    assert (status, refusal["code"]) == (403, "account_deactivated")
    async with platform.web.get("/v1/me", headers=bearer(ann.guest.token)) as answer:
        assert answer.status == 403
