"""Consent: what people do not allow is not stored, and what they no longer allow is deleted."""

import asyncio

import pytest

from persistence.rls import Requester
from protocol.errors import Forbidden
from protocol.ids import SessionId, UserId
from tests.integration.telemetry.conftest import Json, Node, Person, Serve

DEFAULTS = {"analytics": True, "personalization": True, "sharing": False}


async def consents(node: Node, who: Person) -> dict[str, Json]:
    _, answer = await node.ask(who, "GET", "/v1/me/consents")
    return {each["purpose"]: each for each in answer["consents"]}


async def decide(node: Node, who: Person, **decided: bool) -> tuple[int, Json]:
    body = {"consents": decided, "policy_version": "2026-11"}
    return await node.ask(who, "PUT", "/v1/me/consents", body)


async def test_whoever_opts_out_is_forgotten_and_not_heard_until_they_opt_in(node: Node) -> None:
    ann, bob = await node.person(), await node.person()
    unknown = node.step(event_type="unheard_of")
    for who in (ann, bob):
        await node.send(who, node.step(), node.step(), unknown, node.step(payload={}))
    assert {name: each["granted"] for name, each in (await consents(node, ann)).items()} == DEFAULTS

    status, answer = await decide(node, ann, analytics=False)
    assert status == 200
    [analytics] = [each for each in answer["consents"] if each["purpose"] == "analytics"]
    assert analytics | {"recorded_at": ""} == {
        "purpose": "analytics",
        "granted": False,
        "version": 1,
        "source": "person",
        "policy_version": "2026-11",
        "recorded_at": "",
    }
    assert (await node.stored(ann), len(await node.stored(bob))) == ([], 2)
    letters = await node.run("SELECT DISTINCT account_id FROM telemetry_dead_letters")
    assert [row["account_id"] for row in letters] == [bob.user_id]

    answer = await node.send(ann, node.step(), unknown, node.step(payload={}))
    assert answer["accepted"] == 0
    assert {(each["code"], each["kept"]) for each in answer["refused"]} == {("no_consent", False)}
    assert (
        await node.run("SELECT FROM telemetry_dead_letters WHERE account_id = $1", ann.user_id)
        == []
    )

    await decide(node, ann, analytics=True)
    assert (await node.send(ann, node.step()))["accepted"] == 1


async def test_purposes_are_decided_one_by_one_and_every_decision_stays_on_record(
    node: Node,
) -> None:
    ann, bob = await node.person(), await node.person("admin")
    schema = {"json_schema": {}, "purpose": "personalization"}
    await node.ask(bob, "PUT", "/v1/admin/telemetry/schemas/taste/1", schema)
    taste = {"event_type": "taste", "payload": {"likes": "tea"}}
    await node.send(ann, node.step(), node.step(**taste))
    await decide(node, ann, personalization=False, analytics=True)
    assert len(await node.stored(ann)) == 1
    for _ in range(2):  # what changes nothing is not recorded again
        await decide(node, ann, analytics=True)
    await decide(node, ann, personalization=True)
    _, first = await node.ask(ann, "GET", "/v1/me/consents/history?limit=2")
    _, rest = await node.ask(ann, "GET", f"/v1/me/consents/history?limit=2&cursor={first['next']}")
    decisions = [
        (each["purpose"], each["version"], each["granted"])
        for each in first["decisions"] + rest["decisions"]
    ]
    assert decisions == [
        ("personalization", 2, True),
        ("personalization", 1, False),
        ("analytics", 1, True),
    ]
    assert rest["next"] is None
    assert (await node.ask(bob, "GET", "/v1/me/consents/history"))[1]["decisions"] == []


async def test_browser_that_refuses_sharing_refuses_it_for_the_account(node: Node) -> None:
    ann = await node.person()
    await decide(node, ann, sharing=True)
    answer = await node.send(ann, node.step(), Sec_GPC="1")
    assert answer["accepted"] == 1  # it is not shared, and may be counted
    sharing = (await consents(node, ann))["sharing"]
    assert (sharing["granted"], sharing["source"], sharing["version"]) == (False, "gpc", 2)
    await node.send(ann, node.step(), Sec_GPC="1")
    assert (await consents(node, ann))["sharing"]["version"] == 2
    body = {"consents": {"sharing": True}}
    status, answer = await node.ask(ann, "PUT", "/v1/me/consents", body, Sec_GPC="1")
    assert (status, answer["code"], answer["field"]) == (409, "sharing_refused", "consents.sharing")
    assert (await decide(node, ann, sharing=True))[0] == 200
    await node.send(ann, node.step(), Sec_GPC="0")
    assert (await consents(node, ann))["sharing"]["granted"]


async def test_where_analytics_needs_an_opt_in_nothing_is_stored_before(serve: Serve) -> None:
    async with serve(opt_in="analytics, sharing") as node:
        ann = await node.person()
        assert (await node.send(ann, node.step()))["refused"][0]["code"] == "no_consent"
        await decide(node, ann, analytics=True)
        assert (await node.send(ann, node.step()))["accepted"] == 1


async def test_nothing_is_stored_after_a_decision_however_they_race(node: Node) -> None:
    people = [await node.person() for _ in range(4)]
    for round_ in range(3):
        sending = [
            asyncio.create_task(node.send(who, *(node.step() for _ in range(20))))
            for who in people
            for _ in range(4)
        ]
        await asyncio.gather(*(decide(node, who, analytics=False) for who in people))
        at_decision = [await node.stored(who) for who in people]
        await asyncio.gather(*sending)
        assert [await node.stored(who) for who in people] == at_decision == [[]] * 4, round_
        await asyncio.gather(*(decide(node, who, analytics=True) for who in people))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"consents": {}},
        {"consents": {"selling": False}},
        {"consents": {"analytics": "no"}},
        {"consents": {"analytics": True}, "policy_version": "x" * 65},
    ],
)
async def test_decision_that_is_none_is_refused_by_its_field(node: Node, body: Json) -> None:
    status, answer = await node.ask(await node.person(), "PUT", "/v1/me/consents", body)
    assert (status, answer["code"]) == (422, "invalid_field")


async def test_nobody_decides_for_another_or_changes_what_was_decided(node: Node) -> None:
    ann, eve = await node.person(), await node.person()
    await node.send(ann, node.step())
    await decide(node, ann, sharing=True)
    as_eve = Requester(UserId(eve.user_id), SessionId(eve.user_id))
    rls = node.app.services.rls
    insert = (
        "INSERT INTO consents (account_id, purpose, is_granted) VALUES ($1, 'analytics', false)"
    )
    forged = (
        "INSERT INTO consents (account_id, purpose, is_granted, source)"
        " VALUES ($1, 'sharing', true, 'gpc')"
    )
    with pytest.raises(Forbidden):
        async with rls.as_user(as_eve) as connection:
            await connection.execute(insert, ann.user_id)
    with pytest.raises(Forbidden):
        async with rls.as_user(as_eve) as connection:
            await connection.execute(forged, eve.user_id)
    async with rls.as_user(as_eve) as connection:
        assert await connection.fetch("SELECT FROM consents") == []
        await connection.execute(insert, eve.user_id)
    for table in ("events", "dead_letters", "forwards", "types", "schemas", "targets"):
        with pytest.raises(Forbidden):
            async with rls.as_user(as_eve) as connection:
                await connection.fetch(f"SELECT FROM telemetry_{table}")
    with pytest.raises(Forbidden):
        async with rls.as_user(as_eve) as connection:
            await connection.execute("UPDATE consents SET is_granted = true")
    assert len(await node.stored(ann)) == 1
