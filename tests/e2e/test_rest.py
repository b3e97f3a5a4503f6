"""`/rest/v1` on a real node: the Supabase client's requests, and whose rows they show."""

import itertools
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import orjson
import psycopg
import pytest
from yarl import URL

from server.gateway.supabase_keys import make_api_key
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

SECRET: Final = "a secret of the tests, long enough to sign"
ANONYMOUS: Final = make_api_key(SECRET, "anon", issued_at=1_700_000_000)
SERVICE: Final = make_api_key(SECRET, "service_role", issued_at=1_700_000_000)
SERVICE_LOGIN: Final = f"rest_service_{uuid4().hex}"
ORIGIN: Final = "https://app.example"
MARK: Final = "only-for-ann"

# An application's own schema, as a project brings it: with rights, functions and no policies.
OWN_SCHEMA: Final = """
CREATE SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO anon, authenticated, service_role;
CREATE TABLE shop.shelves (id int PRIMARY KEY, name varchar(10) DEFAULT 'plain', spot jsonb);
CREATE TABLE shop.goods (id int PRIMARY KEY, shelf int REFERENCES shop.shelves, price numeric(8,2),
    made date, labels text[] DEFAULT '{}');
CREATE TABLE shop.hidden (id int PRIMARY KEY);
GRANT ALL ON shop.shelves, shop.goods TO anon, authenticated, service_role;
INSERT INTO shop.shelves VALUES (1, 'top', '{"row": {"at": [3, 4]}}'), (2, 'bottom', NULL);
INSERT INTO shop.goods VALUES (1, 1, 9.50, '2026-01-02', '{new,red}'),
    (2, 1, 3, '2026-02-03', '{}'), (3, NULL, 12.25, NULL, '{"a,b"}');
CREATE VIEW shop.cheap AS SELECT id, shelf, price FROM shop.goods WHERE price < 10;
GRANT SELECT ON shop.cheap TO anon, authenticated;
CREATE FUNCTION shop.label(shop.goods) RETURNS text LANGUAGE sql STABLE
    AS $$ SELECT 'no. ' || $1.id $$;
CREATE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql AS $$ SELECT a + b $$;
CREATE FUNCTION shop.empty_shelf(p_id int) RETURNS SETOF shop.goods LANGUAGE sql
    AS $$ UPDATE shop.goods SET shelf = NULL WHERE shelf = p_id RETURNING * $$;
CREATE FUNCTION shop.refuse() RETURNS void LANGUAGE plpgsql
    AS $$ BEGIN
        RAISE SQLSTATE 'PT402' USING MESSAGE = 'Pay first', DETAIL = 'all', HINT = 'pay';
    END $$;
CREATE FUNCTION shop.slow() RETURNS bigint LANGUAGE sql
    AS $$ SELECT count(*) FROM generate_series(1, 1e12) $$;
"""


@dataclass
class Rest:
    """Somebody's client."""

    web: aiohttp.ClientSession
    key: str
    token: str = ""

    async def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        given = {"apikey": self.key, **bearer(self.token or self.key)}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.web.request(method, f"/rest/v1/{path}", json=body, headers=given) as answer:
            is_json = "json" in answer.headers.get("Content-Type", "")
            said = await answer.json(content_type=None) if is_json and method != "HEAD" else None
            return answer.status, said, dict(answer.headers)

    async def rows(self, path: str, **headers: str) -> Any:
        status, said, _ = await self.ask("GET", path, **headers)
        assert status in (200, 206), said
        return said

    async def shop(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        profile = {"Accept_Profile": "shop", "Content_Profile": "shop"}
        return await self.ask(method, path, body, **profile, **headers)


def _with_login(dsn: str, login: str) -> str:
    parts = urlsplit(dsn)
    return parts._replace(netloc=f"{login}@{parts.hostname or ''}").geturl()


@pytest.fixture(scope="module")
def place(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Node, str]]:
    dsn = databases.create(template=TEMPLATE)
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute(OWN_SCHEMA)
        owner.execute(f"CREATE ROLE {SERVICE_LOGIN} LOGIN IN ROLE service_role")
    folder = tmp_path_factory.mktemp("node")
    settings = {
        "supabase_api_secret": SECRET,
        "rest_schemas": "public,shop",
        "rest_service_database_url": _with_login(dsn, SERVICE_LOGIN),
        "rest_anonymous_timeout_s": 1,
        "rest_requests_burst": 10_000,
        "origins": ORIGIN,
    }
    with Node(folder, databases.serving_dsn(dsn), **settings) as node:
        yield node, dsn
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute(f"DROP ROLE {SERVICE_LOGIN}")
    databases.drop(dsn)


@pytest.fixture
async def web(place: tuple[Node, str]) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(place[0].url) as client:
        yield client


@pytest.fixture
def anyone(web: aiohttp.ClientSession) -> Rest:
    return Rest(web, ANONYMOUS)


async def person(web: aiohttp.ClientSession, name: str) -> tuple[Rest, str]:
    async with web.post("/v1/auth/guest", json={"display_name": name}) as answer:
        session = await answer.json()
    return Rest(web, ANONYMOUS, session["access_token"]), session["user_id"]


# ------------------------------------------------------------------ the seed's calls


async def test_the_calls_of_a_supabase_project_work(
    web: aiohttp.ClientSession, anyone: Rest
) -> None:
    ann, ann_id = await person(web, "Ann")
    _, profile, _ = await ann.ask(
        "GET", f"profiles?select=*&id=eq.{ann_id}", Accept="application/vnd.pgrst.object+json"
    )
    assert (profile["id"], profile["display_name"]) == (ann_id, "Ann")
    luminor = (await anyone.rows("luminors?select=id,name&order=name&limit=1"))[0]["id"]
    given = {"p_user_id": ann_id, "p_luminor_id": luminor, "p_session_id": "s1"}
    status, conversation, _ = await ann.ask("POST", "rpc/get_or_create_conversation", given)
    assert status == 200, conversation
    again = await ann.ask("POST", "rpc/get_or_create_conversation", given)
    assert again[1] == conversation
    listed = await ann.rows("luminor_conversations?select=id,user_id,luminors(name)")
    assert [(each["id"], each["user_id"]) for each in listed] == [(conversation, ann_id)]
    assert listed[0]["luminors"]["name"]
    search = {"p_query": "dragon", "p_type": "image", "p_limit": 20, "p_offset": 0}
    status, creations, _ = await anyone.ask("POST", "rpc/search_creations", search)
    assert (status, creations) == (200, [])


# ------------------------------------------------------------------ reading


async def test_rows_are_filtered_shaped_ordered_and_counted(anyone: Rest) -> None:
    ask = anyone.shop
    _, goods, headers = await ask(
        "GET",
        "goods?select=id,cost:price::text,label,shelves(name,at:spot->row->at->>0)&order=price.desc"
        "&or=(price.gt.9,labels.cs.{red})",
        Prefer="count=exact",
    )
    assert goods == [
        {"id": 3, "cost": "12.25", "label": "no. 3", "shelves": None},
        {"id": 1, "cost": "9.50", "label": "no. 1", "shelves": {"name": "top", "at": "3"}},
    ]
    assert headers["Content-Range"] == "0-1/2"
    _, shelves, _ = await ask(
        "GET", "shelves?select=name,goods(id),all:goods(count)&goods.order=id.desc&goods.limit=1"
    )
    assert shelves == [
        {"name": "top", "goods": [{"id": 2}], "all": [{"count": 2}]},
        {"name": "bottom", "goods": [], "all": [{"count": 0}]},
    ]
    _, inner, headers = await ask(
        "GET", "shelves?select=name,goods!inner()&goods.price=gt.5", Prefer="count=exact"
    )
    assert (inner, headers["Content-Range"]) == ([{"name": "top"}], "0-0/1")
    _, spread, _ = await ask("GET", "goods?select=id,...shelves(name)&shelves=not.is.null&order=id")
    assert spread == [{"id": 1, "name": "top"}, {"id": 2, "name": "top"}]
    _, by_shelf, _ = await ask("GET", "goods?select=shelf,price.sum()&order=shelf.nullsfirst")
    assert by_shelf == [{"shelf": None, "sum": 12.25}, {"shelf": 1, "sum": 12.5}]
    _, cheap, _ = await ask("GET", "cheap?select=id,shelves(name)&id=in.(1,3)")
    assert cheap == [{"id": 1, "shelves": {"name": "top"}}]
    _, sorted_by, _ = await ask(
        "GET", "goods?select=id,shelves()&order=shelves(name).desc.nullslast,id.desc"
    )
    assert [each["id"] for each in sorted_by] == [2, 1, 3]


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ("price=gte.9.5", [1, 3]),
        ("price=lt.9.5", [2]),
        ("price=not.eq.3", [1, 3]),
        ("id=neq.2", [1, 3]),
        ("made=is.null", [3]),
        ("made=not.is.null&id=gt.1", [2]),
        ("labels=cs.{new}", [1]),
        ("labels=cd.{new,red,blue}", [1, 2]),
        ("labels=ov.{red,x}", [1]),
        ("id=in.(1,2)", [1, 2]),
        ("labels=eq.{}", [2]),
        ("and=(id.gt.1,or(price.eq.3,made.is.null))", [2, 3]),
        ("not.or=(id.eq.1,id.eq.2)", [3]),
        ("shelf=isdistinct.1", [3]),
        ("id=eq(any).{1,3}", [1, 3]),
        ("label=like.*1", [1]),
        ("label=ilike.NO*&label=match.[12]$", [1, 2]),
        ("label=fts(simple).no&id=lte.2", [1, 2]),
    ],
)
async def test_each_filter_finds_its_rows(anyone: Rest, filters: str, ids: list[int]) -> None:
    status, found, _ = await anyone.shop("GET", f"goods?select=id&order=id&{filters}")
    assert (status, [each["id"] for each in found]) == (200, ids), found


async def test_ranges_and_single_objects_have_postgrests_statuses(anyone: Rest) -> None:
    status, rows, headers = await anyone.shop("GET", "goods?order=id", Range="1-1")
    assert (status, [row["id"] for row in rows], headers["Content-Range"]) == (200, [2], "1-1/*")
    status, _, headers = await anyone.shop("HEAD", "goods?limit=1", Prefer="count=exact")
    assert (status, headers["Content-Range"]) == (206, "0-0/3")
    status, said, _ = await anyone.shop("GET", "goods?offset=9", Prefer="count=exact")
    assert (status, said["code"]) == (416, "PGRST103")
    single = {"Accept": "application/vnd.pgrst.object+json"}
    for path, rows_found in (("goods?id=eq.99", 0), ("goods", 3)):
        status, said, _ = await anyone.shop("GET", path, **single)
        assert (status, said["code"]) == (406, "PGRST116")
        assert said["details"] == f"The result contains {rows_found} rows"


# ------------------------------------------------------------------ changes


async def test_rows_are_inserted_merged_changed_and_deleted(anyone: Rest) -> None:
    shown = {"Prefer": "return=representation"}
    ask = anyone.shop
    status, said, _ = await ask("POST", "shelves", {"id": 10})
    assert (status, said) == (201, None)
    status, made, _ = await ask(
        "POST",
        "shelves?columns=id,name&select=id,name",
        [{"id": 11}, {"id": 12, "name": "low"}],
        Prefer="return=representation,missing=default",
    )
    assert (status, made) == (201, [{"id": 11, "name": "plain"}, {"id": 12, "name": "low"}])
    assert (await ask("POST", "shelves", {"id": 11}))[:2][1]["code"] == "23505"
    merge = {"Prefer": "return=representation,resolution=merge-duplicates"}
    assert (await ask("POST", "shelves?select=name", {"id": 11, "name": "mid"}, **merge))[:2] == (
        200,
        [{"name": "mid"}],
    )
    ignore = {"Prefer": "return=representation,resolution=ignore-duplicates"}
    assert (await ask("POST", "shelves", {"id": 11, "name": "x"}, **ignore))[1] == []
    _, changed, _ = await ask(
        "PATCH", "shelves?id=gte.11&select=id,goods(id)", {"spot": 1}, **shown
    )
    assert changed == [{"id": 11, "goods": []}, {"id": 12, "goods": []}]
    status, refused, _ = await ask(
        "DELETE", "shelves?id=gte.10", Prefer="handling=strict,max-affected=2"
    )
    assert (status, refused["code"], refused["details"]) == (
        400,
        "PGRST124",
        "The query affects 3 rows",
    )
    rehearsed = await ask("DELETE", "shelves?id=gte.10", Prefer="tx=rollback,count=exact")
    assert rehearsed[2]["Content-Range"] == "0-2/3"
    single = {"Accept": "application/vnd.pgrst.object+json", **shown}
    assert (await ask("PATCH", "shelves?id=gte.10", {"name": "y"}, **single))[1][
        "code"
    ] == "PGRST116"
    assert (await ask("PUT", "shelves?id=eq.12", {"id": 12, "name": "put"}, **shown))[0] == 200
    status, gone, _ = await ask("DELETE", "shelves?id=gte.10&select=id,name", **shown)
    assert (status, gone) == (
        200,
        [{"id": 10, "name": "plain"}, {"id": 11, "name": "mid"}, {"id": 12, "name": "put"}],
    )
    for method in ("PATCH", "DELETE"):
        status, said, _ = await ask(method, "shelves", {"name": "all"})
        assert (status, said["code"]) == (400, "21000")


async def test_functions_are_called_by_name(anyone: Rest) -> None:
    ask = anyone.shop
    assert (await ask("POST", "rpc/add", {"a": 2}))[:2] == (200, 3)
    assert (await ask("GET", "rpc/add?a=2&b=5"))[:2] == (200, 7)
    # What is only read cannot be changed by GET.
    status, said, _ = await ask("GET", "rpc/empty_shelf?p_id=1")
    assert (status, said["code"]) == (405, "25006")
    status, goods, headers = await ask(
        "POST",
        "rpc/empty_shelf?select=id,shelves(name)&id=gt.1",
        {"p_id": 1},
        Prefer="count=exact, tx=rollback",
    )
    assert (status, goods, headers["Content-Range"]) == (200, [{"id": 2, "shelves": None}], "0-0/1")
    status, said, _ = await ask("POST", "rpc/refuse", {})
    assert (status, said) == (
        402,
        {"code": "PT402", "message": "Pay first", "details": "all", "hint": "pay"},
    )
    status, said, _ = await ask("POST", "rpc/slow", {})
    assert (status, said["code"]) == (500, "57014")
    status, said, _ = await ask("POST", "rpc/add", {"wrong": 1})
    assert (status, said["code"]) == (404, "PGRST202")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "nothing", None, 404, "PGRST205"),
        ("GET", "goods?select=nothing", None, 400, "42703"),
        ("GET", "goods?id=eq.x", None, 400, "22P02"),
        ("GET", "goods?id=what.1", None, 400, "PGRST100"),
        ("GET", "goods?id=eq.%00", None, 400, "22021"),
        ("GET", "hidden", None, 404, "PGRST205"),
        ("GET", "%ff%fe?select=%22%ff%22", None, 404, "PGRST205"),
        ("POST", "goods", [1], 400, "PGRST102"),
        ("POST", "goods", {"id": 1}, 409, "23505"),
        ("POST", "goods", {"id": 9, "shelf": 99}, 409, "23503"),
        ("POST", "shelves", {"id": 9, "name": "much too long"}, 400, "22001"),
    ],
)
async def test_errors_have_postgrests_codes(
    anyone: Rest, method: str, path: str, body: Any, status: int, code: str
) -> None:
    found, said, _ = await anyone.shop(method, path, body)
    assert (found, said["code"]) == (status, code)
    assert set(said) == {"code", "details", "hint", "message"}


PIECES: Final = (
    *("select=", "&id=eq.", "&price=", "gt.", "not.", "in.(", "cs.", "{", "}", "(", ")", ",", "."),
    *(
        "id",
        "price",
        "made",
        "labels",
        "label",
        "spot",
        "shelves",
        "goods",
        "cheap",
        "*",
        "->",
        "->>",
    ),
    *("&order=", ".desc", ".nullslast", "&limit=", "&offset=", "&or=(", "&and=(", "id.eq.1", "1"),
    *("::text", "::int", ".sum()", "count()", "!inner", "!", "...", ":", "a", '"', "'", "\\", "--"),
    *("%00", "%ff", "%F0%9F%8D%A6", "-1", "99999999999999999999", "null", "&columns=", "is.null"),
    *(
        "&on_conflict=",
        "fts(simple).x",
        "match.[",
        "like.*",
        "shelves(name)",
        "goods(id)",
        "=",
        "&",
    ),
)
TABLES: Final = ("goods", "shelves", "cheap", "rpc/add", "rpc/empty_shelf", "nothing")
METHODS: Final = ("GET", "GET", "GET", "HEAD", "POST", "PATCH", "PUT", "DELETE")
BODIES: Final = ([{"id": 1}], {"id": 1, "name": "x"}, {"a": "x"}, {}, [], 7, None, "\x00", [[1]])


async def test_no_request_makes_the_server_fail(anyone: Rest) -> None:
    chosen = random.Random(20261130)
    answered: set[int] = set()
    for _ in range(400):
        query = "".join(chosen.choices(PIECES, k=chosen.randint(1, 12)))
        path = f"{chosen.choice(TABLES)}?{query}"
        prefer = chosen.choice(("return=representation,tx=rollback", "tx=rollback,count=exact"))
        accept = chosen.choice(("*/*", "application/vnd.pgrst.object+json", "text/csv", "x"))
        url = URL(f"/rest/v1/{path}", encoded=True)
        headers = {"apikey": ANONYMOUS, "Accept": accept, "Prefer": prefer}
        headers |= {"Accept-Profile": "shop", "Content-Profile": "shop"}
        method = chosen.choice(METHODS)
        body = orjson.dumps(chosen.choice(BODIES))
        if chosen.random() < 0.2:  # not even JSON, or not that of a table
            body = chosen.choice((chosen.randbytes(8), b"[" * 5000, body[:-1], b'"\xff"', b""))
        if chosen.random() < 0.9:
            headers["Content-Type"] = chosen.choice(("application/json", "text/csv", "x"))
        async with anyone.web.request(method, url, data=body, headers=headers) as answer:
            said = await answer.read()
        assert answer.status < 500, (method, path, body, said)
        if answer.status >= 400 and method != "HEAD" and answer.status != 405:
            assert set(orjson.loads(said)) == {"code", "details", "hint", "message"}, said
        answered.add(answer.status)
    assert {200, 400, 404, 406} <= answered


# ------------------------------------------------------------------ keys


async def test_only_keys_and_tokens_of_this_server_open_anything(
    web: aiohttp.ClientSession, place: tuple[Node, str]
) -> None:
    forged = make_api_key("another secret of the same length ...", "service_role", issued_at=1)
    for headers in ({}, {"apikey": forged}, {"apikey": ANONYMOUS, **bearer("x.y.z")}):
        async with web.get("/rest/v1/luminors", headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, "PGRST301")
    status, said, _ = await Rest(web, ANONYMOUS).ask("GET", "notifications")
    assert (status, said["code"]) == (401, "42501")
    ann, _ = await person(web, "Ann")
    status, said, _ = await ann.ask("GET", "profiles?select=stripe_customer_id")
    assert (status, said["code"]) == (403, "42501")
    # What the server has to check is changed by its own addresses alone.
    status, said, _ = await ann.ask("PATCH", "players?id=neq.x", {"display_name": "Admin"})
    assert (status, said["code"]) == (403, "42501")
    assert (await Rest(web, SERVICE).rows("notifications?limit=1")) == []


async def test_pages_of_allowed_origins_may_send_what_the_client_sends(anyone: Rest) -> None:
    asked = "apikey,authorization,content-profile,content-type,prefer,x-client-info"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    for origin, is_allowed in ((ORIGIN, True), ("https://other.example", False)):
        headers = {"Origin": origin, **preflight}
        async with anyone.web.options("/rest/v1/luminors", headers=headers) as answer:
            allowed = answer.headers.get("Access-Control-Allow-Headers", "").lower().split(", ")
        assert (set(asked.split(",")) <= set(allowed)) == is_allowed
        _, _, found = await anyone.ask("GET", "luminors?limit=1", Origin=origin)
        assert (found.get("Access-Control-Allow-Origin") == origin) == is_allowed


# ------------------------------------------------------------------ whose rows


def add_private_rows(dsn: str, ann: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as owner:
        luminor = owner.execute("SELECT id FROM luminors LIMIT 1").fetchone()
        assert luminor is not None
        made = owner.execute(
            "INSERT INTO luminor_conversations (user_id, luminor_id, title, session_id) "
            "VALUES (%s, %s, %s, 'm') RETURNING id",
            [ann, luminor[0], MARK],
        ).fetchone()
        assert made is not None
        owner.execute(
            "INSERT INTO luminor_messages (conversation_id, user_id, role, content) "
            "VALUES (%s, %s, 'user', %s)",
            [made[0], ann, MARK],
        )
        owner.execute(
            "INSERT INTO notifications (user_id, type, title, message) "
            "VALUES (%s, 'system_announcement', %s, %s)",
            [ann, MARK, MARK],
        )
        owner.execute(
            "INSERT INTO creations (user_id, title, type, status, is_public) "
            "VALUES (%s, %s, 'text', 'draft', false)",
            [ann, MARK],
        )
        owner.execute(
            "INSERT INTO stored_objects (account_id, collection, key, value, read_by, write_by) "
            "VALUES (%s, 'secrets', 'one', jsonb_build_object('v', %s::text), 'owner', 'owner')",
            [ann, MARK],
        )


PRIVATE: Final = {
    "luminor_conversations": "title",
    "luminor_messages": "content",
    "notifications": "message",
    "creations": "title",
    "stored_objects": "value->>v",
}


async def test_nothing_shows_the_rows_of_another_person(
    web: aiohttp.ClientSession, place: tuple[Node, str]
) -> None:
    ann, ann_id = await person(web, "Ann")
    ben, _ = await person(web, "Ben")
    add_private_rows(place[1], ann_id)
    anyone = Rest(web, ANONYMOUS)
    counts = itertools.cycle(("exact", "planned", "estimated"))
    for name, column in PRIVATE.items():
        # It is there for Ann, so what follows proves something.
        assert len(await ann.rows(f"{name}?select=marked:{column}&{column}=eq.{MARK}")) == 1, name
        filters = [
            f"{column}=eq.{MARK}",
            f"{column}=neq.x",
            f"{column}=like.only*",
            f"{column}=ilike.ONLY*",
            f"{column}=match.^only",
            f"{column}=in.({MARK})",
            f"{column}=gte.a",
            f"{column}=not.is.null",
            f"{column}=fts.only",
            f"{column}=isdistinct.x",
            f"or=({column}.eq.{MARK},{column}.not.eq.x)",
            f"not.and=({column}.is.null)",
            f"order={column}.desc",
            f"select=most:{column.partition('->')[0]}::text.max()",
        ]
        for who, condition in itertools.product((ben, anyone), filters):
            prefer = f"count={next(counts)}"
            status, said, headers = await who.ask("GET", f"{name}?{condition}", Prefer=prefer)
            assert MARK not in str(said)
            if status < 300 and condition.startswith(column) and "neq" not in condition:
                assert said == [], (name, condition)
                assert headers["Content-Range"] == "*/0"
        row = (await ann.rows(f"{name}?{column}=eq.{MARK}"))[0]
        for who in (ben, anyone):
            # Nothing is counted, summed up, merged with, or told apart from what is not there.
            said = (await who.ask("GET", f"{name}?select=count()&{column}=eq.{MARK}"))[1]
            assert isinstance(said, dict) or said == [{"count": 0}], (name, said)
            for resolution in ("merge-duplicates", "ignore-duplicates"):
                prefer = f"resolution={resolution},return=representation"
                status, said, _ = await who.ask("POST", name, row, Prefer=prefer)
                assert status >= 400 or said == [], (name, said)
                assert MARK not in str(said), (name, said)
            change = f"{name}?{column}=eq.{MARK}"
            shown = {"Prefer": "return=representation,count=exact"}
            for method, body in (("DELETE", None), ("PATCH", {"id": ann_id})):
                status, said, _ = await who.ask(method, change, body, **shown)
                assert status >= 400 or said == [], (name, method)
    # Embedded in what everybody may see, from whichever side.
    about_ann = f"id=eq.{ann_id}"
    for path in (
        f"profiles?select=id,luminor_conversations(*),notifications(*)&{about_ann}",
        f"profiles?select=id,luminor_conversations!inner(*,luminor_messages(*))&{about_ann}",
        f"profiles?select=id,creations(*,count)&{about_ann}",
        f"profiles?select=id,creations(title)&creations.title=eq.{MARK}&{about_ann}",
        "luminors?select=name,luminor_conversations(*),n:luminor_conversations(count)",
        "luminors?select=name,...luminor_conversations(title)",
        f"luminors?select=name,luminor_conversations!inner(id)&luminor_conversations.title=eq.{MARK}",
    ):
        for who in (ben, anyone):
            status, said, _ = await who.ask("GET", path, Prefer="count=exact")
            assert MARK not in str(said), path
            if status < 300 and "!inner" in path:
                assert said == [], path
            elif status < 300:
                assert all(not each.get("n") or each["n"][0]["count"] == 0 for each in said), path
    luminor = (await anyone.rows("luminors?select=id&limit=1"))[0]["id"]
    for function, given in (
        ("get_or_create_conversation", {"p_user_id": ann_id, "p_luminor_id": luminor}),
        ("get_user_feed", {"p_user_id": ann_id}),
        ("get_user_stats", {"p_user_id": ann_id}),
        ("mark_all_notifications_read", {"p_user_id": ann_id}),
        ("search_creations", {"p_query": MARK}),
    ):
        for who in (ben, anyone):
            status, said, _ = await who.ask("POST", f"rpc/{function}", given)
            assert MARK not in str(said), function
            assert status >= 400 or said in ([], 0, None), (function, said)


async def test_what_is_remembered_of_a_read_depends_on_all_that_it_says(anyone: Rest) -> None:
    path = "goods?select=id&order=id"
    assert [each["id"] for each in (await anyone.shop("GET", path))[1]] == [1, 2, 3]
    for _ in range(2):
        ranged = await anyone.shop("GET", path, Range="1-1")
        assert (ranged[1], ranged[2]["Content-Range"]) == ([{"id": 2}], "1-1/*")
        counted = await anyone.shop("GET", path, Prefer="count=exact")
        assert counted[2]["Content-Range"] == "0-2/3"
        csv = await anyone.shop("GET", path, Accept="text/csv")
        assert csv[2]["Content-Type"].startswith("text/csv")
        assert (await anyone.ask("GET", path))[0] == 404  # of another schema
        assert (await anyone.shop("HEAD", path))[2]["Content-Range"] == "0-2/*"
        assert [each["id"] for each in (await anyone.shop("GET", path))[1]] == [1, 2, 3]
