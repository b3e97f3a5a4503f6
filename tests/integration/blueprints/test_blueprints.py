"""Blueprints over a real port, on a real database under row level security."""

from pathlib import Path

import asyncpg
import pytest

from persistence.blueprints import store
from persistence.blueprints.store import BlueprintRuleStore
from persistence.errors import StartRefused
from persistence.rls import RlsDatabase
from protocol.errors import Forbidden
from protocol.ids import new_id
from server.domains.content.blueprints.domain import store_name_rule
from server.domains.content.blueprints.settings import BlueprintSettings
from tests.fixtures.node import SECRET_KEYS
from tests.fixtures.shell import playhall
from tests.integration.blueprints.conftest import Market, requester, serving


async def test_blueprint_is_kept_as_it_was_sent(market: Market) -> None:
    ann = await market.person("Ann")
    data = {"capacity": 100, "allocations": {"hull": [1, 2.5, None]}, "note": "λ ✓"}
    made = await market.make(ann, "MORDIG10", data=data, description="A digger.\nSlow.")
    assert (made["name"], made["version"], made["data"]) == ("MORDIG10", 10, data)
    assert (made["owner_id"], made["owner"], made["is_public"]) == (ann, "Ann", False)
    path = f"/v1/blueprints/{made['blueprint_id']}"
    assert await market.ask(ann, "GET", path) == (200, made)


@pytest.mark.parametrize(
    ("name", "holds"),
    [
        ("MORDIG10", True),
        ("MORDIG1", True),
        ("MORDIG9999", True),
        ("mordig10", False),
        ("MORDIG", False),
        ("MORDIG010", False),
        ("MORDIG0", False),
        ("MORDIG10000", False),
        ("MOR-DIG10", False),
        ("AORDIG10", False),
        ("MORDIG10\n", False),
        ("MÖRDIG10", False),
        ("MORDIG٣", False),
    ],
)
async def test_name_must_be_two_syllables_and_a_version(
    market: Market, name: str, holds: bool
) -> None:
    ann = await market.person("Ann")
    status, answer = await market.ask(ann, "POST", "/v1/blueprints", {"name": name, "data": {}})
    assert status == (200 if holds else 422)
    if not holds:
        assert answer["field"] == "name"
        assert "MORDIG10" in answer["message"]


@pytest.mark.parametrize("is_stored", [True, False])
async def test_database_itself_refuses_a_name_that_does_not_fit(
    market: Market, rls: RlsDatabase, fresh_dsn: str, is_stored: bool
) -> None:
    if not is_stored:  # as before a server has ever started
        superuser = await asyncpg.connect(fresh_dsn)
        await superuser.execute("DELETE FROM blueprint_rules")
        await superuser.close()
    ann = await market.person("Ann")
    add = "INSERT INTO blueprints (owner_id, name, version, data) VALUES ($1, $2, $3, '{}')"
    for name, version in (
        ("MORDIG10", 11),
        ("mordig10", 10),
        ("MORDIG010", 10),
        ("MORDIG10\n", 10),
        ("ROVER10", 10),
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            async with rls.as_user(requester(ann)) as connection:
                await connection.execute(add, ann, name, version)
    async with rls.as_user(requester(ann)) as connection:
        await connection.execute(add, ann, "MORDIG10", 10)


async def test_rule_that_is_set_holds_in_the_database_too_and_for_new_names_only(
    market: Market, rls: RlsDatabase
) -> None:
    ann = await market.person("Ann")
    before = await market.make(ann, "MORDIG10", publish=True)
    settings = BlueprintSettings(
        blueprint_name_pattern="[a-z]{3,8}[1-9]|rover[0-9]+",
        blueprint_name_help="Write a word and its version: rover7",
        blueprint_capacity_per_version=0,
    )
    async with serving(market.database, rls, settings) as changed:
        made = await changed.make(ann, "rover7", data={"capacity": 5}, publish=True)
        await changed.make(ann, "digger7", data={"capacity": 5})
        assert (made["name"], made["version"]) == ("rover7", 7)
        for name in ("MORDIG11", "rover", "rover07", "arover77", "digger77"):
            code, message = await changed.refusal(
                ann, "POST", "/v1/blueprints", {"name": name, "data": {}}
            )
            assert (code, message) == (
                "invalid_field",
                "name: Write a word and its version: rover7.",
            )
        fork = f"/v1/blueprints/{before['blueprint_id']}/fork"
        assert (await changed.refusal(ann, "POST", fork, {"name": "MORDIG11"}))[
            0
        ] == "invalid_field"
        assert (await changed.ask(ann, "POST", fork, {"name": "rover8"}))[0] == 200
        with pytest.raises(asyncpg.CheckViolationError, match="blueprint_rules"):
            async with rls.as_user(requester(ann)) as connection:
                await connection.execute(
                    "INSERT INTO blueprints (owner_id, name, version, data)"
                    " VALUES ($1, 'MORDIG11', 11, '{}')",
                    ann,
                )
    code, _ = await market.refusal(ann, "POST", "/v1/blueprints", {"name": "MORDIG12", "data": {}})
    assert code == "invalid_field"  # until a node with the rule of before starts again
    await store_name_rule(BlueprintRuleStore(market.database), BlueprintSettings())
    await market.make(ann, "MORDIG12")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("([A-Z]+", r"not a regular expression of PostgreSQL: .*parentheses"),
        ("MORDIG10)|(x", r"not a regular expression of PostgreSQL: .*parentheses"),
        ("***=MORDIG10", r"not a regular expression"),
        ("[a-z]+[0-9]+", r"does not accept MORDIG10; correct it\. .* PLAYHALL_BLUEPRINT_NAME_HELP"),
    ],
)
async def test_pattern_that_cannot_be_used_refuses_the_start_and_changes_nothing(
    market: Market, pattern: str, said: str
) -> None:
    with pytest.raises(StartRefused, match=f"^PLAYHALL_BLUEPRINT_NAME_PATTERN .*{said}"):
        await store_name_rule(
            BlueprintRuleStore(market.database), BlueprintSettings(blueprint_name_pattern=pattern)
        )
    await market.make(await market.person("Ann"), "MORDIG10")


async def test_same_name_twice_is_refused_to_one_owner_and_not_to_two(market: Market) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    await market.make(ann, "MORDIG10")
    body = {"name": "MORDIG10", "data": {}}
    code, message = await market.refusal(ann, "POST", "/v1/blueprints", body)
    assert (code, "another name or version" in message) == ("blueprint_taken", True)
    await market.make(bob, "MORDIG10")


async def test_name_stands_once_on_the_market(market: Market) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    first = await market.make(ann, "MORDIG10", publish=True)
    second = await market.make(bob, "MORDIG10")
    publish = f"/v1/blueprints/{second['blueprint_id']}/publish"
    assert (await market.refusal(bob, "POST", publish))[0] == "name_on_market"
    unpublish = f"/v1/blueprints/{first['blueprint_id']}/unpublish"
    assert (await market.ask(ann, "POST", unpublish))[1]["is_public"] is False
    assert (await market.ask(bob, "POST", publish))[1]["is_public"] is True


async def test_id_that_is_taken_is_refused(market: Market) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    chosen = new_id()
    assert (await market.make(ann, "MORDIG10", blueprint_id=chosen))["blueprint_id"] == chosen
    body = {"name": "MORDIG11", "data": {}, "blueprint_id": chosen}
    code, message = await market.refusal(bob, "POST", "/v1/blueprints", body)
    assert (code, "this id" in message) == ("blueprint_taken", True)


async def test_account_keeps_only_so_many(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.domains.content.blueprints.rules.BLUEPRINTS_MAX", 2)
    ann, bob = await market.person("Ann"), await market.person("Bob")
    for name in ("MORDIG1", "MORDIG2"):
        await market.make(ann, name)
    body = {"name": "MORDIG3", "data": {}}
    code, _ = await market.refusal(ann, "POST", "/v1/blueprints", body)
    assert code == "too_many_blueprints"
    await market.make(bob, "MORDIG3")


# ------------------------------------------------------------------ who may do what


async def test_private_blueprint_is_nobody_elses_to_see(market: Market) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    path = f"/v1/blueprints/{(await market.make(ann, 'MORDIG10'))['blueprint_id']}"
    for who in (bob, None):
        assert (await market.refusal(who, "GET", path))[0] == "blueprint_not_found"
    body = {"name": "MORDIG11"}
    assert (await market.refusal(bob, "POST", f"{path}/fork", body))[0] == "blueprint_not_found"
    assert (await market.ask(None, "GET", "/v1/blueprints"))[1]["blueprints"] == []


async def test_others_blueprint_cannot_be_deleted_or_shown(market: Market) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    path = f"/v1/blueprints/{(await market.make(ann, 'MORDIG10', publish=True))['blueprint_id']}"
    for method, tail in (("DELETE", ""), ("POST", "/unpublish"), ("POST", "/publish")):
        assert (await market.refusal(bob, method, path + tail))[0] == "forbidden"
        assert (await market.refusal(None, method, path + tail))[0] == "bad_token"
    assert (await market.ask(None, "GET", path))[1]["is_public"] is True
    assert (await market.ask(ann, "DELETE", path))[0] == 200
    assert (await market.refusal(ann, "DELETE", path))[0] == "blueprint_not_found"


async def test_nobody_deletes_anothers_blueprint(market: Market, rls: RlsDatabase) -> None:
    ann, eve = await market.person("Ann"), await market.person("Eve")
    blueprint_id = (await market.make(ann, "MORDIG10", publish=True))["blueprint_id"]
    delete = "DELETE FROM blueprints WHERE id = $1"
    async with rls.as_user(requester(eve)) as connection:
        assert await connection.fetchval("SELECT count(*) FROM blueprints") == 1
        assert await connection.execute(delete, blueprint_id) == "DELETE 0"
        assert await connection.execute("DELETE FROM blueprints") == "DELETE 0"
    with pytest.raises(Forbidden):
        async with rls.as_user(None) as connection:
            await connection.execute(delete, blueprint_id)
    async with rls.as_user(requester(ann)) as connection:
        assert await connection.execute(delete, blueprint_id) == "DELETE 1"


async def test_nobody_makes_a_blueprint_for_another(market: Market, rls: RlsDatabase) -> None:
    ann, eve = await market.person("Ann"), await market.person("Eve")
    with pytest.raises(Forbidden):
        async with rls.as_user(requester(eve)) as connection:
            await connection.execute(
                "INSERT INTO blueprints (owner_id, name, version, data)"
                " VALUES ($1, 'MORDIG10', 10, '{}')",
                ann,
            )


@pytest.mark.parametrize(
    "change",
    [
        "data = '{}'",
        'assets = \'{"a": "user-assets/00000000-0000-4000-8000-000000000001/b"}\'',
        "name = 'MORDIG11', version = 11",
        "description = 'Better.'",
        "created_at = now()",
        "owner_id = (SELECT id FROM profiles WHERE display_name = 'Bob')",
    ],
)
async def test_what_a_blueprint_is_never_changes_not_even_for_the_owner_of_the_table(
    market: Market, rls: RlsDatabase, fresh_dsn: str, change: str
) -> None:
    ann = await market.person("Ann")
    await market.person("Bob")
    await market.make(ann, "MORDIG10")
    statement = f"UPDATE blueprints SET {change}"
    superuser = await asyncpg.connect(fresh_dsn)
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changes"):
            await superuser.execute(statement)
    finally:
        await superuser.close()
    with pytest.raises(Forbidden):
        async with rls.as_user(requester(ann)) as connection:
            await connection.execute(statement)


# ------------------------------------------------------------------ forks


async def test_fork_takes_over_what_it_does_not_change(market: Market) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    link = f"user-assets/{ann}/{new_id()}/model.glb"
    await market.store(link)
    parent = await market.make(
        ann, "MORDIG10", publish=True, assets={"model": link}, description="Digs."
    )
    path = f"/v1/blueprints/{parent['blueprint_id']}/fork"
    body = {"name": "MORDIG11", "data": {"capacity": 115}}
    await market.lose(link)  # what a fork inherits need not be there any more
    status, fork = await market.ask(bob, "POST", path, body)
    assert status == 200
    assert (fork["owner_id"], fork["is_public"], fork["version"]) == (bob, False, 11)
    assert (fork["data"], fork["assets"]) == ({"capacity": 115}, {"model": link})
    assert (fork["parent_id"], fork["parent_name"]) == (parent["blueprint_id"], "MORDIG10")
    code, message = await market.refusal(bob, "POST", path, {"name": "MORDIG12"})
    assert (code, "12, as the name says" in message) == ("invalid_field", True)


async def test_forks_are_counted_and_outlive_their_parent(market: Market) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    parent = await market.make(ann, "MORDIG10", publish=True)
    path = f"/v1/blueprints/{parent['blueprint_id']}"
    forks = [
        (await market.ask(bob, "POST", f"{path}/fork", {"name": name, "data": {}}))[1]
        for name in ("MORDIG10", "MORDIG11")
    ]
    assert (await market.ask(None, "GET", path))[1]["forks"] == 2
    await market.ask(bob, "DELETE", f"/v1/blueprints/{forks[0]['blueprint_id']}")
    assert (await market.ask(None, "GET", path))[1]["forks"] == 1
    await market.ask(ann, "DELETE", path)
    left = (await market.ask(bob, "GET", f"/v1/blueprints/{forks[1]['blueprint_id']}"))[1]
    assert (left["parent_id"], left["parent_name"]) == (None, "MORDIG10")


async def test_what_cannot_be_seen_cannot_be_forked_in_the_database_either(
    market: Market, rls: RlsDatabase
) -> None:
    ann, eve = await market.person("Ann"), await market.person("Eve")
    secret = await market.make(ann, "MORDIG10")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with rls.as_user(requester(eve)) as connection:
            await connection.execute(
                "INSERT INTO blueprints (owner_id, name, version, data, parent_id)"
                " VALUES ($1, 'MORDIG11', 11, '{}', $2)",
                eve,
                secret["blueprint_id"],
            )


# ------------------------------------------------------------------ assets


async def test_assets_are_stored_files_of_ones_own(market: Market) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    mine, theirs = (f"user-assets/{who}/{new_id()}/model.glb" for who in (ann, bob))
    for link in (mine, theirs):
        await market.store(link)
    made = await market.make(ann, "MORDIG10", assets={"model": mine})
    assert made["assets"] == {"model": mine}
    for link, said in (
        (theirs, f"user-assets/{ann}/"),
        ("https://example.org/model.glb", f"user-assets/{ann}/"),
        (f"user-assets/{ann}/../{bob}/x/model.glb", f"user-assets/{ann}/"),
        (f"user-assets/{ann}/x/other.glb", "upload it first"),
    ):
        body = {"name": "MORDIG11", "data": {}, "assets": {"model": link}}
        code, message = await market.refusal(ann, "POST", "/v1/blueprints", body)
        assert (code, said in message) == ("invalid_field", True)


# ------------------------------------------------------------------ lists


async def test_own_list_pages_from_the_newest_without_gap_or_repeat(market: Market) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    made = [(await market.make(ann, f"MORDIG{n}"))["blueprint_id"] for n in range(1, 6)]
    await market.make(bob, "MORDIG1", publish=True)
    assert await _walk(market, "/v1/me/blueprints", who=ann) == made[::-1]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("newest", ["DIGMOR7", "TANKER20", "MORDIG10", "MORDIG9"]),
        ("name", ["DIGMOR7", "MORDIG10", "MORDIG9", "TANKER20"]),
        ("version", ["TANKER20", "MORDIG10", "MORDIG9", "DIGMOR7"]),
        ("forks", ["MORDIG9", "TANKER20"]),
    ],
)
@pytest.mark.parametrize("text", ["", "digger"])
async def test_market_sorts_and_pages(
    market: Market, sort: str, expected: list[str], text: str
) -> None:
    ann, bob = await market.person("Ann"), await market.person("Bob")
    ids = {}
    for name in ("MORDIG9", "MORDIG10", "TANKER20", "DIGMOR7"):
        made = await market.make(ann, name, publish=True, description="A digger.")
        ids[made["blueprint_id"]] = name
    for name, forks in (("MORDIG9", 2), ("TANKER20", 1)):
        blueprint_id = next(key for key in ids if ids[key] == name)
        for n in range(forks):
            body = {"name": f"{name[:6]}{n + 50}", "data": {}}
            await market.ask(bob, "POST", f"/v1/blueprints/{blueprint_id}/fork", body)
    await market.make(bob, "TANKER99")
    found = await _walk(market, "/v1/blueprints", sort=sort, text=text)
    assert len(found) == len(set(found)) == 4
    assert [ids[blueprint_id] for blueprint_id in found][: len(expected)] == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("mordig", {"MORDIG10", "MORDIG9"}),
        ("Mor-Dig", {"MORDIG10", "MORDIG9"}),
        ("mordig10", {"MORDIG10"}),
        ("deep", {"MORDIG10"}),
        ("deep low-cost", {"MORDIG10"}),
        ("deep tanker", set()),
        ("' & | !", set()),
        ("%", set()),
        ("", {"MORDIG10", "MORDIG9", "TANKER20"}),
    ],
)
async def test_market_is_searched_by_beginnings_of_words(
    market: Market, text: str, found: set[str]
) -> None:
    ann = await market.person("Ann")
    await market.make(ann, "MORDIG10", publish=True, description="Deep and low-cost.")
    await market.make(ann, "MORDIG9", publish=True)
    await market.make(ann, "TANKER20", publish=True)
    await market.make(ann, "MORDIG11", description="Deep, and not on the market.")
    status, page = await market.ask(None, "GET", "/v1/blueprints", text=text)
    assert status == 200
    assert {card["name"] for card in page["blueprints"]} == found
    assert all("data" not in card for card in page["blueprints"])


async def test_market_is_read_from_its_indexes(fresh_dsn: str) -> None:
    connection = await asyncpg.connect(fresh_dsn)
    try:
        await connection.execute("SET enable_seqscan = off; SET enable_sort = off")
        queries = {
            "market_by_newest": ("now()", "blueprints_newest_idx"),
            "market_by_name": ("'A'", "blueprints_once_on_market"),
            "market_by_version": ("5", "blueprints_version_idx"),
            "market_by_forks": ("5", "blueprints_forks_idx"),
        }
        for query, (key, index) in queries.items():
            parts = store.SQL[query].replace("$1", key).replace("$2", f"'{new_id()}'")
            rows = await connection.fetch(f"EXPLAIN {parts.replace('$3', '20')}")
            plan = "\n".join(line for (line,) in rows)
            assert index in plan, plan
            rows = await connection.fetch(
                "EXPLAIN SELECT id FROM blueprints WHERE is_public AND search @@ 'a'::tsquery"
            )
        assert "blueprints_search_idx" in "\n".join(line for (line,) in rows)
    finally:
        await connection.close()


async def test_cursor_of_another_list_is_refused(market: Market) -> None:
    ann = await market.person("Ann")
    for n in (1, 2):
        await market.make(ann, f"MORDIG{n}", publish=True)
    page = (await market.ask(None, "GET", "/v1/blueprints", limit=1, sort="name"))[1]
    for cursor in (page["next"], "nonsense", "é"):
        status, answer = await market.ask(None, "GET", "/v1/blueprints", cursor=cursor)
        assert (status, answer["field"]) == (422, "cursor")


async def _walk(market: Market, path: str, *, who: object = None, **query: object) -> list[str]:
    """Read a list to its end, two at a time."""
    found: list[str] = []
    cursor: dict[str, object] = {}
    while True:
        status, page = await market.ask(who, "GET", path, limit=2, **cursor, **query)  # type: ignore[arg-type]  # an account
        assert status == 200, page
        found += [card["blueprint_id"] for card in page["blueprints"]]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def test_server_with_a_bad_pattern_does_not_start(tmp_path: Path, serving_dsn: str) -> None:
    settings = {
        "PLAYHALL_DATABASE_URL": serving_dsn,
        "PLAYHALL_DATA_DIR": str(tmp_path),
        "PLAYHALL_PORT": "0",
        "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
        "PLAYHALL_BLUEPRINT_NAME_PATTERN": "(",
    }
    done = playhall("serve", environment=settings)
    done.assert_plain()
    assert done.status == 1
    assert "PLAYHALL_BLUEPRINT_NAME_PATTERN is not a regular expression" in done.said
    settings["PLAYHALL_BLUEPRINT_NAME_HELP"] = "Use capitals."
    assert (
        "PLAYHALL_BLUEPRINT_NAME_HELP: end it with" in playhall("serve", environment=settings).said
    )
