"""The economy over HTTP, on a real database: what is held, and what moves it."""

import asyncio

import asyncpg
import orjson
import pytest

from persistence.database import Database
from persistence.rls import Requester, RlsDatabase
from protocol.errors import Forbidden, Overloaded
from protocol.ids import SessionId, UserId, new_id
from protocol.inventory import Bundle
from server.domains.progression.inventory.settings import InventorySettings
from tests.integration.inventory.conftest import SETTINGS, Market

NOTHING = "00000000-0000-4000-8000-000000000000"


# ------------------------------------------------------------------ moving


async def test_items_are_found_crafted_spent_and_used_up(
    market: Market, ada: UserId, slot: str
) -> None:
    await market.define(
        "items", "chest", use_bundle={"currencies": {"gold": 5}, "lore": ["mimics"]}
    )
    await market.define(
        "recipes", "forge", takes={"items": {"iron": 2}}, gives={"items": {"sword": 1, "chest": 1}}
    )
    await market.define(
        "recipes", "sell", kind="trade", takes={"items": {"sword": 1}},
        gives={"currencies": {"gold": 40}},
    )  # fmt: skip
    found = await market.move(ada, slot, "collect", bundle={"items": {"iron": 7}})
    assert (found.status, found["kind"], found["repeated"]) == (200, "collect", False)
    [change] = found["changes"]
    assert (change["item_id"], change["amount"], change["balance"]) == ("iron", 7, 7)

    forged = await market.move(ada, slot, "craft", recipe_id="forge", times=3)
    assert {each["item_id"]: each["amount"] for each in forged["changes"]} == {
        "iron": -6,
        "sword": 3,
        "chest": 3,
    }
    sold = await market.move(ada, slot, "craft", recipe_id="sell")
    assert (sold["kind"], sold["reason"]) == ("trade", "sell")
    used = await market.move(ada, slot, "use", item_id="chest", quantity=2)
    assert used["lore"] == ["mimics"]
    spent = await market.move(
        ada, slot, "spend", bundle={"currencies": {"gold": 50}}, reason="Toll"
    )
    assert spent["changes"][0]["balance"] == 0
    assert await market.held(ada, slot) == ({"iron": 1, "sword": 2, "chest": 1}, {})

    unlocked = await market.ask(ada, "GET", "/unlocks", kind="lore")
    assert [each["unlock_id"] for each in unlocked["unlocks"]] == ["mimics"]
    page = await market.ask(ada, "GET", "/ledger", slot_id=slot, limit=3)
    rest = await market.ask(ada, "GET", "/ledger", slot_id=slot, limit=3, cursor=page["next"])
    kinds = [each["kind"] for each in page["transactions"] + rest["transactions"]]
    assert kinds == ["spend", "use", "trade", "craft", "collect"]
    await market.assert_balanced()
    told = [orjson.loads(each.data) for each in market.announced]
    assert [each["kind"] for each in told] == kinds[::-1]
    assert told[0]["items"] == [{"item_id": "iron", "stack_key": "", "quantity": 7}]
    assert told[4]["currencies"] == {"gold": 0}


async def test_repeat_gets_the_same_answer_and_other_content_an_error(
    market: Market, ada: UserId, slot: str
) -> None:
    body = {"key": "once", "bundle": {"items": {"iron": 2}}}
    first = await market.move(ada, slot, "collect", **body)
    again = await market.move(ada, slot, "collect", **body)
    assert again.body == {**first.body, "repeated": True}
    assert len(market.announced) == 1
    for other in (
        await market.move(ada, slot, "collect", **{**body, "bundle": {"items": {"iron": 3}}}),
        await market.move(ada, slot, "spend", **body),
        await market.move(ada, await market.slot(ada), "collect", **body),
    ):
        assert other.said == (409, "key_reused")
    eve = await market.person()
    hers = await market.move(eve, await market.slot(eve), "collect", **body)
    assert hers.status == 200  # keys are each account's own
    assert await market.held(ada, slot) == ({"iron": 2}, {})


async def test_concurrent_requests_spend_no_more_than_there_is_and_each_once(
    market: Market, ada: UserId, slot: str
) -> None:
    await market.give(ada, slot, currencies={"gold": 10})
    bundle = {"currencies": {"gold": 3}}
    same = await asyncio.gather(
        *(market.move(ada, slot, "spend", key="same", bundle=bundle) for _ in range(15))
    )
    assert {answer["transaction_id"] for answer in same} == {same[0]["transaction_id"]}
    assert sorted(answer["repeated"] for answer in same) == [False] + 14 * [True]
    others = await asyncio.gather(
        *(market.move(ada, slot, "spend", bundle=bundle) for _ in range(15))
    )
    assert sorted(answer.status for answer in others) == 2 * [200] + 13 * [409]
    assert await market.held(ada, slot) == ({}, {"gold": 1})
    await market.assert_balanced()


class TestLimited:
    @pytest.fixture
    def settings(self) -> InventorySettings:
        return SETTINGS.model_copy(update={"requests_per_minute": 1, "requests_burst": 1})

    async def test_too_many_requests_of_an_account_are_refused_for_a_while(
        self, market: Market, ada: UserId, slot: str
    ) -> None:
        bundle = {"items": {"iron": 1}}
        allowed = await market.move(ada, slot, "collect", bundle=bundle)
        assert allowed.status == 200
        refused = await market.move(ada, slot, "spend", bundle=bundle)
        assert refused.said == (429, "rate_limited")
        assert refused.headers["retry-after"] == "60"
        for answer in (allowed, refused):
            assert answer.headers["ratelimit-policy"] == '"inventory";q=1;w=60'
            assert answer.headers["ratelimit"] == '"inventory";r=0;t=60'


@pytest.mark.parametrize(
    ("what", "body", "said"),
    [
        ("collect", {"bundle": {"items": {"gone": 1}}}, (404, "asset_not_found")),
        ("collect", {"bundle": {"items": {"sword": 1}}}, (403, "server_owned")),
        ("collect", {"bundle": {"currencies": {"gems": 1}}}, (403, "server_owned")),
        ("collect", {"bundle": {"items": {"iron": -1}}}, (422, "invalid_field")),
        ("collect", {"bundle": {"items": {"iron": 0}}}, (422, "invalid_field")),
        ("collect", {"bundle": {"items": {"iron": 2**63}}}, (422, "invalid_field")),
        ("collect", {"bundle": {"items": {"iron": 1.5}}}, (422, "invalid_field")),
        ("collect", {"bundle": {"items": {"iron": 1_000_000_000}}}, (200, None)),
        ("collect", {"bundle": {"items": {"IRON": 1}}}, (422, "invalid_field")),
        ("collect", {"bundle": {"items": {str(n): 1 for n in range(65)}}}, (422, "invalid_field")),
        ("collect", {"bundle": {}, "key": "grant/quest"}, (422, "invalid_field")),
        ("spend", {"bundle": {"items": {"iron": 1}}}, (409, "not_enough")),
        ("spend", {"bundle": {"currencies": {"gold": 1}}}, (409, "not_enough")),
        ("use", {"item_id": "iron"}, (409, "not_usable")),
        ("use", {"item_id": "gone"}, (404, "asset_not_found")),
        ("use", {"item_id": "potion", "stack_key": "zz"}, (422, "invalid_field")),
        ("use", {"item_id": "potion"}, (409, "not_enough")),
        ("craft", {"recipe_id": "forge"}, (409, "not_enough")),
        ("craft", {"recipe_id": "gone"}, (404, "recipe_not_found")),
        ("craft", {"recipe_id": "forge", "times": 0}, (422, "invalid_field")),
        ("craft", {"recipe_id": "forge", "times": 1001}, (422, "invalid_field")),
    ],
)
async def test_bad_request_is_refused_and_changes_nothing(
    market: Market, ada: UserId, slot: str, what: str, body: dict[str, object], said: object
) -> None:
    await market.define("items", "potion", use_bundle={})
    await market.define(
        "recipes", "forge", takes={"items": {"iron": 1}}, gives={"items": {"sword": 1}}
    )
    answer = await market.move(ada, slot, what, **body)
    assert (answer.status, answer.body.get("code")) == said
    if answer.status != 200:
        assert await market.run("SELECT FROM ledger_transactions") == []
        assert await market.run("SELECT FROM inventory_items") == []


async def test_nobody_holds_more_than_they_may(market: Market, ada: UserId, slot: str) -> None:
    assert (await market.give(ada, None, currencies={"gems": 999})).status == 200
    full = await market.give(ada, slot, currencies={"gems": 2})
    assert full.said == (409, "holding_full")
    assert "1001 gems, of at most 1000" in full["message"]
    # What is taken makes room for what is given.
    await market.define(
        "recipes", "swap", takes={"currencies": {"gems": 999}}, gives={"currencies": {"gems": 1000}}
    )
    assert (await market.move(ada, slot, "craft", recipe_id="swap")).status == 200
    most = {"items": {"iron": 1_000_000_000}}
    assert (await market.move(ada, slot, "collect", bundle=most)).status == 200
    assert (await market.move(ada, slot, "collect", bundle=most)).said == (409, "holding_full")
    assert await market.held(ada, slot) == ({"iron": 1_000_000_000}, {"gems": 1000})


async def test_slot_of_somebody_else_is_not_there(market: Market, ada: UserId, slot: str) -> None:
    await market.move(ada, slot, "collect", bundle={"items": {"iron": 2}})
    eve = await market.person()
    for what, body in (
        ("collect", {"bundle": {"items": {"iron": 1}}}),
        ("spend", {"bundle": {"items": {"iron": 1}}}),
        ("use", {"item_id": "iron"}),
        ("craft", {"recipe_id": "x"}),
    ):
        assert (await market.move(eve, slot, what, **body)).said == (404, "save_slot_not_found")
    read = await market.ask(eve, "GET", f"/saves/{slot}/inventory")
    assert read.said == (404, "save_slot_not_found")
    assert (await market.ask(eve, "GET", "/ledger", slot_id=slot))["transactions"] == []
    assert (await market.ask(None, "GET", "/ledger")).status == 401


async def test_inventory_is_read_in_pages_with_stacks_by_metadata(
    market: Market, ada: UserId, slot: str
) -> None:
    await market.give(ada, slot, items={"iron": 2, "sword": 1}, currencies={"gold": 3, "gems": 1})
    named = await market.give(ada, slot, items={"sword": 2}, metadata={"engraved": "Ada"})
    stack_key = named["changes"][0]["stack_key"]
    page = await market.ask(ada, "GET", f"/saves/{slot}/inventory", limit=2)
    rest = await market.ask(ada, "GET", f"/saves/{slot}/inventory", limit=2, cursor=page["next"])
    stacks = [(s["item_id"], s["quantity"], s["metadata"]) for s in page["items"] + rest["items"]]
    assert stacks == [("iron", 2, {}), ("sword", 1, {}), ("sword", 2, {"engraved": "Ada"})]
    assert page["currencies"] == rest["currencies"] == {"gems": 1, "gold": 3}
    assert rest["next"] is None

    await market.define("items", "sword", use_bundle={"currencies": {"gold": 1}})
    used = await market.move(ada, slot, "use", item_id="sword", stack_key=stack_key, quantity=2)
    assert used["changes"][0] == {
        "slot_id": slot, "item_id": "sword", "stack_key": stack_key, "currency_id": None,
        "amount": -2, "balance": 0,
    }  # fmt: skip
    assert await market.held(ada, slot) == ({"iron": 2, "sword": 1}, {"gems": 1, "gold": 5})
    other = await market.slot(ada)
    assert await market.held(ada, other) == ({}, {"gems": 1})
    async with market.database.acquire() as connection:
        held = await market.service.read_holdings(connection, ada, slot)
    assert (held.items, held.currencies) == ({"iron": 2, "sword": 1}, {"gems": 1, "gold": 5})


# ------------------------------------------------------------------ grants of other domains


async def test_thousand_concurrent_claims_of_one_key_grant_it_once(
    market: Market, ada: UserId, slot: str
) -> None:
    bundle = Bundle(items={"sword": 1}, currencies={"gems": 5}, lore=["end"], cosmetics=["crown"])
    slots = [slot, *[await market.slot(ada) for _ in range(4)]]

    async def claim(n: int) -> bool:
        while True:
            try:
                return await market.grant(ada, slots[n % len(slots)], bundle, "quest:1")
            except Overloaded:  # "nothing was changed, try again": the pool is bounded
                continue

    granted = await asyncio.gather(*(claim(n) for n in range(1000)))
    assert sum(granted) == 1
    held = [await market.held(ada, each) for each in slots]
    assert sorted(items.get("sword", 0) for items, _ in held) == [0, 0, 0, 0, 1]
    assert [currencies for _, currencies in held] == [{"gems": 5}] * 5
    assert len(await market.run("SELECT FROM ledger_transactions")) == 1
    await market.assert_balanced()


async def test_what_is_copied_restored_or_imported_again_claims_nothing_twice(
    market: Market, ada: UserId, slot: str
) -> None:
    bundle = Bundle(items={"sword": 1})
    assert await market.grant(ada, slot, bundle, "quest:1")
    copy = await market.slot(ada)
    assert not await market.grant(ada, copy, bundle, "quest:1")
    assert not await market.grant(ada, slot, Bundle(items={"sword": 2}), "quest:1")
    await market.run("DELETE FROM save_slots WHERE slot_id = $1", slot)
    again = await market.slot(ada)
    assert not await market.grant(ada, again, bundle, "quest:1")
    assert await market.held(ada, again) == ({}, {})
    ledger = (await market.ask(ada, "GET", "/ledger"))["transactions"]
    assert [each["kind"] for each in ledger] == ["discard", "grant"]


async def test_grant_goes_with_the_transaction_of_its_caller(
    market: Market, ada: UserId, slot: str
) -> None:
    async def fail() -> None:
        async with market.database.transaction() as connection:
            bundle = Bundle(items={"sword": 1}, lore=["end"])
            grant = market.service.grant
            assert await grant(connection, ada, slot, bundle, key="q", reason="A quest")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await market.held(ada, slot) == ({}, {})
    assert await market.grant(ada, slot, Bundle(), "q")


# ------------------------------------------------------------------ the database itself


async def test_ledger_is_only_ever_added_to_and_always_balances(
    market: Market, ada: UserId, slot: str, fresh_dsn: str
) -> None:
    await market.move(ada, slot, "collect", bundle={"items": {"iron": 2}})
    owner = await asyncpg.connect(fresh_dsn)
    try:
        for statement in (
            "UPDATE ledger_entries SET amount = amount + 1",
            "UPDATE ledger_transactions SET key = key || 'x'",
            "DELETE FROM ledger_entries",
            "DELETE FROM ledger_transactions",
            "TRUNCATE ledger_entries",
            "TRUNCATE ledger_transactions CASCADE",
        ):
            with pytest.raises(asyncpg.RestrictViolationError):
                await owner.execute(statement)
        entry = (
            "INSERT INTO ledger_entries"
            " (transaction_id, account_id, holder, slot_id, item_id, amount)"
            " SELECT transaction_id, account_id, 'player', slot_id, 'iron', $1"
            " FROM ledger_transactions"
        )
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="sums to 5 for iron"):
            await owner.execute(entry, 5)
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(entry, -3)
    finally:
        await owner.close()
    for table in ("inventory_items", "currency_balances"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await market.run(f"DELETE FROM {table}")
    assert await market.held(ada, slot) == ({"iron": 2}, {})


async def test_rows_are_read_by_their_owner_alone_and_written_by_nobody(
    market: Market, ada: UserId, slot: str, rls: RlsDatabase
) -> None:
    await market.give(ada, slot, items={"iron": 2}, currencies={"gems": 1}, lore=["end"])
    eve = await market.person()
    tables = (
        "inventory_items", "currency_balances", "ledger_transactions", "ledger_entries", "unlocks",
    )  # fmt: skip
    for table in tables:
        for who, is_seen in ((ada, True), (eve, False)):
            async with rls.as_user(Requester(who, SessionId(new_id()))) as connection:
                assert bool(await connection.fetch(f"SELECT * FROM {table}")) is is_seen
            for statement in (
                f"UPDATE {table} SET slot_id = NULL",
                f"DELETE FROM {table}",
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table}",
            ):
                with pytest.raises(Forbidden):
                    async with rls.as_user(Requester(who, SessionId(new_id()))) as connection:
                        await connection.execute(statement)
    with pytest.raises(Forbidden):
        async with rls.as_user(Requester(ada, SessionId(new_id()))) as connection:
            await connection.fetch("SELECT * FROM economy_flags")


async def test_erasing_a_person_takes_their_ledger_along_whole(
    market: Market, ada: UserId, slot: str, database: Database
) -> None:
    await market.give(ada, slot, items={"iron": 2}, currencies={"gems": 1}, lore=["end"])
    eve = await market.person()
    await market.give(eve, await market.slot(eve), items={"iron": 3})
    async with database.acquire() as connection:
        await connection.execute("SELECT playhall_auth.erase_person($1)", ada)
    [left] = await market.run("SELECT DISTINCT account_id FROM ledger_entries")
    assert left["account_id"] == eve
    assert await market.run("SELECT FROM unlocks") == []
    await market.assert_balanced()
