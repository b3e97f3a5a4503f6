"""What a client can send wrong to progression: each time a clear refusal, and nothing is lost.

What each domain refuses of its own is in `tests/integration`; here one of every kind, and what a
body can be beside JSON that fits, over HTTP to one running server.
"""

import asyncio
import gzip
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, NamedTuple

import aiohttp
import pytest

from protocol.ids import new_id
from tests.faults.client_line import Guest, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.telemetry.conftest import uuid7

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

pytestmark = pytest.mark.xdist_group("bad progression")

DEEP: Final = b"[" * 40 + b"]" * 40
LONG: Final = "k" * 300_000
SLOT: Final = "/v1/saves/@slot"
ITEMS: Final = f"{SLOT}/inventory"
PATCH: Final = f"{SLOT}?mutation_id={new_id()}&checksum=sha256:{'0' * 64}"
EDIT: Final = "/v1/admin"


@dataclass
class World:
    """A running server, a player with a slot, and an editor."""

    web: aiohttp.ClientSession
    player: Guest
    editor: Guest
    ids: dict[str, str] = field(default_factory=dict)

    async def ask(
        self, who: Guest, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        for name, value in self.ids.items():
            path = path.replace(f"@{name}", value)
            if isinstance(body, bytes):
                body = body.replace(b"@" + name.encode(), value.encode())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.web.request(
            method, path, headers={**bearer(who.token), **named}, **sent
        ) as answer:
            return answer.status, await answer.json()

    async def ok(self, who: Guest, method: str, path: str, body: Any = None, **headers: str) -> Any:
        status, answer = await self.ask(who, method, path, body, **headers)
        assert status == 200, answer
        return answer

    async def fingerprint(self) -> list[Any]:
        """Everything that a refused request could have changed."""
        read = (SLOT, f"{SLOT}/revisions", ITEMS, "/v1/ledger", f"{SLOT}/quests")
        return [
            *[await self.ok(self.player, "GET", path) for path in (*read, "/v1/me/consents")],
            *[await self.ok(self.editor, "GET", f"/v1/{path}") for path in ("items", "recipes")],
            await self.ok(self.editor, "GET", "/v1/content/packages"),
            await self.ok(self.editor, "GET", f"{EDIT}/telemetry/schemas"),
            await self.ok(self.editor, "GET", f"{EDIT}/quests/tale"),
        ]


@pytest.fixture(scope="module")
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    dsn = databases.create(template=TEMPLATE)
    with Node(tmp_path_factory.mktemp("node"), databases.serving_dsn(dsn)) as node:
        player, editor = await new_guests(node, 2)
        node.grant(editor.session["user_id"], "editor")
        async with aiohttp.ClientSession(node.url) as web:
            world = World(web, player, editor)
            await _furnish(world)
            yield world
    databases.drop(dsn)


async def _furnish(world: World) -> None:
    player, editor = world.player, world.editor
    for path, body in (
        ("items/iron", {"name": "Iron", "is_server_owned": False}),
        ("items/sword", {"name": "Sword"}),
        ("currencies/gold", {"name": "Gold", "scope": "account"}),
        (
            "recipes/forge",
            {"name": "F", "takes": {"items": {"iron": 2}}, "gives": {"items": {"sword": 1}}},
        ),
        ("quests/tale/secret", {"title": "S", "hidden": True, "required_flags": "flags.found"}),
        ("quests/tale/wolf", {"title": "W", "reward_bundle": {"currencies": {"gold": 5}}}),
    ):
        await world.ok(editor, "PUT", f"{EDIT}/{path}", body, If_Match="*")
    made = await world.ok(player, "POST", "/v1/saves", {"title": "tale", "state": {"a": 1}})
    world.ids["slot"], world.ids["mutation"] = made["slot_id"], new_id()
    written = {"state": {"a": 2}, "mutation_id": world.ids["mutation"]}
    await world.ok(player, "PUT", SLOT, written, If_Match='"1"')
    for verb in ("accept", "complete", "claim"):
        await world.ok(player, "POST", f"{SLOT}/quests/wolf/{verb}")
    await world.ok(player, "PUT", "/v1/me/consents", {"consents": {"analytics": False}})
    package = {
        "name": "story",
        "version": "2.0.0",
        "checksum": f"sha256:{sha256(b'two').hexdigest()}",
        "size": 3,
    }
    draft = await world.ok(editor, "POST", "/v1/content/packages", package)
    await world.ok(editor, "PUT", draft["url"], b"two")
    await world.ok(editor, "POST", f"/v1/content/packages/{draft['package_id']}/release")
    other = await world.ok(
        editor, "POST", "/v1/content/packages", {**package, "name": "song", "version": "1.0.0"}
    )
    world.ids["package"] = other["package_id"]


class Wrong(NamedTuple):
    """A request, and its refusal: the status, the code, the field, and words of the message."""

    method: str
    path: str
    body: object
    status: int
    code: str
    field: str | None = None
    said: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


def write(state: bytes, *, mutation: bytes = b"@new") -> bytes:
    return b'{"state": ' + state + b', "mutation_id": "' + mutation + b'"}'


def put(state: bytes, status: int, code: str, field: str | None, said: str, **more: str) -> Wrong:
    return Wrong("PUT", SLOT, write(state), status, code, field, said, {"If-Match": '"2"', **more})


def package(**fields: object) -> dict[str, object]:
    checksum = f"sha256:{sha256(b'x').hexdigest()}"
    return {"name": "story", "version": "3.0.0", "checksum": checksum, "size": 1, **fields}


def patch(operations: list[Any], field: str, said: str) -> Wrong:
    headers = {"If-Match": '"2"', "Content-Type": "application/json-patch+json"}
    return Wrong("PATCH", PATCH, operations, 422, "patch_refused", field, said, headers)


def coded(coding: str, body: bytes, status: int, code: str, said: str) -> Wrong:
    headers = {"If-Match": '"2"', "Content-Encoding": coding}
    return Wrong("PUT", SLOT, body, status, code, None, said, headers)


BOMB: Final = b'{"state": {"a": "' + b"x" * (64 << 20) + b'"}}'
WRONG: Final[dict[str, Wrong]] = {
    # revisions and mutations
    "no revision": Wrong(
        "PUT", SLOT, write(b"{}"), 428, "revision_required", "If-Match", "If-Match"
    ),
    "a revision that never was": Wrong(
        "PUT", SLOT, write(b"{}"), 412, "bad_revision", "If-Match", "", {"If-Match": '"99"'}
    ),
    "a mutation with other content": Wrong(
        "PUT",
        SLOT,
        write(b'{"a": 3}', mutation=b"@mutation"),
        409,
        "mutation_reused",
        "mutation_id",
        "",
        {"If-Match": '"1"'},
    ),
    # states
    "a state over the limit": put(
        b'{"a": "' + b"x" * (1 << 20) + b'"}', 413, "too_large", "state", "1048576"
    ),
    "a deep state": put(b'{"a": ' + DEEP + b"}", 422, "invalid_field", "state", "32"),
    "a NUL in a state": put(rb'{"a": "x\u0000"}', 422, "invalid_field", "state", "U+0000"),
    "a NUL in a key": put(rb'{"a\u0000": 1}', 422, "invalid_field", "state", "U+0000"),
    "a lone surrogate": put(rb'{"a": "\ud800"}', 400, "bad_frame", None, "surrogate"),
    "a number that is infinite": put(b'{"a": 1e400}', 400, "bad_frame", None, "number"),
    "NaN": put(b'{"a": NaN}', 400, "bad_frame", None, "JSON"),
    "a number beyond 64 bits": put(
        b'{"a": 18446744073709551617}', 400, "bad_frame", None, "send it as text"
    ),
    "2**63 + 1": put(
        b'{"a": 9223372036854775809}', 422, "invalid_field", "state", "send it as text"
    ),
    "a key twice": put(b'{"a": 1, "b": 2, "a": 3}', 400, "bad_frame", "a", "twice"),
    "a key twice, once escaped": put(rb'{"x:": 1, "x\u003a": 2}', 400, "bad_frame", "x:", "twice"),
    "a very long key": put(b'{"' + LONG.encode() + b'": 1}', 422, "invalid_field", "state", "256"),
    # bodies
    "a body that is no JSON": put(b"{", 400, "bad_frame", None, "JSON"),
    "a form": Wrong(
        "PUT",
        SLOT,
        b"state=1",
        400,
        "bad_frame",
        None,
        "application/json",
        {"If-Match": '"2"', "Content-Type": "application/x-www-form-urlencoded"},
    ),
    "a patch of another type": Wrong(
        "PATCH",
        PATCH,
        b"[]",
        422,
        "invalid_field",
        "Content-Type",
        "json-patch",
        {"If-Match": '"2"', "Content-Type": "text/plain"},
    ),
    "a patch with a key twice": Wrong(
        "PATCH",
        PATCH,
        b'[{"op": "add", "path": "/a", "path": "/b", "value": 1}]',
        400,
        "bad_frame",
        "path",
        "twice",
        {"If-Match": '"2"', "Content-Type": "application/json-patch+json"},
    ),
    "a patch of what is not there": patch(
        [{"op": "add", "path": "/b/-", "value": 1}], "0", "nowhere"
    ),
    "a patch with a test that fails": patch(
        [
            {"op": "add", "path": "/b", "value": 1},
            {"op": "test", "path": "/a", "value": 9},
        ],
        "1",
        "another",
    ),
    "a patch with an unknown operation": patch([{"op": "find", "path": "/a"}], "0.op", "replace"),
    "a gzip bomb": coded("gzip", gzip.compress(BOMB), 413, "too_large", "inflated"),
    "a zstd bomb": coded("zstd", zstd.compress(BOMB), 413, "too_large", "inflated"),
    "a bomb in a bomb": coded(
        "gzip, zstd",
        zstd.compress(gzip.compress(BOMB)),
        415,
        "unsupported_encoding",
        "gzip or zstd",
    ),
    "gzip that is none": coded("gzip", write(b"{}"), 400, "bad_frame", "not gzip"),
    "gzip that is called zstd": coded(
        "zstd", gzip.compress(write(b"{}")), 400, "bad_frame", "not zstd"
    ),
    "gzip that ends early": coded(
        "gzip", gzip.compress(write(b"{}"))[:-9], 400, "bad_frame", "whole"
    ),
    "another encoding": coded("br", b"x", 415, "unsupported_encoding", "gzip or zstd"),
    # the inventory
    "an unknown item": Wrong(
        "POST",
        f"{ITEMS}/collect",
        {"bundle": {"items": {"gone": 1}}, "key": new_id()},
        404,
        "asset_not_found",
        "gone",
        "/v1/items",
    ),
    "a quantity below zero": Wrong(
        "POST",
        f"{ITEMS}/collect",
        {"bundle": {"items": {"iron": -1}}, "key": new_id()},
        422,
        "invalid_field",
        "bundle.items.iron",
        "greater than or equal to 1",
    ),
    "a quantity beyond all bounds": Wrong(
        "POST",
        f"{ITEMS}/collect",
        b'{"bundle": {"items": {"iron": 9223372036854775808}}, "key": "@new"}',
        422,
        "invalid_field",
        "bundle.items.iron",
        "1000000000",
    ),
    "an item twice": Wrong(
        "POST",
        f"{ITEMS}/collect",
        b'{"bundle": {"items": {"iron": 1, "iron": 2}}, "key": "@new"}',
        400,
        "bad_frame",
        "iron",
        "twice",
    ),
    "an item whose name is none": Wrong(
        "POST",
        f"{ITEMS}/collect",
        {"bundle": {"items": {"IRON": 1}}, "key": new_id()},
        422,
        "invalid_field",
        "bundle.items.IRON",
        "a to z",
    ),
    "a bundle that is no object": Wrong(
        "POST",
        f"{ITEMS}/collect",
        {"bundle": [], "key": new_id()},
        422,
        "invalid_field",
        "bundle",
        "bundle: send a JSON object.",
    ),
    "crafting of nothing": Wrong(
        "POST",
        f"{ITEMS}/craft",
        {"recipe_id": "forge", "key": new_id()},
        409,
        "not_enough",
        "iron",
        "need 2",
    ),
    # quests
    "the reward of a hidden quest": Wrong(
        "POST", f"{SLOT}/quests/secret/claim", None, 404, "quest_not_found"
    ),
    "a condition that never ends": Wrong(
        "PUT",
        f"{EDIT}/quests/tale/loop",
        {"title": "L", "required_flags": "[1, 2].all(x, [1, 2].all(y, x < y))"},
        422,
        "condition_refused",
        "required_flags",
    ),
    "a step that is described with a NUL": Wrong(
        "PUT",
        f"{EDIT}/quests/tale/loop",
        {"title": "L", "steps": [{"kind": "report", "name": "a", "description": "\0"}]},
        422,
        "invalid_field",
        "steps.0.report.description",
        "control",
    ),
    "two steps of one name": Wrong(
        "PUT",
        f"{EDIT}/quests/tale/loop",
        {"title": "L", "steps": [{"kind": "report", "name": "a"}] * 2},
        422,
        "invalid_field",
        "steps",
        "steps: Give each step a name of its own.",
    ),
    "an event at the beginning of time": Wrong(
        "PUT",
        f"{EDIT}/events/tale/dawn",
        {"title": "D", "starts_at": "0001-01-01T00:00", "zone": "Asia/Tokyo", "duration_s": 60},
        422,
        "schedule_refused",
        "starts_at",
        "10 years",
    ),
    "an event at the end of time": Wrong(
        "PUT",
        f"{EDIT}/events/tale/dusk",
        {
            "title": "D",
            "starts_at": "9999-12-31T23:59",
            "zone": "America/Lima",
            "duration_s": 60,
        },
        422,
        "schedule_refused",
        "starts_at",
        "10 years",
    ),
    # telemetry
    "a schema that does not compile": Wrong(
        "PUT",
        f"{EDIT}/telemetry/schemas/jump/1",
        {"json_schema": {"type": "objekt"}},
        422,
        "invalid_field",
        "json_schema",
    ),
    "a report about a NUL": Wrong(
        "GET",
        f"{EDIT}/telemetry/reports/funnel?quest=%00",
        None,
        422,
        "invalid_field",
        "quest",
        "NUL",
    ),
    "a schema of events with a NUL": Wrong(
        "PUT",
        f"{EDIT}/telemetry/schemas/jump/1",
        {"json_schema": {"properties": {"\0": {}}}},
        422,
        "invalid_field",
        "json_schema",
        "NUL",
    ),
    "a batch with a key twice": Wrong(
        "POST",
        "/v1/telemetry",
        b'{"events": [], "events": [1]}',
        400,
        "bad_frame",
        "events",
        "twice",
    ),
    # save schemas
    "a save schema with a NUL": Wrong(
        "PUT",
        f"{EDIT}/save-schemas/tale/1",
        {"json_schema": {"title": "\0"}},
        422,
        "invalid_field",
        "json_schema",
        "NUL",
    ),
    "a rule for a NUL": Wrong(
        "PUT",
        f"{EDIT}/save-schemas/tale/1",
        {"json_schema": {}, "merge": {"/\0": "sum"}},
        422,
        "invalid_field",
        "merge",
        "NUL",
    ),
    "an upgrade with a NUL": Wrong(
        "PUT",
        f"{EDIT}/save-schemas/tale/1",
        {"json_schema": {}, "upgrade": [{"op": "add", "path": "/a", "value": ["\0"]}]},
        422,
        "invalid_field",
        "upgrade",
        "NUL",
    ),
    "a save schema that is nested too deeply": Wrong(
        "PUT",
        f"{EDIT}/save-schemas/tale/1",
        b'{"json_schema": ' + b'{"not": ' * 200 + b"{}" + b"}" * 200 + b"}",
        400,
        "bad_frame",
        None,
        "100 levels",
    ),
    # packages
    "a lower version": Wrong(
        "POST",
        "/v1/content/packages",
        package(version="1.0.0"),
        409,
        "version_too_low",
        "version",
        "2.0.0",
    ),
    "bytes with another checksum": Wrong(
        "PUT",
        "/v1/content/packages/@package/file",
        b"owt",
        422,
        "package_refused",
        "checksum",
        "sha256",
    ),
}


@pytest.mark.parametrize("name", WRONG)
async def test_wrong_request_is_refused_and_nothing_changes(world: World, name: str) -> None:
    wrong = WRONG[name]
    world.ids["new"] = new_id()
    before = await world.fingerprint()
    is_editors = wrong.path.startswith((EDIT, "/v1/content"))
    who = world.editor if is_editors else world.player
    headers = {key.replace("-", "_"): value for key, value in wrong.headers.items()}
    status, answer = await world.ask(who, wrong.method, wrong.path, wrong.body, **headers)
    assert (status, answer["code"], answer.get("field")) == (
        wrong.status,
        wrong.code,
        wrong.field,
    ), answer
    assert wrong.said in answer["message"]
    assert await world.fingerprint() == before


async def test_reward_that_is_claimed_again_at_once_is_given_once(world: World) -> None:
    before = await world.fingerprint()
    claims = [world.ok(world.player, "POST", f"{SLOT}/quests/wolf/claim") for _ in range(5)]
    assert {each["quest"]["status"] for each in await asyncio.gather(*claims)} == {"claimed"}
    assert await world.fingerprint() == before


async def test_wrong_events_are_refused_one_by_one(world: World) -> None:
    now = datetime.now(UTC)
    step = {"event_type": "quest_step", "payload": {"quest": "q", "step": "s", "order": 1}}
    sent = [
        {**step, "event_id": uuid7(now + timedelta(days=1))},
        {**step, "event_id": uuid7(now), "account_id": world.editor.session["user_id"]},
        {**step, "event_id": uuid7(now)},
    ]
    answer = await world.ok(world.player, "POST", "/v1/telemetry", {"events": sent})
    assert answer["accepted"] == 0
    assert [each["code"] for each in answer["refused"]] == [
        "in_the_future",
        "wrong_account",
        "no_consent",
    ]
