"""Bots registered, found, owned and suspended, over a real port on a real database."""

from datetime import timedelta
from typing import Any

import pytest

from persistence.accounts.audit_log import read_entries
from protocol.ids import new_id
from tests.integration.bots.conftest import CONTRACT, Node, address

LARGEST = str(2**256 - 1)


def _body(**fields: object) -> dict[str, Any]:
    return {
        "slug": f"bot-{int(new_id()[:8], 16)}",
        "chain_id": 1,
        "contract_address": CONTRACT,
        "token_id": str(int(new_id()[:8], 16)),
        **fields,
    }


async def test_registered_bot_is_found_by_slug_and_by_id(node: Node) -> None:
    ann = await node.person(wallets=1)
    body = _body(
        contract_address="0x" + "AB" * 20, token_id=LARGEST, metadata_uri="ipfs://Qm/bot.json"
    )
    made = await node.ok(ann, "POST", "/v1/bots", body)
    assert made == {
        **body,
        "contract_address": "0x" + "ab" * 20,
        "bot_id": made["bot_id"],
        "player_id": made["player_id"],
        "created_at": made["created_at"],
        "active_avatar_id": None,
        "status": "active",
    }
    for name in (made["slug"], made["bot_id"]):
        assert await node.ok(None, "GET", f"/v1/bots/{name}") == made


async def test_registered_bot_is_a_player_without_an_account(node: Node) -> None:
    bot = await node.bot(await node.person(wallets=1))
    async with node.database.acquire() as connection:
        row = await connection.fetchrow(
            "SELECT display_name, is_bot, user_id FROM players WHERE id = $1", bot["player_id"]
        )
    assert tuple(row or ()) == (bot["slug"], True, None)


async def test_bot_is_registered_only_by_somebody_with_a_wallet(node: Node) -> None:
    assert await node.refusal(await node.person(), "POST", "/v1/bots", _body()) == "wallet_required"
    assert await node.refusal(None, "POST", "/v1/bots", _body()) == "bad_token"


async def test_slug_and_token_are_registered_once(node: Node) -> None:
    ann = await node.person(wallets=1)
    body = _body()
    await node.ok(ann, "POST", "/v1/bots", body)
    for again, field in (
        (_body(slug=body["slug"]), "slug"),
        (_body(token_id=body["token_id"]), "token_id"),
    ):
        status, answer = await node.ask(ann, "POST", "/v1/bots", again)
        assert (status, answer["code"], answer["field"]) == (409, "bot_taken", field)
    await node.ok(ann, "POST", "/v1/bots", _body(token_id=body["token_id"], chain_id=2))


async def test_account_registers_only_so_many(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.domains.compete.bots.rules.BOTS_MAX", 1)
    ann = await node.person(wallets=1)
    await node.ok(ann, "POST", "/v1/bots", _body())
    assert await node.refusal(ann, "POST", "/v1/bots", _body()) == "too_many_bots"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slug", "Bot"),
        ("slug", "b"),
        ("slug", "b" * 49),
        ("slug", "00000000-0000-4000-8000-000000000001"),
        ("slug", "bot\n"),
        ("chain_id", 0),
        ("chain_id", 2**31),
        ("contract_address", "0x" + "g" * 40),
        ("contract_address", "ab" * 20),
        ("token_id", str(2**256)),
        ("token_id", "007"),
        ("token_id", "-1"),
        ("token_id", 7),
        ("token_id", "٣"),
        ("metadata_uri", "http://a.example/b"),
        ("metadata_uri", "javascript:alert(1)"),
        ("metadata_uri", "https://user:secret@a.example/"),
        ("metadata_uri", "https://a.example/ b"),
        ("metadata_uri", "ipfs://"),
        ("owner", "0x" + "a" * 40),
    ],
)
async def test_malformed_bot_is_refused_by_the_fields_name(
    node: Node, field: str, value: object
) -> None:
    status, answer = await node.ask(
        await node.person(wallets=1), "POST", "/v1/bots", _body(**{field: value})
    )
    assert (status, answer["code"], answer["field"]) == (422, "invalid_field", field)


async def test_bots_are_listed_by_slug_a_page_at_a_time(node: Node) -> None:
    ann = await node.person(wallets=1)
    key = new_id()[:8]
    slugs = [f"{letter}-{key}" for letter in "dacbe"]
    for slug in slugs:
        await node.ok(ann, "POST", "/v1/bots", _body(slug=slug))
    found: list[str] = []
    query: dict[str, object] = {"text": key.upper(), "limit": 2}
    while True:
        page = await node.ok(None, "GET", "/v1/bots", **query)
        found += [bot["slug"] for bot in page["bots"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == sorted(slugs)


@pytest.mark.parametrize("cursor", ["abc", "%%%", "AAAA", "é", "7"])
async def test_cursor_that_was_not_given_is_refused(node: Node, cursor: str) -> None:
    assert await node.refusal(None, "GET", "/v1/bots", cursor=cursor) == "invalid_field"


async def test_unknown_bot_is_not_found(node: Node) -> None:
    for name in ("nobody-here", new_id(), "B%20%00"):
        assert await node.refusal(None, "GET", f"/v1/bots/{name}") in (
            "bot_not_found",
            "invalid_field",
        )


# ------------------------------------------------------------------ who owns it


async def test_admin_says_who_owns_a_bot_and_it_is_on_record(node: Node) -> None:
    ann, admin = await node.person(wallets=1), await node.person(role="admin")
    bot = await node.bot(ann)
    new = "0x" + new_id().replace("-", "").upper() + "00000000"
    body = {"address": new, "reason": "Sold by contract."}
    history = await node.ok(admin, "PUT", f"/v1/admin/bots/{bot['slug']}/owner", body)
    now, before = history["owners"]
    assert (now["address"], now["effective_to"]) == (new.lower(), None)
    assert before["address"] == ann.wallets[0]
    assert before["effective_to"] == now["effective_from"]
    assert {now["source"], before["source"]} == {"admin_correction"}
    (act, _) = await read_entries(node.database, below=2**62, limit=5, target=bot["bot_id"])
    assert (act.actor, act.action) == (admin.user_id, "set_bot_owner")
    assert b"Sold by contract." in (act.after or b"")


async def test_owner_and_status_are_set_by_role_only(node: Node) -> None:
    ann, mod = await node.person(wallets=1), await node.person(role="moderator")
    path = f"/v1/admin/bots/{(await node.bot(ann))['slug']}"
    owner = {"address": address(), "reason": "Mine."}
    status = {"status": "suspended", "reason": "Spam."}
    for who, part, body in ((ann, "owner", owner), (mod, "owner", owner), (ann, "status", status)):
        assert await node.refusal(who, "PUT", f"{path}/{part}", body) == "forbidden"
    for who in (ann, mod):
        assert await node.refusal(who, "GET", f"{path}/owners") == "forbidden"
    assert (await node.ok(mod, "PUT", f"{path}/status", status))["status"] == "suspended"
    assert await node.refusal(mod, "PUT", f"{path}/status", {"status": "gone", "reason": "x"})


async def test_owner_at_a_moment_is_exact_at_the_boundaries(node: Node) -> None:
    ann = await node.person(wallets=2)
    bot, never_owned = await node.bot(ann), new_id()
    await node.give(bot, ann.wallets[1])
    store = node.bots
    new, old = await store.list_owners(bot["bot_id"])
    assert old.effective_to == new.effective_from
    tick, asked = timedelta(microseconds=1), [bot["bot_id"], never_owned]
    for at, owner in (
        (old.effective_from - tick, None),
        (old.effective_from, old.address),
        (new.effective_from - tick, old.address),
        (new.effective_from, new.address),
        (new.effective_from + timedelta(days=1), new.address),
    ):
        expected = {} if owner is None else {bot["bot_id"]: owner}
        assert await store.find_owners_at(asked, at) == expected


async def test_own_bots_are_those_that_ones_wallets_own_now(node: Node) -> None:
    ann, bob = await node.person(wallets=2), await node.person(wallets=1)
    first, second = await node.bot(ann), await node.bot(ann)
    await node.give(second, bob.wallets[0])
    assert [b["slug"] for b in (await node.ok(ann, "GET", "/v1/me/bots"))["bots"]] == [
        first["slug"]
    ]
    assert [b["slug"] for b in (await node.ok(bob, "GET", "/v1/me/bots"))["bots"]] == [
        second["slug"]
    ]
