"""Wallets linked by real signatures, over a real port on a real database."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from persistence.rls import Requester
from protocol.ids import SessionId, new_id
from tests.integration.bots.conftest import Json, Node, Person, address

WALLETS = "/v1/me/wallets"


def _key() -> PrivateKey:
    return PrivateKey(keccak(text=new_id()))


def _address(key: PrivateKey) -> str:
    return str(key.public_key.to_checksum_address())


def _signature(key: PrivateKey, message: str, *, is_legacy: bool = True) -> str:
    """Sign as wallets do (EIP-191)."""
    data = message.encode()
    digest = keccak(b"\x19Ethereum Signed Message:\n" + str(len(data)).encode() + data)
    signed = key.sign_msg_hash(digest).to_bytes()
    return "0x" + (signed[:64] + bytes([signed[64] + (27 if is_legacy else 0)])).hex()


async def _nonce(node: Node, person: Person) -> str:
    return str((await node.ok(person, "POST", "/v1/wallets/nonce"))["nonce"])


def _message(node: Node, key: PrivateKey, nonce: str, **other: object) -> str:
    url = str(node.http._base_url).rstrip("/")
    said = {
        "domain": url.partition("://")[2],
        "address": _address(key),
        "uri": f"{url}/login",
        "issued_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "more": "",
        **other,
    }
    return (
        f"{said['domain']} wants you to sign in with your Ethereum account:\n"
        f"{said['address']}\n\nLink this wallet to my account.\n\n"
        f"URI: {said['uri']}\nVersion: 1\nChain ID: 1\nNonce: {nonce}\n"
        f"Issued At: {said['issued_at']}{said['more']}"
    )


async def _proof(node: Node, person: Person, key: PrivateKey, **other: object) -> Json:
    message = _message(node, key, await _nonce(node, person), **other)
    return {"message": message, "signature": _signature(key, message)}


@pytest.fixture
async def ann(node: Node) -> Person:
    return await node.person()


@pytest.mark.parametrize("is_legacy", [True, False])
async def test_signed_message_links_the_wallet_that_signed(
    node: Node, ann: Person, is_legacy: bool
) -> None:
    key = _key()
    asked = await node.ok(ann, "POST", "/v1/wallets/nonce")
    own = str(node.http._base_url).rstrip("/").partition("://")[2]
    assert asked["domains"] == [own, "play.example", "next.example"]
    message = _message(node, key, asked["nonce"])
    body = {"message": message, "signature": _signature(key, message, is_legacy=is_legacy)}
    linked = (await node.ok(ann, "POST", WALLETS, body))["wallets"]
    assert [each["address"] for each in linked] == [_address(key).lower()]
    assert (await node.ok(ann, "GET", WALLETS))["wallets"] == linked


async def test_replayed_proof_is_refused(node: Node, ann: Person) -> None:
    body = await _proof(node, ann, _key())
    await node.ok(ann, "POST", WALLETS, body)
    assert await node.refusal(ann, "POST", WALLETS, body) == "bad_nonce"


async def test_of_proofs_that_come_at_once_one_is_taken(node: Node, ann: Person) -> None:
    body = await _proof(node, ann, _key())
    answers = await asyncio.gather(*(node.ask(ann, "POST", WALLETS, body) for _ in range(5)))
    assert sorted(status for status, _ in answers) == [200, 403, 403, 403, 403]


async def test_nonce_that_is_not_ones_own_is_refused(node: Node, ann: Person) -> None:
    eve, key = await node.person(), _key()
    body = await _proof(node, ann, key)
    assert await node.refusal(eve, "POST", WALLETS, body) == "bad_nonce"
    message = _message(node, key, "0123456789abcdef")
    made_up = {"message": message, "signature": _signature(key, message)}
    assert await node.refusal(ann, "POST", WALLETS, made_up) == "bad_nonce"
    await node.ok(ann, "POST", WALLETS, body)


async def test_expired_nonce_is_refused_and_forgotten(node: Node, ann: Person) -> None:
    body = await _proof(node, ann, _key())
    async with node.database.acquire() as connection:
        await connection.execute(
            "UPDATE wallet_nonces SET expires_at = now() WHERE user_id = $1", ann.user_id
        )
    assert await node.refusal(ann, "POST", WALLETS, body) == "bad_nonce"
    await _nonce(node, ann)
    [sweep] = [each for each in node.app.retention.sweeps if each.table == "wallet_nonces"]
    assert await sweep.delete(limit=9) == 1
    async with node.database.acquire() as connection:
        kept = await connection.fetchval(
            "SELECT count(*) FROM wallet_nonces WHERE user_id = $1", ann.user_id
        )
    assert kept == 1


async def test_anothers_signature_is_refused_and_costs_the_nonce(node: Node, ann: Person) -> None:
    key = _key()
    body = await _proof(node, ann, key)
    forged = {**body, "signature": _signature(_key(), body["message"])}
    status, answer = await node.ask(ann, "POST", WALLETS, forged)
    assert (status, answer["code"], answer["field"]) == (403, "bad_wallet_proof", "signature")
    assert await node.refusal(ann, "POST", WALLETS, body) == "bad_nonce"
    assert (await node.ok(ann, "GET", WALLETS))["wallets"] == []


async def test_signature_of_a_changed_message_is_refused(node: Node, ann: Person) -> None:
    body = await _proof(node, ann, _key())
    changed = {**body, "message": body["message"].replace("Link this", "Empty this")}
    assert await node.refusal(ann, "POST", WALLETS, changed) == "bad_wallet_proof"


@pytest.mark.parametrize(
    "signature",
    [
        "0x",
        "0x" + "0" * 129,
        "0x" + "g" * 130,
        "0" * 132,
        None,
    ],
)
async def test_malformed_signature_is_refused(node: Node, ann: Person, signature: object) -> None:
    body = {**await _proof(node, ann, _key()), "signature": signature}
    status, answer = await node.ask(ann, "POST", WALLETS, body)
    assert (status, answer["code"], answer["field"]) == (422, "invalid_field", "signature")


@pytest.mark.parametrize(
    "signature",
    ["00" * 65, "ff" * 65, "00" * 64 + "1b", "ff" * 64 + "1b", "01" * 64 + "1d", "01" * 64 + "1b"],
)
async def test_signature_that_is_none_is_refused(node: Node, ann: Person, signature: str) -> None:
    body = {**await _proof(node, ann, _key()), "signature": f"0x{signature}"}
    assert await node.refusal(ann, "POST", WALLETS, body) == "bad_wallet_proof"


def _ago(**by: float) -> str:
    return (datetime.now(UTC) - timedelta(**by)).isoformat(timespec="seconds")


@pytest.mark.parametrize(
    "other",
    [
        {"domain": "evil.example"},
        {"uri": "https://evil.example/login"},
        {"issued_at": _ago(hours=1)},
        {"issued_at": _ago(hours=-1)},
        {"more": f"\nExpiration Time: {_ago(minutes=1)}"},
        {"more": f"\nNot Before: {_ago(hours=-1)}"},
    ],
)
async def test_message_for_elsewhere_or_another_time_is_refused_and_costs_nothing(
    node: Node, ann: Person, other: dict[str, Any]
) -> None:
    key, nonce = _key(), await _nonce(node, ann)
    for said, expected in ((other, 403), ({}, 200)):
        message = _message(node, key, nonce, **said)
        body = {"message": message, "signature": _signature(key, message)}
        status, answer = await node.ask(ann, "POST", WALLETS, body)
        assert status == expected, answer
        assert expected == 200 or answer["code"] == "bad_wallet_proof"


async def test_message_that_is_none_is_refused(node: Node, ann: Person) -> None:
    body = {"message": "Hello.", "signature": "0x" + "00" * 65}
    status, answer = await node.ask(ann, "POST", WALLETS, body)
    assert (status, answer["code"], answer["field"]) == (422, "invalid_field", "message")


async def test_address_without_its_capitals_is_refused(node: Node, ann: Person) -> None:
    key = _key()
    body = await _proof(node, ann, key, address=_address(key).lower())
    status, answer = await node.ask(ann, "POST", WALLETS, body)
    assert (status, answer["code"]) == (403, "bad_wallet_proof")
    assert _address(key) in answer["message"]


async def test_address_belongs_to_one_account_until_it_is_unlinked(node: Node, ann: Person) -> None:
    bob, key = await node.person(), _key()
    path = f"{WALLETS}/{_address(key)}"
    await node.ok(ann, "POST", WALLETS, await _proof(node, ann, key))
    await node.ok(ann, "POST", WALLETS, await _proof(node, ann, key))
    assert await node.refusal(bob, "POST", WALLETS, await _proof(node, bob, key)) == "wallet_taken"
    assert await node.refusal(bob, "DELETE", path) == "wallet_not_found"
    assert (await node.ok(ann, "DELETE", path))["wallets"] == []
    assert await node.refusal(ann, "DELETE", path) == "wallet_not_found"
    assert await node.refusal(ann, "DELETE", f"{WALLETS}/0x1") == "invalid_field"
    await node.ok(bob, "POST", WALLETS, await _proof(node, bob, key))


async def test_account_links_only_so_many_and_asks_for_only_so_many_nonces(
    node: Node, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.domains.compete.bots.rules.WALLETS_MAX", 1)
    monkeypatch.setattr("server.domains.compete.bots.rules.NONCES_MAX", 2)
    await node.ok(ann, "POST", WALLETS, await _proof(node, ann, _key()))
    second = await _proof(node, ann, _key())
    assert await node.refusal(ann, "POST", WALLETS, second) == "too_many_wallets"
    assert await node.refusal(ann, "POST", "/v1/wallets/nonce") == "rate_limited"


async def test_without_the_extra_no_wallet_is_linked_and_the_refusal_names_it(
    node: Node, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = await _proof(node, ann, _key())
    monkeypatch.setitem(sys.modules, "eth_keys", None)  # as where it is not installed
    for path in ("/v1/wallets/nonce", WALLETS):
        status, answer = await node.ask(ann, "POST", path, body if path == WALLETS else None)
        assert (status, answer["code"]) == (404, "not_set_up")
        assert "playhall-server[blockchain]" in answer["message"]
    assert (await node.ok(ann, "GET", WALLETS))["wallets"] == []
    monkeypatch.undo()
    await node.ok(ann, "POST", WALLETS, body)


async def test_wallets_are_nobody_elses_to_see(node: Node, ann: Person) -> None:
    await node.link(ann, address())
    eve = await node.person()
    assert (await node.ok(eve, "GET", WALLETS))["wallets"] == []
    async with node.app.services.rls.as_user(
        Requester(eve.user_id, SessionId(new_id()))
    ) as connection:
        assert await connection.fetch("SELECT * FROM wallets") == []
    for method, path in (("GET", WALLETS), ("POST", WALLETS), ("POST", "/v1/wallets/nonce")):
        assert await node.refusal(None, method, path, {}) == "bad_token"


async def test_unlinking_the_owners_wallet_ends_the_tokens_that_it_made(
    node: Node, ann: Person
) -> None:
    key = _key()
    await node.ok(ann, "POST", WALLETS, await _proof(node, ann, key))
    ann.wallets.append(_address(key).lower())
    token = await node.pass_of(ann, await node.bot(ann))
    async with node.socket(token) as socket:
        await node.ok(ann, "DELETE", f"{WALLETS}/{ann.wallets[0]}")
        await socket.wait_closed()
        assert socket.close_code == 4103
    assert await node.refusal(token, "GET", "/v1/bots") == "bad_token"
