"""Tokens of bots: who makes them, what they are good for, and when they end."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from websockets.asyncio.client import ClientConnection

from protocol.ids import new_id
from server.domains.compete.bots.rules import token_hash
from tests.integration.bots.conftest import Json, Node, Person, command


@pytest.fixture
async def ann(node: Node) -> Person:
    return await node.person(wallets=1)


@pytest.fixture
async def bot(node: Node, ann: Person) -> Json:
    return await node.bot(ann)


async def _is_closed(socket: ClientConnection) -> None:
    closing = orjson.loads(await socket.recv())
    assert (closing["type"], closing["reason"]) == ("session.closing", "logged_out")
    assert "new one" in closing["message"]
    await socket.wait_closed()
    assert socket.close_code == 4103


async def test_bot_signs_in_as_itself(node: Node, ann: Person, bot: Json) -> None:
    token = await node.pass_of(ann, bot, "claim", "vote")
    who = await node.authenticator.authenticate(token)
    assert who.bot is not None
    assert (who.bot.bot_id, who.bot.scopes) == (bot["bot_id"], {"claim", "vote"})
    assert (who.user_id, who.player_id) == (bot["bot_id"], bot["player_id"])
    assert (who.display_name, who.roles) == (bot["slug"], ())
    async with node.socket(token) as socket:
        assert (await command(socket, "session.ping"))["type"] == "ok"
        assert (await command(socket, "session.refresh", token=token))["type"] == "ok"


async def test_token_is_shown_once_and_stored_as_a_hash(node: Node, ann: Person, bot: Json) -> None:
    path = f"/v1/bots/{bot['slug']}/tokens"
    body = {"label": "laptop", "scopes": ["read", "claim", "read"]}
    made = await node.ok(ann, "POST", path, body)
    secret = made.pop("token")
    assert secret.startswith("pb_")
    assert (made["label"], made["scopes"]) == ("laptop", ["claim", "read"])
    assert (made["created_by_address"], made["revoked_at"]) == (ann.wallets[0], None)
    assert (await node.ok(ann, "GET", path))["tokens"] == [made]
    async with node.database.acquire() as connection:
        row = await connection.fetchrow(
            "SELECT t::text AS text, token_hash FROM bot_tokens t WHERE id = $1", made["token_id"]
        )
    assert row is not None
    assert row["token_hash"] == token_hash(secret)
    assert secret not in row["text"]


async def test_only_the_present_owner_makes_and_sees_tokens(
    node: Node, ann: Person, bot: Json
) -> None:
    bob = await node.person(wallets=1)
    path, body = f"/v1/bots/{bot['slug']}/tokens", {"scopes": ["claim"]}
    assert await node.refusal(bob, "POST", path, body) == "not_the_owner"
    assert await node.refusal(None, "POST", path, body) == "bad_token"
    made = await node.ok(ann, "POST", path, body)
    assert (await node.ok(bob, "GET", path))["tokens"] == []
    assert await node.refusal(bob, "DELETE", f"{path}/{made['token_id']}") == "bot_token_not_found"
    await node.give(bot, bob.wallets[0])
    assert await node.refusal(ann, "POST", path, body) == "not_the_owner"
    await node.ok(bob, "POST", path, body)
    await node.ok(ann, "DELETE", f"{path}/{made['token_id']}")


async def test_bot_has_only_so_many_good_tokens(
    node: Node, ann: Person, bot: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.domains.compete.bots.rules.TOKENS_MAX", 1)
    path, body = f"/v1/bots/{bot['slug']}/tokens", {"scopes": ["claim"]}
    made = await node.ok(ann, "POST", path, body)
    assert await node.refusal(ann, "POST", path, body) == "too_many_bot_tokens"
    await node.ok(ann, "DELETE", f"{path}/{made['token_id']}")
    await node.ok(ann, "POST", path, body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scopes", []),
        ("scopes", ["admin"]),
        ("scopes", None),
        ("label", "x" * 65),
        ("expires_at", "2020-01-01T00:00:00Z"),
        ("expires_at", "2999-01-01T00:00:00Z"),
        ("expires_at", "2030-01-01T00:00:00"),
        ("expires_at", "soon"),
    ],
)
async def test_malformed_token_is_refused_by_the_fields_name(
    node: Node, ann: Person, bot: Json, field: str, value: object
) -> None:
    body = {"scopes": ["claim"], field: value}
    status, answer = await node.ask(ann, "POST", f"/v1/bots/{bot['slug']}/tokens", body)
    assert (status, answer["code"]) == (422, "invalid_field")
    assert answer["field"].startswith(field)


async def test_token_that_is_none_is_refused(node: Node) -> None:
    for token in ("pb_", "pb_nonsense", "pb_" + "a" * 4000):
        assert await node.refusal(token, "GET", "/v1/bots") == "bad_token"


async def test_expired_token_is_refused(node: Node, ann: Person, bot: Json) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"scopes": ["read"], "expires_at": later}
    made = await node.ok(ann, "POST", f"/v1/bots/{bot['bot_id']}/tokens", body)
    await node.ok(made["token"], "GET", "/v1/bots")
    async with node.database.acquire() as connection:
        await connection.execute(
            "UPDATE bot_tokens SET expires_at = now() WHERE id = $1", made["token_id"]
        )
    assert await node.refusal(made["token"], "GET", "/v1/bots") == "token_expired"


# ------------------------------------------------------------------ what bots may not do


async def test_bot_is_refused_what_belongs_to_people(node: Node, ann: Person, bot: Json) -> None:
    token = await node.pass_of(ann, bot)
    for method, path in (
        ("GET", "/v1/me"),
        ("GET", "/v1/me/bots"),
        ("POST", "/v1/bots"),
        ("POST", f"/v1/bots/{bot['slug']}/tokens"),
        ("GET", "/v1/admin/users"),
    ):
        assert await node.refusal(token, method, path, {}) == "forbidden"
    async with node.socket(token) as socket:
        refused = await command(socket, "lobby.create", ruleset="relay", seats=2, name="No")
        assert (refused["type"], refused["code"]) == ("error", "forbidden")
        assert "person's account" in refused["message"]


async def test_every_address_and_command_is_peoples_unless_it_says_otherwise(node: Node) -> None:
    for_bots = {f"{e.method} {e.path}" for e in node.app.endpoints() if e.scope == "bot"}
    assert "GET /v1/bots" in for_bots
    assert not any(" /v1/me" in each or " /v1/admin" in each for each in for_bots)
    staff = ("moderator", "support", "editor", "admin")
    for_staff = {e.path for e in node.app.endpoints() if e.scope in staff}
    assert {e.path for e in node.app.endpoints() if "/admin/" in e.path} <= for_staff
    commands = {
        name for name, route in node.app.services.sessions.routes.items() if route.scope == "bot"
    }
    assert {"session.ping", "session.refresh", "session.logout"} <= commands
    assert {name.partition(".")[0] for name in commands} <= {"session", "epoch"}


# ------------------------------------------------------------------ how it ends


async def test_revoked_token_closes_its_socket_and_opens_no_other(
    node: Node, ann: Person, bot: Json
) -> None:
    path = f"/v1/bots/{bot['slug']}/tokens"
    made = await node.ok(ann, "POST", path, {"scopes": ["claim"]})
    async with node.socket(made["token"]) as socket:
        (left,) = (await node.ok(ann, "DELETE", f"{path}/{made['token_id']}"))["tokens"]
        assert left["revoked_at"] is not None
        await _is_closed(socket)
    assert await node.refusal(made["token"], "GET", "/v1/bots") == "bad_token"
    again = await node.ok(ann, "DELETE", f"{path}/{made['token_id']}")
    assert again["tokens"] == [left]
    assert await node.refusal(ann, "DELETE", f"{path}/{new_id()}") == "bot_token_not_found"
    assert await node.refusal(ann, "DELETE", f"{path}/x") == "invalid_field"


async def test_bot_with_a_new_owner_is_signed_out_and_stays_out(
    node: Node, ann: Person, bot: Json
) -> None:
    bob = await node.person(wallets=1)
    token = await node.pass_of(ann, bot)
    async with node.socket(token) as socket:
        await node.give(bot, bob.wallets[0])
        await _is_closed(socket)
    assert await node.refusal(token, "GET", "/v1/bots") == "bad_token"
    async with node.socket(await node.pass_of(bob, bot)):
        pass


@pytest.mark.parametrize("status", ["suspended", "retired"])
async def test_bot_that_is_not_active_is_signed_out(
    node: Node, ann: Person, bot: Json, status: str
) -> None:
    mod = await node.person(role="moderator")
    token = await node.pass_of(ann, bot)
    path = f"/v1/admin/bots/{bot['slug']}/status"
    async with node.socket(token) as socket:
        await node.ok(mod, "PUT", path, {"status": status, "reason": "Spam."})
        await _is_closed(socket)
    assert await node.refusal(token, "GET", "/v1/bots") == "bad_token"
    body = {"scopes": ["claim"]}
    tokens = f"/v1/bots/{bot['slug']}/tokens"
    assert await node.refusal(ann, "POST", tokens, body) == "bot_not_active"
    await node.ok(mod, "PUT", path, {"status": "active", "reason": "Appealed."})
    async with node.socket(token):
        pass


@pytest.mark.parametrize(
    "ending",
    [
        "DELETE FROM wallets WHERE user_id = $1",
        "INSERT INTO account_bans (user_id, reason) VALUES ($1, 'Spam.')",
        "UPDATE profiles SET is_active = false WHERE id = $1",
    ],
)
async def test_bot_is_signed_out_when_nobody_answers_for_it(
    node: Node, ann: Person, bot: Json, ending: str
) -> None:
    token = await node.pass_of(ann, bot)
    async with node.socket(token) as socket:
        async with node.database.acquire() as connection:
            await connection.execute(ending, ann.user_id)
        await _is_closed(socket)
    assert await node.refusal(token, "GET", "/v1/bots") == "bad_token"


async def test_logout_closes_the_socket_and_leaves_the_token_good(
    node: Node, ann: Person, bot: Json
) -> None:
    token = await node.pass_of(ann, bot)
    async with node.socket(token) as socket:
        assert (await command(socket, "session.logout"))["type"] == "ok"
        await socket.wait_closed()
        assert socket.close_code == 4103
    async with node.socket(token):
        pass


async def test_person_stays_when_bots_tokens_are_looked_at(node: Node, ann: Person) -> None:
    async with node.socket(ann.token) as socket:
        await node.authenticator.poll()
        assert (await command(socket, "session.ping"))["type"] == "ok"
