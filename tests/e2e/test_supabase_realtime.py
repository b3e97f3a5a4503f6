"""`/realtime/v1` on a real node, in raw frames: who hears of which changes, broadcast, presence."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
import orjson
import psycopg
import pytest

from server.gateway.supabase_keys import make_api_key
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

SECRET: Final = "a secret of the tests, long enough to sign"
ANONYMOUS: Final = make_api_key(SECRET, "anon", issued_at=1_700_000_000)
SERVICE: Final = make_api_key(SECRET, "service_role", issued_at=1_700_000_000)
JSON: Final = {"Content-Type": "application/json"}
WAIT_S: Final = 5.0
# Longer than a node takes to look for changes and deliver them; what has not come by then does not.
SILENCE_S: Final = 0.4

OWN_SCHEMA: Final = """
CREATE SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO anon, authenticated;
CREATE TABLE shop.goods (id int PRIMARY KEY, owner uuid, name text, price numeric, hidden text,
    made timestamptz);
ALTER TABLE shop.goods ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.goods TO authenticated USING (owner = (SELECT auth.uid()));
CREATE POLICY cheap ON shop.goods FOR SELECT TO anon USING (price < 10);
GRANT SELECT (id, owner, name, price, made) ON shop.goods TO anon, authenticated;
GRANT INSERT, UPDATE, DELETE ON shop.goods TO authenticated;
CREATE TABLE shop.unkeyed (id int);
GRANT SELECT ON shop.unkeyed TO anon;
CREATE TABLE shop.open (a int, b int, note text, PRIMARY KEY (a, b)) PARTITION BY RANGE (a);
CREATE TABLE shop.open_part PARTITION OF shop.open DEFAULT;
GRANT SELECT ON shop.open TO anon, authenticated;
CREATE POLICY rooms ON playhall_realtime.messages FOR SELECT TO authenticated
    USING (playhall_realtime.topic() LIKE 'room-%');
CREATE POLICY own_room ON playhall_realtime.messages FOR INSERT TO authenticated
    WITH CHECK (topic = 'room-' || (SELECT auth.uid()) AND extension = 'broadcast');
"""


class Socket:
    """A client's connection, in either version of the protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, version: str) -> None:
        self.socket = socket
        self.version = version
        self.heard: list[dict[str, Any]] = []
        self._refs = itertools.count(1)

    async def send(self, topic: str, event: str, payload: object, *, join_ref: str = "1") -> str:
        ref = str(next(self._refs))
        if self.version == "2.0.0":
            await self.socket.send_str(
                orjson.dumps([join_ref, ref, topic, event, payload]).decode()
            )
        else:
            said = {"topic": topic, "event": event, "payload": payload, "ref": ref}
            await self.socket.send_str(orjson.dumps({**said, "join_ref": join_ref}).decode())
        return ref

    async def receive(self, timeout_s: float = WAIT_S) -> dict[str, Any]:
        said = await self.socket.receive(timeout_s)
        if said.type == aiohttp.WSMsgType.BINARY:
            return {"binary": said.data}
        assert said.type == aiohttp.WSMsgType.TEXT, said
        found = orjson.loads(said.data)
        if self.version == "2.0.0":
            return dict(zip(("join_ref", "ref", "topic", "event", "payload"), found, strict=True))
        return dict(found)

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            said = await self.receive()
            if wanted(said):
                return said
            self.heard.append(said)

    async def event(self, name: str) -> Any:
        return (await self.until(lambda said: said.get("event") == name))["payload"]

    async def silence(self) -> None:
        with suppress(TimeoutError):
            said = await self.receive(SILENCE_S)
            pytest.fail(f"there should be nothing, and was {said}")

    async def ask(self, topic: str, event: str, payload: object) -> tuple[str, Any]:
        ref = await self.send(topic, event, payload)
        said = await self.until(
            lambda said: said.get("event") == "phx_reply" and said["ref"] == ref
        )
        return said["payload"]["status"], said["payload"]["response"]

    async def join(self, topic: str, token: str | None = None, **config: Any) -> tuple[str, Any]:
        payload: dict[str, Any] = {"config": config}
        if token is not None:
            payload["access_token"] = token
        return await self.ask(f"realtime:{topic}", "phx_join", payload)

    async def follow(self, topic: str, token: str | None, *bindings: dict[str, Any]) -> list[int]:
        """Join for changes of tables; gives the bindings' ids."""
        status, said = await self.join(
            topic, token, postgres_changes=list(bindings), presence={"enabled": False}
        )
        assert status == "ok", said
        system = await self.event("system")
        assert (system["status"], system["message"]) == ("ok", "Subscribed to PostgreSQL"), system
        return [each["id"] for each in said["postgres_changes"]]

    async def change(self) -> dict[str, Any]:
        return dict(await self.event("postgres_changes"))


@pytest.fixture(scope="module")
def place(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Node, str]]:
    dsn = databases.create(template=TEMPLATE)
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute(OWN_SCHEMA)
    settings = {
        "supabase_api_secret": SECRET,
        "rest_schemas": "public,shop,nowhere",
        "realtime_tables": "creations,comments,shop.goods,shop.open,shop.unkeyed",
        "realtime_messages_per_s": 50,
        "realtime_channels_max": 5,
        "realtime_bindings_max": 10,
    }
    folder = tmp_path_factory.mktemp("node")
    with Node(folder, databases.serving_dsn(dsn), **settings) as node:
        yield node, dsn
    databases.drop(dsn)


@pytest.fixture
async def web(place: tuple[Node, str]) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(place[0].url) as client:
        yield client


@pytest.fixture
def owner(place: tuple[Node, str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(place[1], autocommit=True) as connection:
        yield connection
        connection.execute("DELETE FROM shop.goods; DELETE FROM shop.open")


@asynccontextmanager
async def connected(
    web: aiohttp.ClientSession, *, version: str = "1.0.0", key: str = ANONYMOUS
) -> AsyncIterator[Socket]:
    path = f"/realtime/v1/websocket?apikey={key}&vsn={version}"
    async with web.ws_connect(path) as socket:
        yield Socket(socket, version)


async def person(web: aiohttp.ClientSession, name: str) -> tuple[str, str]:
    async with web.post("/v1/auth/guest", json={"display_name": name}) as answer:
        session = await answer.json()
    return session["access_token"], session["user_id"]


def goods(number: int, owner: str | None, **more: Any) -> dict[str, Any]:
    return {"id": number, "owner": owner, "name": None, "price": None, "made": None, **more}


GOODS: Final = {"event": "*", "schema": "shop", "table": "goods"}


# ------------------------------------------------------------------ changes of tables


def test_what_cannot_be_exposed_or_published_is_named_with_its_setting(
    place: tuple[Node, str],
) -> None:
    printed = "\n".join(place[0].output)
    assert "PLAYHALL_REST_SCHEMAS: nothing of nowhere is exposed" in printed
    assert "PLAYHALL_REALTIME_TABLES: changes of shop.unkeyed are not published" in printed
    assert printed.count("PLAYHALL_REST_SCHEMAS") == 1


async def test_changes_come_to_who_may_read_the_row_and_to_nobody_else(
    web: aiohttp.ClientSession, owner: psycopg.Connection
) -> None:
    ann, ann_id = await person(web, "Ann")
    ben, _ = await person(web, "Ben")
    async with connected(web, version="2.0.0") as of_ann, connected(web) as of_ben:
        ids = await of_ann.follow("a", ann, GOODS, {**GOODS, "event": "INSERT"})
        bindings = [
            GOODS,
            *(
                {**GOODS, "filter": each}
                for each in (
                    f"owner=eq.{ann_id}",
                    "id=in.(1,2)",
                    "price=lt.100",
                    "id=gte.0",
                    "name=is.null",
                    "name=not.eq.x",
                    "id=neq.9",
                )
            ),
        ]
        await of_ben.follow("b", ben, *bindings)
        owner.execute(
            "INSERT INTO shop.goods (id, owner, price, hidden, made)"
            " VALUES (1, %s, 12.5, 'secret', '2026-01-02 03:04:05+00')",
            [ann_id],
        )
        said = await of_ann.change()
        assert sorted(said["ids"]) == sorted(ids)
        data = said["data"]
        assert data.pop("commit_timestamp")
        columns = {"id": "int4", "owner": "uuid", "name": "text", "price": "numeric"}
        assert data == {
            "schema": "shop",
            "table": "goods",
            "type": "INSERT",
            "columns": [
                {"name": name, "type": kind}
                for name, kind in {**columns, "made": "timestamptz"}.items()
            ],
            "record": goods(1, ann_id, price=12.5, made="2026-01-02T03:04:05+00:00"),
            "errors": None,
        }
        owner.execute("UPDATE shop.goods SET name = 'new' WHERE id = 1")
        changed = (await of_ann.change())["data"]
        assert (changed["record"]["name"], changed["old_record"]) == ("new", {"id": 1})
        owner.execute("UPDATE shop.goods SET owner = NULL WHERE id = 1")  # not hers any more
        owner.execute("UPDATE shop.goods SET owner = %s WHERE id = 1", [ann_id])
        assert (await of_ann.change())["data"]["record"]["owner"] == ann_id
        owner.execute("DELETE FROM shop.goods WHERE id = 1")
        deleted = (await of_ann.change())["data"]
        assert (deleted["type"], deleted["old_record"]) == ("DELETE", {"id": 1})
        assert "record" not in deleted
        await of_ann.silence()
        await of_ben.silence()


async def test_a_row_is_shown_as_the_policies_had_it_when_it_changed(
    web: aiohttp.ClientSession, owner: psycopg.Connection
) -> None:
    ann, ann_id = await person(web, "Ann")
    async with connected(web) as socket:
        await socket.follow("a", ann, GOODS)
        with owner.transaction():  # what is hers at the end was not, with what it said then
            owner.execute("INSERT INTO shop.goods (id, name) VALUES (1, 'not hers')")
            owner.execute("UPDATE shop.goods SET name = '', owner = %s", [ann_id])
        said = (await socket.change())["data"]
        assert (said["type"], said["record"]["name"]) == ("UPDATE", "")
        await socket.silence()


async def test_filters_choose_rows(web: aiohttp.ClientSession, owner: psycopg.Connection) -> None:
    filters = {
        "a=eq.1": {1}, "a=neq.1": {2, 3}, "a=in.(1,3)": {1, 3}, "a=lt.2": {1}, "a=lte.2": {1, 2},
        "a=gt.2": {3}, "a=gte.2": {2, 3}, "note=is.null": {3}, "note=not.is.null": {1, 2},
        'note=eq."x, (y)"': {2}, "note=isdistinct.one": {2, 3}, "a=not.in.(1,2)": {3},
        "a=gt.1,note=eq.one": set(),
    }  # fmt: skip
    opened = {"event": "INSERT", "schema": "shop", "table": "open"}
    found: dict[str, set[int]] = {each: set() for each in filters}
    names = list(filters)
    async with connected(web) as first, connected(web) as second:
        for socket, some in ((first, names[:7]), (second, names[7:])):
            ids = await socket.follow("f", None, *({**opened, "filter": each} for each in some))
            by_id = dict(zip(ids, some, strict=True))
            owner.execute("DELETE FROM shop.open")
            owner.execute(
                "INSERT INTO shop.open VALUES (1, 1, 'one'), (2, 1, 'x, (y)'), (3, 1, NULL)",
            )
            for _ in range(3):
                said = await socket.change()
                for number in said["ids"]:
                    found[by_id[number]].add(said["data"]["record"]["a"])
    assert found == filters


@pytest.mark.parametrize(
    "binding",
    [
        {"event": "*", "schema": "shop", "table": "hidden"},
        {"event": "*", "schema": "public", "table": "game_events"},
        {"event": "*", "schema": "playhall_auth", "table": "sessions"},
        {**GOODS, "filter": "hidden=eq.x"},
        {**GOODS, "filter": "id=eq.x"},
        {**GOODS, "filter": "id=fts.x"},
        {**GOODS, "filter": "id"},
        {**GOODS, "select": ["hidden"]},
        {**GOODS, "event": "TRUNCATE"},
        {"event": "*", "schema": "shop", "filter": "id=eq.1"},
    ],
)
async def test_what_cannot_be_subscribed_to_is_said(
    web: aiohttp.ClientSession, owner: psycopg.Connection, binding: dict[str, Any]
) -> None:
    async with connected(web) as socket:
        status, _ = await socket.join("x", postgres_changes=[GOODS, binding])
        system = await socket.event("system")
        assert (status, system["status"]) == ("ok", "error")
        assert system["message"].startswith("Unable to subscribe to changes")
        owner.execute("INSERT INTO shop.goods (id, price) VALUES (1, 1)")
        await socket.event("presence_state")
        await socket.silence()
        waiting = {"postgres_changes": [binding], "postgres_changes_options": {"wait": True}}
        status, said = await socket.join("y", **waiting)
        assert status == "error"
        assert said["reason"].startswith("RealtimeDisabledForConfiguration: ")


async def test_bindings_can_have_columns_whole_schemas_and_composite_keys(
    web: aiohttp.ClientSession, owner: psycopg.Connection
) -> None:
    async with connected(web) as socket, connected(web, key=SERVICE) as service:
        await socket.follow(
            "s", None, {"event": "*", "schema": "shop"}, {**GOODS, "select": ["price"]}
        )
        await service.follow("s", None, GOODS)
        owner.execute("INSERT INTO shop.goods (id, price, hidden) VALUES (1, 1, 'h'), (2, 11, 'h')")
        whole, some = [(await socket.change())["data"]["record"] for _ in range(2)]
        assert sorted((len(whole), len(some))) == [2, 5]
        for number in (1, 2):
            record = (await service.change())["data"]["record"]
            assert (record["id"], record["hidden"]) == (number, "h")
        owner.execute("INSERT INTO shop.open VALUES (1, 2, 'x'); DELETE FROM shop.open")
        await socket.change()
        assert (await socket.change())["data"]["old_record"] == {"a": 1, "b": 2}
        owner.execute("INSERT INTO shop.open VALUES (1, 2, repeat('x', 70000))")
        cut = (await socket.change())["data"]
        assert (cut["record"], cut["errors"]) == (
            {"a": 1, "b": 2},
            ["Error 413: Payload Too Large"],
        )


async def test_many_changes_of_one_transaction_come_in_order(
    web: aiohttp.ClientSession, owner: psycopg.Connection
) -> None:
    async with connected(web) as socket:
        await socket.follow("m", None, {"event": "INSERT", "schema": "shop", "table": "open"})
        owner.execute("INSERT INTO shop.open SELECT n, n FROM generate_series(1, 1200) n")
        assert [(await socket.change())["data"]["record"]["a"] for _ in range(1200)] == list(
            range(1, 1201)
        )


async def test_a_transaction_that_commits_late_is_not_forgotten(
    web: aiohttp.ClientSession, owner: psycopg.Connection, place: tuple[Node, str]
) -> None:
    async with connected(web) as socket:
        await socket.follow("m", None, {"event": "INSERT", "schema": "shop", "table": "open"})
        with psycopg.connect(place[1]) as slow:
            slow.execute("INSERT INTO shop.open VALUES (1, 1)")
            owner.execute("INSERT INTO shop.open VALUES (2, 2)")
            assert (await socket.change())["data"]["record"]["a"] == 2
            slow.commit()
        assert (await socket.change())["data"]["record"]["a"] == 1
        await socket.silence()


# ------------------------------------------------------------------ tokens and sessions


async def test_a_channel_ends_with_its_session_and_a_new_token_changes_who_reads(
    web: aiohttp.ClientSession, owner: psycopg.Connection
) -> None:
    ann, ann_id = await person(web, "Ann")
    async with connected(web) as socket:
        await socket.follow("a", None, GOODS)
        owner.execute("INSERT INTO shop.goods (id, owner) VALUES (1, %s)", [ann_id])
        await socket.silence()
        await socket.send("realtime:a", "access_token", {"access_token": ann})
        assert await socket.ask("phoenix", "heartbeat", {}) == ("ok", {})
        owner.execute("UPDATE shop.goods SET name = 'x'")
        assert (await socket.change())["data"]["record"]["owner"] == ann_id
        async with web.post("/v1/auth/logout", headers=bearer(ann)) as answer:
            assert answer.status in (200, 204)
        assert (await socket.event("system"))["status"] == "error"
        await socket.event("phx_close")
        owner.execute("UPDATE shop.goods SET name = 'y'")
        await socket.silence()
        status, said = await socket.join("a", ann)
        assert (status, said["reason"][:12]) == ("error", "Unauthorized")


async def test_wrong_tokens_and_keys_are_refused(web: aiohttp.ClientSession) -> None:
    async with connected(web) as socket:
        for token in ("nonsense", "e30.e30.e30"):
            status, said = await socket.join("a", token)
            assert (status, said["reason"][:12]) == ("error", "Unauthorized")
        await socket.follow("a", None, GOODS)
        await socket.send("realtime:a", "access_token", {"access_token": "nonsense"})
        assert "Unauthorized" in (await socket.event("system"))["message"]
        await socket.event("phx_close")
    for query in ("", "apikey=nonsense", f"apikey={ANONYMOUS}&vsn=3.0.0"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await web.ws_connect(f"/realtime/v1/websocket?{query}")
        assert refused.value.status == (400 if "vsn" in query else 401)


# ------------------------------------------------------------------ broadcast and presence


def broadcast(event: str, payload: Any) -> dict[str, Any]:
    return {"type": "broadcast", "event": event, "payload": payload}


async def test_broadcasts_reach_the_others_in_both_versions(web: aiohttp.ClientSession) -> None:
    async with connected(web) as first, connected(web, version="2.0.0") as second:
        await first.join("r", broadcast={"ack": True}, presence={"enabled": False})
        await second.join("r", broadcast={"self": True}, presence={"enabled": False})
        asked = await first.ask("realtime:r", "broadcast", broadcast("cursor", {"x": 1}))
        assert asked == ("ok", {})
        assert await second.event("broadcast") == broadcast("cursor", {"x": 1})
        head = bytes((3, 1, 1, 10, 3, 0))
        await second.socket.send_bytes(head + b"\x01" + b"12realtime:rpos" + b'{"y":2}')
        assert await first.event("broadcast") == broadcast("pos", {"y": 2})
        assert await second.event("broadcast") == broadcast("pos", {"y": 2})
        await second.socket.send_bytes(head + b"\x00" + b"12realtime:rpos" + b"\xff\x00")
        assert (await second.receive())["binary"] == b"\x04\x0a\x03\x00\x00realtime:rpos\xff\x00"
        message = {"topic": "r", "event": "e", "payload": {"z": 3}}
        headers = {"apikey": ANONYMOUS}
        path = "/realtime/v1/api/broadcast"
        async with web.post(path, json={"messages": [message]}, headers=headers) as answer:
            assert answer.status == 202
        async with web.post(f"{path}/r/events/e", json={"z": 3}, headers=headers) as answer:
            assert answer.status == 202
        for _ in range(2):
            assert await first.event("broadcast") == broadcast("e", {"z": 3})
            assert await second.event("broadcast") == broadcast("e", {"z": 3})
        nul = {"topic": "a\0", "event": "e", "payload": {}, "private": True}
        for wrong in (
            *({}, {"messages": []}, {"messages": [{"topic": "r"}]}, [1]),
            {"messages": [nul]},
        ):
            async with web.post(path, json=wrong, headers=headers) as answer:
                assert answer.status == 422
        deep = b"[" * 200 + b"1" + b"]" * 200
        listed = b'{"messages":[{"topic":"r","event":"e","payload":%b}]}' % deep
        for wrong_path, body in ((path, listed), (f"{path}/r/events/e", deep)):
            async with web.post(wrong_path, data=body, headers=headers | JSON) as answer:
                assert answer.status == 422
        async with web.post(path, json={"messages": [message]}) as answer:
            assert answer.status == 401
        await first.silence()


async def test_broadcasts_over_http_are_counted_each(web: aiohttp.ClientSession) -> None:
    ann, _ = await person(web, "Ann")
    headers = {"apikey": ANONYMOUS, **bearer(ann)}
    message = {"topic": "r", "event": "e", "payload": {}}
    statuses = []
    for _ in range(2):
        async with web.post(
            "/realtime/v1/api/broadcast", json={"messages": [message] * 80}, headers=headers
        ) as answer:
            statuses.append(answer.status)
    assert statuses == [202, 429]


async def test_private_channels_are_closed_unless_a_policy_opens_them(
    web: aiohttp.ClientSession,
) -> None:
    ann, ann_id = await person(web, "Ann")
    ben, _ = await person(web, "Ben")
    room = f"room-{ann_id}"
    async with connected(web) as of_ann, connected(web) as of_ben:
        for token, topic in ((None, room), (ann, "other")):
            status, said = await of_ann.join(topic, token, private=True)
            assert status == "error"
            assert said["reason"].startswith("Unauthorized: You do not have permissions to read")
        acknowledged = {"private": True, "broadcast": {"ack": True}}
        for socket, token in ((of_ann, ann), (of_ben, ben)):
            assert (await socket.join(room, token, **acknowledged))[0] == "ok"
            await socket.event("presence_state")
        refused = await of_ben.ask(f"realtime:{room}", "broadcast", broadcast("e", {}))
        assert refused[0] == "error"
        assert (await of_ann.ask(f"realtime:{room}", "presence", {"event": "track"}))[0] == "error"
        sent = await of_ann.ask(f"realtime:{room}", "broadcast", broadcast("e", {"n": 1}))
        assert sent == ("ok", {})
        assert await of_ben.event("broadcast") == broadcast("e", {"n": 1})
        message = {"topic": room, "event": "e", "payload": {}, "private": True}
        path = "/realtime/v1/api/broadcast"
        for token, expected in ((ben, 403), (ann, 202)):
            headers = {"apikey": ANONYMOUS, **bearer(token)}
            async with web.post(path, json={"messages": [message]}, headers=headers) as answer:
                assert answer.status == expected
        assert await of_ben.event("broadcast") == broadcast("e", {})
        # The public channel of the same name is another one.
        async with connected(web) as public:
            await public.join(room, presence={"enabled": False})
            await public.send(f"realtime:{room}", "broadcast", broadcast("e", {"n": 2}))
            await of_ben.silence()


async def test_policies_that_fail_give_no_rights(
    web: aiohttp.ClientSession, owner: psycopg.Connection
) -> None:
    ann, ann_id = await person(web, "Ann")
    room = f"room-{ann_id}"
    message = {"topic": room, "event": "e", "payload": {}, "private": True}
    owner.execute(
        "CREATE POLICY fails ON playhall_realtime.messages TO authenticated"
        " USING (EXISTS (SELECT FROM playhall_realtime.changes))"
    )
    try:
        async with connected(web) as socket:
            status, said = await socket.join(room, ann, private=True)
            assert (status, said["reason"][:12]) == ("error", "Unauthorized")
            assert (await socket.join("public"))[0] == "ok"
            async with web.post(
                "/realtime/v1/api/broadcast",
                json={"messages": [message]},
                headers={"apikey": ANONYMOUS, **bearer(ann)},
            ) as answer:
                assert answer.status == 403
    finally:
        owner.execute("DROP POLICY fails ON playhall_realtime.messages")


async def test_presence_is_tracked_changed_and_ends(web: aiohttp.ClientSession) -> None:
    async with connected(web, version="2.0.0") as first:
        assert (await first.join("p", presence={"key": "ann", "enabled": True}))[0] == "ok"
        assert await first.event("presence_state") == {}
        async with connected(web) as second:
            await second.join("p", presence={"key": "ben", "enabled": True})
            assert await second.event("presence_state") == {}
            track = {"type": "presence", "event": "track", "payload": {"mood": "glad"}}
            assert (await second.ask("realtime:p", "presence", track))[0] == "ok"
            joined = (await first.event("presence_diff"))["joins"]["ben"]["metas"]
            assert [each["mood"] for each in joined] == ["glad"]
            track["payload"] = {"mood": "calm"}
            await second.ask("realtime:p", "presence", track)
            diff = await first.event("presence_diff")
            assert diff["joins"]["ben"]["metas"][0]["phx_ref_prev"] == joined[0]["phx_ref"]
            assert diff["leaves"]["ben"]["metas"] == joined
            async with connected(web) as third:
                await third.join("p")
                state = await third.event("presence_state")
                assert [each["mood"] for each in state["ben"]["metas"]] == ["calm"]
                await third.ask("realtime:p", "presence", track)
                await third.ask("realtime:p", "presence", {"event": "untrack"})
                assert (await third.ask("realtime:p", "presence", {"event": "x"}))[0] == "error"
            for name in ("joins", "leaves"):
                assert (await first.event("presence_diff"))[name] != {}
        left = await first.event("presence_diff")
        assert (left["joins"], list(left["leaves"])) == ({}, ["ben"])


# ------------------------------------------------------------------ bounds and bad messages


async def test_joins_that_cannot_be_are_answered(web: aiohttp.ClientSession) -> None:
    async with connected(web) as socket:
        for topic, reason in (
            ("realtime:", "TopicNameRequired: You must provide a topic name"),
            ("room", "unmatched topic"),
            (f"realtime:{'x' * 255}", "InvalidTopic: at most 255 characters"),
            ("realtime:nul\0", "InvalidTopic: remove NUL characters (U+0000)"),
        ):
            assert await socket.ask(topic, "phx_join", {}) == ("error", {"reason": reason})
        assert await socket.ask("realtime:a", "broadcast", {}) == (
            "error",
            {"reason": "unmatched topic"},
        )
        status, _ = await socket.join("a", postgres_changes="x")
        assert status == "error"
        assert (await socket.join("a", postgres_changes=[GOODS] * 11))[0] == "error"
        for number in range(5):
            assert (await socket.join(f"t{number}", presence={"enabled": False}))[0] == "ok"
        assert await socket.join("t5") == (
            "error",
            {"reason": "ChannelRateLimitReached: Too many channels"},
        )
        # To join again closes the channel that there was; so there is room for another one.
        assert (await socket.join("t0", presence={"enabled": False}))[0] == "ok"
        assert [each["event"] for each in socket.heard[-1:]] == ["phx_close"]
        assert (await socket.ask("realtime:t0", "phx_leave", {}))[0] == "ok"
        await socket.event("phx_close")
        assert (await socket.join("t5", presence={"enabled": False}))[0] == "ok"


@pytest.mark.parametrize(
    "message", ["", "[]", "1", "null", '{"topic": 1}', '{"topic":"a","event":"b","payload":1}']
)
async def test_what_is_no_message_ends_the_connection(
    web: aiohttp.ClientSession, message: str
) -> None:
    for version in ("1.0.0", "2.0.0"):
        async with connected(web, version=version) as socket:
            await socket.socket.send_str(message)
            said = await socket.socket.receive(WAIT_S)
            assert (said.type, said.data) == (aiohttp.WSMsgType.CLOSE, 1008)
            async with connected(web, version=version) as again:
                await again.socket.send_bytes(b"\x03" + message.encode())
                assert (await again.socket.receive(WAIT_S)).type == aiohttp.WSMsgType.CLOSE


async def test_too_many_messages_close_the_channel(web: aiohttp.ClientSession) -> None:
    async with connected(web) as socket:
        await socket.join("f", presence={"enabled": False})
        for _ in range(150):
            await socket.send("realtime:f", "broadcast", broadcast("e", {}))
        assert (await socket.event("system"))["message"] == "Too many messages per second"
        await socket.event("phx_close")


async def test_a_connection_that_is_gone_leaves_nothing(
    web: aiohttp.ClientSession, owner: psycopg.Connection
) -> None:
    async with connected(web) as socket:
        await socket.follow("a", None, GOODS)
    names = ("connections", "channels", "subscriptions")
    for _ in range(50):
        async with web.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        if all(f"playhall_realtime_{name} 0.0" in lines for name in names):
            return
        await asyncio.sleep(0.05)
    pytest.fail("something of the connection is still there")
