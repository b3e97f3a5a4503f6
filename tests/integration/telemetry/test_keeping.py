"""How long events are kept, and that they come along with an export and go with the account."""

import asyncio
import io
import zipfile
from datetime import date, timedelta

import orjson

from server.domains.contract import Job
from tests.integration.telemetry.conftest import Json, Node, Serve

DAY = timedelta(days=1)
PARTITIONS = """
    SELECT c.relname::text AS name, c.relrowsecurity AND c.relforcerowsecurity AS is_secured,
        has_table_privilege('playhall_server', c.oid, 'SELECT, INSERT, UPDATE, DELETE')
            OR has_table_privilege('authenticated', c.oid, 'SELECT')
            OR has_table_privilege('service_role', c.oid, 'SELECT') AS is_open
    FROM pg_class c WHERE c.relnamespace = 'telemetry_days'::regnamespace AND c.relkind = 'r'
    ORDER BY 1
"""


async def partitions(node: Node) -> list[str]:
    return [row["name"] for row in await node.run(PARTITIONS)]


def _named(day: date) -> str:
    return f"d{day:%Y%m%d}"


async def _maintain(node: Node) -> None:
    """Do what the job of the domain does, and what retention does, once."""
    [domain] = [each for each in node.app.domains if each.name == "telemetry"]
    [job] = [each for each in domain.jobs if each.name == "telemetry maintenance"]
    assert isinstance(job, Job)
    await job.run.__self__.run_once()  # type: ignore[attr-defined]
    for sweep in node.app.retention.sweeps:
        await node.app.retention.clear_table(sweep)


async def test_partitions_are_made_ahead_secured_and_dropped_when_they_are_over(
    node: Node,
) -> None:
    ann = await node.person()
    today = node.clock.now().date()
    assert await partitions(node) == [_named(today + days * DAY) for days in range(-1, 4)]
    assert {(row["is_secured"], row["is_open"]) for row in await node.run(PARTITIONS)} == {
        (True, False)
    }
    old, new = node.step(ago=80 * DAY), node.step()
    await node.send(ann, old, new)
    node.clock.ahead = 9 * DAY
    await _maintain(node)
    assert await node.stored(ann) == sorted([old["event_id"], new["event_id"]])
    node.clock.ahead = 12 * DAY
    await asyncio.gather(*(_maintain(node) for _ in range(4)))  # as several nodes would
    assert await node.stored(ann) == [new["event_id"]]
    assert (await partitions(node))[0] == _named(today - DAY)
    assert (await partitions(node))[-1] == _named(today + 15 * DAY)


async def test_type_that_is_kept_for_less_is_deleted_among_the_others(node: Node) -> None:
    admin, ann = await node.person("admin"), await node.person()
    jump = {"event_type": "jump", "payload": {}}
    path = "/v1/admin/telemetry/schemas/jump/1"
    await node.ask(admin, "PUT", path, {"json_schema": {}, "kept_days": 2})
    ages = [timedelta(hours=hours) for hours in (0, 20, 30, 47)]
    jumps = [node.step(**jump, ago=ago)["event_id"] for ago in ages]
    steps = [node.step(ago=ago)["event_id"] for ago in ages]
    sent = [node.step(event_id=event_id, **jump) for event_id in jumps]
    await node.send(ann, *sent, *(node.step(event_id=event_id) for event_id in steps))
    for ahead, left in ((0, 4), (2, 3), (20, 2), (40, 1)):
        node.clock.ahead = timedelta(hours=ahead)
        await _maintain(node)
        assert await node.stored(ann) == sorted([*jumps[:left], *steps])
    node.clock.ahead = timedelta()
    await node.ask(admin, "PUT", path, {"json_schema": {}, "kept_days": 5})
    await node.send(ann, node.step(**jump, ago=4 * DAY))
    node.clock.ahead = 2 * DAY
    await _maintain(node)  # it was cleared up to a later time, but is kept for longer now
    assert await node.stored(ann) == sorted([jumps[0], *steps])


async def test_dead_letters_are_kept_for_a_while(serve: Serve) -> None:
    async with serve(dead_letters_kept_days=3) as node:
        ann = await node.person()
        await node.send(ann, node.step(payload={}), node.step(payload={}))
        await node.run(
            "UPDATE telemetry_dead_letters SET received_at = now() - interval '4 days'"
            " WHERE letter_id = (SELECT min(letter_id) FROM telemetry_dead_letters)"
        )
        await _maintain(node)
        assert len(await node.run("SELECT FROM telemetry_dead_letters")) == 1


async def test_export_has_all_of_it_and_erasure_leaves_nothing(node: Node) -> None:
    ann, bob = await node.person(), await node.person()
    for who in (ann, bob):
        consents = {"consents": {"personalization": True}}
        await node.ask(who, "PUT", "/v1/me/consents", consents)
        await node.send(who, node.step(session="of-ann"), node.step(payload={}))
        await node.send(who, node.step(ago=30 * DAY))
    async with node.http.get(
        "/v1/me/export", headers={"Authorization": f"Bearer {ann.token}"}
    ) as reply:
        archive = zipfile.ZipFile(io.BytesIO(await reply.read()))
    rows: dict[str, list[Json]] = {
        table: [orjson.loads(line) for line in archive.read(f"tables/{table}.jsonl").splitlines()]
        for table in ("telemetry_events", "telemetry_dead_letters", "consents")
    }
    assert sorted(row["event_id"] for row in rows["telemetry_events"]) == await node.stored(ann)
    assert {name: len(found) for name, found in rows.items()} == {
        "telemetry_events": 2,
        "telemetry_dead_letters": 1,
        "consents": 1,
    }
    assert {row["account_id"] for found in rows.values() for row in found} == {ann.user_id}

    late = [asyncio.create_task(node.send_raw(ann, node.step())) for _ in range(8)]
    _, me = await node.ask(ann, "GET", "/v1/me")
    status, _ = await node.ask(ann, "DELETE", "/v1/me", {"confirm": me["username"]})
    assert status == 200
    await asyncio.gather(*late)
    for table in ("telemetry_events", "telemetry_dead_letters", "consents", "telemetry_forwards"):
        left = await node.run(f"SELECT FROM {table} WHERE account_id = $1", ann.user_id)
        assert left == [], table
    assert len(await node.stored(bob)) == 2
