"""Definitions, adjustments, and what is implausible, over HTTP."""

import asyncio
from json import loads

import pytest

from protocol.ids import UserId
from protocol.inventory import Bundle, GainRefused
from server.domains.progression.inventory.settings import InventorySettings
from tests.integration.inventory.conftest import SETTINGS, STAFF, Answer, Market

NEW = {"If-None-Match": "*"}
ANY = {"If-Match": "*"}
NOTHING = "00000000-0000-4000-8000-000000000000"


async def acts(market: Market, action: str) -> list[dict[str, object]]:
    return await market.run("SELECT * FROM audit_log WHERE action = $1 ORDER BY id", action)


# ------------------------------------------------------------------ definitions


async def test_definition_is_made_changed_and_deleted_by_its_revision(market: Market) -> None:
    async def put(match: dict[str, str], **content: object) -> Answer:
        body = {"name": "Gear", **content}
        return await market.ask("editor", "PUT", "/admin/items/gear", body, headers=match)

    made = await put(NEW, limits={"per_hour": 5})
    assert (made.status, made.headers["etag"], made["revision"]) == (200, '"1"', 1)
    assert (made["limits"]["per_hour"], made["limits"]["per_day"]) == (5, None)
    assert (await put(NEW)).said == (412, "definition_changed")
    assert (await put({})).said == (428, "match_required")
    changed = await put({"If-Match": '"1"'}, name="Cog", is_retired=True)
    assert (changed["name"], changed["revision"]) == ("Cog", 2)
    assert (await put({"If-Match": '"1"'})).said == (412, "definition_changed")
    read = await market.ask("editor", "GET", "/admin/items/gear")
    assert (read.headers["etag"], read["is_retired"]) == ('"2"', True)

    gone = await market.ask("editor", "DELETE", "/admin/items/gear", headers={"If-Match": '"2"'})
    assert gone.body == {"id": "gear"}
    assert (await market.ask("editor", "GET", "/admin/items/gear")).said == (404, "asset_not_found")
    assert (await put({"If-Match": '"2"'})).said == (412, "definition_changed")
    assert [act["actor"] for act in await acts(market, "item_defined")][-2:] == 2 * [
        STAFF["editor"]
    ]
    [act] = await acts(market, "item_deleted")
    assert act["target"] == "gear"


async def test_definitions_are_listed_for_everybody_without_their_limits(market: Market) -> None:
    await market.define("items", "axe", limits={"per_hour": 5})
    page = await market.ask(None, "GET", "/items", limit=2)
    rest = await market.ask(None, "GET", "/items", limit=2, cursor=page["next"])
    assert [each["item_id"] for each in page["items"] + rest["items"]] == ["axe", "iron", "sword"]
    assert "limits" not in page["items"][0]
    listed = await market.ask(None, "GET", "/currencies")
    assert [(each["currency_id"], each["scope"]) for each in listed["currencies"]] == [
        ("gems", "account"),
        ("gold", "slot"),
    ]
    assert (await market.ask(None, "GET", "/recipes"))["recipes"] == []


async def test_what_is_referred_to_is_not_deleted_but_retired(
    market: Market, ada: UserId, slot: str
) -> None:
    await market.define(
        "recipes", "forge", takes={"items": {"iron": 1}}, gives={"currencies": {"gold": 1}}
    )
    await market.define("items", "chest", use_bundle={"items": {"sword": 1}})
    await market.give(ada, None, currencies={"gems": 1})
    for path in ("items/iron", "items/sword", "currencies/gold", "currencies/gems"):
        refused = await market.ask("editor", "DELETE", f"/admin/{path}", headers=ANY)
        assert refused.said == (409, "definition_in_use"), path
    await market.define("items", "sword", is_retired=True)
    await market.give(ada, slot, items={"chest": 1})
    assert (await market.move(ada, slot, "use", item_id="chest")).said == (409, "asset_retired")
    await market.define("recipes", "forge", takes={}, gives={"items": {"iron": 1}}, is_retired=True)
    assert (await market.move(ada, slot, "craft", recipe_id="forge")).said == (409, "asset_retired")
    assert (await market.ask("editor", "DELETE", "/admin/recipes/forge", headers=NEW)).said == (
        428,
        "match_required",
    )
    assert (await market.ask("editor", "DELETE", "/admin/recipes/forge", headers=ANY)).status == 200
    assert (await market.ask("editor", "DELETE", "/admin/recipes/forge", headers=ANY)).said == (
        404,
        "recipe_not_found",
    )


async def test_definition_that_cannot_be_is_refused(market: Market, ada: UserId, slot: str) -> None:
    async def put(path: str, **content: object) -> tuple[int, str]:
        body = {"name": "X", **content}
        return (await market.ask("editor", "PUT", f"/admin/{path}", body, headers=ANY)).said

    assert await put("recipes/x", takes={"items": {"gone": 1}}, gives={}) == (
        404,
        "asset_not_found",
    )
    assert await put("items/x", use_bundle={"currencies": {"gone": 1}}) == (404, "asset_not_found")
    body = {"name": "X", "takes": {}, "gives": {"items": {"iron": 1, "gone": 1}}}
    refused = await market.ask("editor", "PUT", "/admin/recipes/x", body, headers=ANY)
    assert refused["field"] == "gives.items.gone"
    assert await put("items/x", holding_max=0) == (422, "invalid_field")
    assert await put("items/x", limits={"per_hour": -1}) == (422, "invalid_field")
    assert await put("items/UPPER") == (422, "invalid_field")
    assert await put("items/x", use_bundle={"lore": ["a", "a"]}) == (422, "invalid_field")
    await market.give(ada, None, currencies={"gems": 1})
    assert await put("currencies/gems", scope="slot") == (422, "invalid_field")
    assert await market.run("SELECT FROM recipes") == []
    for n in range(4):
        await market.define("currencies", f"c{n}") if n < 3 else None
    assert await put("currencies/c4") == (409, "too_many_definitions")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/admin/items/iron", {"editor", "admin"}),
        ("PUT", "/admin/items/iron", {"editor", "admin"}),
        ("DELETE", "/admin/recipes/none", {"editor", "admin"}),
        ("POST", "/admin/economy/adjustments", {"support", "admin"}),
        ("GET", f"/admin/economy/ledger?account_id={NOTHING}", {"support", "admin"}),
        ("GET", "/admin/economy/flags", {"moderator", "admin"}),
        ("POST", f"/admin/economy/flags/{NOTHING}/decision", {"moderator", "admin"}),
    ],
)
async def test_staff_does_what_its_role_is_for(
    market: Market, ada: UserId, method: str, path: str, allowed: set[str]
) -> None:
    for who in (*STAFF, ada):
        answer = await market.ask(who, method, path, {} if method in ("PUT", "POST") else None)
        assert (answer.body.get("code") == "forbidden") is (who not in allowed), (who, answer)
    assert (await market.ask(None, method, path)).status == 401


# ------------------------------------------------------------------ adjustments


async def test_support_gives_and_takes_back_on_record(
    market: Market, ada: UserId, slot: str
) -> None:
    given = await market.give(
        ada, slot, items={"sword": 3}, currencies={"gems": 5}, cosmetics=["crown"], key="a"
    )
    assert (given.status, given["kind"], given["cosmetics"]) == (200, "give", ["crown"])
    again = await market.give(
        ada, slot, items={"sword": 3}, currencies={"gems": 5}, cosmetics=["crown"], key="a"
    )
    assert (again["repeated"], again["transaction_id"]) == (True, given["transaction_id"])
    other = await market.give(ada, slot, items={"sword": 4}, key="a")
    assert other.said == (409, "key_reused")
    back = await market.give(
        ada, slot, items={"sword": 2}, cosmetics=["crown"], kind="take_back", reason="Cheated"
    )
    assert (back["kind"], back["reason"]) == ("take_back", "Cheated")
    too_much = await market.give(ada, slot, items={"sword": 2}, kind="take_back")
    assert too_much.said == (409, "not_enough")
    assert await market.held(ada, slot) == ({"sword": 1}, {"gems": 5})
    assert (await market.ask(ada, "GET", "/unlocks", kind="cosmetic"))["unlocks"] == []
    [act] = await acts(market, "economy_give")
    assert (act["actor"], act["target"]) == (STAFF["support"], ada)
    assert len(await acts(market, "economy_take_back")) == 1
    ledger = await market.ask("support", "GET", "/admin/economy/ledger", account_id=ada)
    assert [each["kind"] for each in ledger["transactions"]] == ["take_back", "give"]
    assert len(await acts(market, "ledger_read")) == 1
    await market.assert_balanced()


async def test_adjustment_that_cannot_be_is_refused(market: Market, ada: UserId, slot: str) -> None:
    eve = await market.person()
    for said, asked in (
        ((404, "profile_not_found"), market.give(UserId(NOTHING), None, currencies={"gems": 1})),
        ((404, "save_slot_not_found"), market.give(eve, slot, items={"iron": 1})),
        ((422, "invalid_field"), market.give(ada, None, items={"iron": 1})),
        ((422, "invalid_field"), market.give(ada, None, currencies={"gold": 1})),
        ((422, "invalid_field"), market.give(ada, slot, items={"iron": 1}, reason=" ")),
        (
            (422, "invalid_field"),
            market.give(ada, slot, items={"iron": 1}, metadata={"a": "x" * 3000}),
        ),
        (
            (422, "invalid_field"),
            market.give(ada, slot, items={"iron": 1}, metadata={"a": "\0"}),
        ),
        (
            (400, "bad_frame"),
            market.give(ada, slot, items={"iron": 1}, metadata={"a": loads("[" * 300 + "]" * 300)}),
        ),
        ((404, "asset_not_found"), market.give(ada, slot, items={"gone": 1})),
    ):
        assert (await asked).said == said
    assert await market.run("SELECT FROM ledger_transactions") == []


# ------------------------------------------------------------------ plausibility


async def test_implausible_gain_is_flagged_and_let_through_in_shadow_mode(
    market: Market, ada: UserId, slot: str
) -> None:
    limits = {"per_transaction": 10, "per_hour": 15, "per_day": 1000, "per_play_hour": 18}
    await market.define("items", "iron", is_server_owned=False, limits=limits)
    for amount in (10, 6, 11):
        bundle = {"items": {"iron": amount}}
        assert (await market.move(ada, slot, "collect", bundle=bundle)).status == 200
    queue = await market.ask("moderator", "GET", "/admin/economy/flags")
    flags = {each["rule"]: each for each in queue["flags"]}
    assert {rule: flag["reason"] for rule, flag in flags.items()} == {
        "per_transaction": "11 at once, of at most 10",
        "per_hour": "27 within an hour, of at most 15",
        "per_play_hour": "27 in 0 s of play, of at most 18",
    }
    assert (flags["per_hour"]["times"], flags["per_hour"]["was_refused"]) == (2, False)
    assert {flag["asset"] for flag in queue["flags"]} == {"item:iron"}
    newest = await market.ask(ada, "GET", "/ledger", limit=1)
    assert flags["per_hour"]["transaction_id"] == newest["transactions"][0]["transaction_id"]

    flag = flags["per_hour"]["flag_id"]
    path = f"/admin/economy/flags/{flag}/decision"
    decided = await market.ask("moderator", "POST", path, {"decision": "confirmed", "note": "Bot"})
    assert (decided["status"], decided["note"]) == ("confirmed", "Bot")
    again = await market.ask("moderator", "POST", path, {"decision": "dismissed"})
    assert again.said == (409, "flag_decided")
    none = f"/admin/economy/flags/{NOTHING}/decision"
    assert (await market.ask("moderator", "POST", none, {"decision": "dismissed"})).said == (
        404,
        "flag_not_found",
    )
    assert (await acts(market, "economy_flag"))[0]["target"] == ada
    # The same again is a new entry, since the one before was decided.
    await market.move(ada, slot, "collect", bundle={"items": {"iron": 1}})
    page = await market.ask("moderator", "GET", "/admin/economy/flags", account_id=ada, limit=2)
    rest = await market.ask(
        "moderator", "GET", "/admin/economy/flags", account_id=ada, limit=2, cursor=page["next"]
    )
    assert sorted(each["rule"] for each in page["flags"] + rest["flags"]) == [
        "per_hour",
        "per_play_hour",
        "per_transaction",
    ]
    confirmed = await market.ask("moderator", "GET", "/admin/economy/flags", status="confirmed")
    assert [each["flag_id"] for each in confirmed["flags"]] == [flag]


async def test_implausible_gain_is_refused_where_the_limit_is_enforced(
    market: Market, ada: UserId
) -> None:
    slot = await market.slot(ada, play_time_s=7200)
    limits = {"per_play_hour": 10, "mode": "enforce"}
    await market.define("items", "iron", is_server_owned=False, limits=limits)
    most = {"items": {"iron": 30}}
    # What staff gives is not earned, and does not count.
    await market.give(ada, slot, items={"iron": 100})
    assert (await market.move(ada, slot, "collect", bundle=most)).status == 200
    more = {"key": "more", "bundle": {"items": {"iron": 1}}}
    for _ in range(2):  # a refusal uses no key
        assert (await market.move(ada, slot, "collect", **more)).said == (409, "gain_refused")
    with pytest.raises(GainRefused):
        await market.grant(ada, slot, Bundle(items={"iron": 1}), "quest:1")
    while len(market.tasks):
        await asyncio.sleep(0)
    [flag] = (await market.ask("moderator", "GET", "/admin/economy/flags"))["flags"]
    assert (flag["was_refused"], flag["times"], flag["transaction_id"]) == (True, 3, None)
    assert await market.held(ada, slot) == ({"iron": 130}, {})
    await market.define("items", "iron", is_server_owned=False, limits={**limits, "mode": "off"})
    assert (await market.move(ada, slot, "collect", **more)).status == 200


async def test_other_domains_flag_what_they_find_implausible(
    market: Market, ada: UserId, slot: str
) -> None:
    async with market.database.transaction() as connection:
        await market.service.flag_for_review(
            connection,
            ada,
            slot,
            rule="quest_order",
            subject="quest:end",
            reason="The end comes last",
            mode=None,
        )
    [flag] = (await market.ask("moderator", "GET", "/admin/economy/flags"))["flags"]
    assert (flag["rule"], flag["reason"], flag["asset"]) == (
        "quest_order",
        "The end comes last",
        "quest:end",
    )


class TestEnforced:
    @pytest.fixture
    def settings(self) -> InventorySettings:
        return SETTINGS.model_copy(update={"plausibility": "enforce"})

    async def test_what_other_domains_find_is_refused(
        self, market: Market, ada: UserId, slot: str
    ) -> None:
        with pytest.raises(GainRefused):
            async with market.database.transaction() as connection:
                await market.service.flag_for_review(
                    connection, ada, slot, rule="order", subject="", reason="x", mode=None
                )
        while len(market.tasks):
            await asyncio.sleep(0)
        [flag] = (await market.ask("moderator", "GET", "/admin/economy/flags"))["flags"]
        assert flag["was_refused"]
