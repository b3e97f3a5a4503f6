"""Avatars added, looked at by moderators, worn and taken off; what a bot had come to."""

import asyncio
from hashlib import sha256

import pytest

from persistence.accounts.audit_log import read_entries
from persistence.bots.avatars import SQL
from persistence.database import Connection
from persistence.queries import load_queries
from persistence.rls import Requester
from protocol.errors import Forbidden
from protocol.ids import EpochId, SessionId, new_id
from tests.integration.bots.conftest import Json, Node, Person

BODY = {"source_provider": "meshy", "glb_uri": "ipfs://Qm/a.glb", "prompt": "A brass owl."}


@pytest.fixture
async def ann(node: Node) -> Person:
    return await node.person(wallets=1)


@pytest.fixture
async def mod(node: Node) -> Person:
    return await node.person(role="moderator")


@pytest.fixture
async def bot(node: Node, ann: Person) -> Json:
    return await node.bot(ann)


async def _add(node: Node, who: Person, bot: Json, **fields: object) -> Json:
    return await node.ok(who, "POST", f"/v1/bots/{bot['slug']}/avatars", {**BODY, **fields})


async def _moderate(node: Node, mod: Person, avatar: Json, status: str) -> Json:
    body = {"moderation_status": status, "reason": "Looked at it."}
    return await node.ok(mod, "PATCH", f"/v1/avatars/{avatar['avatar_id']}", body)


async def _approved(node: Node, ann: Person, mod: Person, bot: Json) -> Json:
    return await _moderate(node, mod, await _add(node, ann, bot), "approved")


def _wear(bot: Json, avatar: Json) -> tuple[str, str, Json]:
    return "PUT", f"/v1/bots/{bot['slug']}/avatar", {"avatar_id": avatar["avatar_id"]}


async def _active(node: Node, bot: Json) -> object:
    return (await node.ok(None, "GET", f"/v1/bots/{bot['slug']}"))["active_avatar_id"]


async def test_avatar_waits_for_a_moderator_and_is_its_owners_to_see(
    node: Node, ann: Person, mod: Person, bot: Json
) -> None:
    made = await _add(node, ann, bot, preview_image_uri="https://a.example/p.png?size=2")
    assert (made["generation_index"], made["moderation_status"]) == (1, "pending")
    assert (made["bot_id"], made["prompt"]) == (bot["bot_id"], "A brass owl.")
    path, eve = f"/v1/bots/{bot['slug']}/avatars", await node.person(wallets=1)
    for who, expected in ((ann, [made]), (mod, [made]), (eve, []), (None, [])):
        assert (await node.ok(who, "GET", path))["avatars"] == expected
    await _moderate(node, mod, made, "approved")
    (seen,) = (await node.ok(eve, "GET", path))["avatars"]
    assert seen == {**made, "moderation_status": "approved", "prompt": None}


async def test_prompts_are_nobodys_to_read_in_the_database(node: Node, bot: Json) -> None:
    eve = await node.person()
    requester = Requester(eve.user_id, SessionId(new_id()))
    with pytest.raises(Forbidden):
        async with node.app.services.rls.as_user(requester) as connection:
            await connection.fetch("SELECT prompt FROM bot_avatars")


async def test_avatars_that_come_at_once_are_numbered_without_a_gap(
    node: Node, ann: Person, bot: Json
) -> None:
    made = await asyncio.gather(*(_add(node, ann, bot) for _ in range(8)))
    assert sorted(each["generation_index"] for each in made) == list(range(1, 9))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("glb_uri", "http://a.example/a.glb"),
        ("glb_uri", "ipfs://"),
        ("glb_uri", "file:///etc/passwd"),
        ("glb_uri", "https://a.example/" + "a" * 500),
        ("preview_image_uri", "data:image/png;base64,AA"),
        ("manifest_uri", "https://user@a.example/m"),
        ("source_provider", "magic"),
        ("prompt", "x" * 2001),
        ("prompt", "nul\0"),
        ("generation_index", 7),
        ("moderation_status", "approved"),
    ],
)
async def test_malformed_avatar_is_refused_by_the_fields_name(
    node: Node, ann: Person, bot: Json, field: str, value: object
) -> None:
    body = {**BODY, field: value}
    status, answer = await node.ask(ann, "POST", f"/v1/bots/{bot['slug']}/avatars", body)
    assert (status, answer["code"], answer["field"]) == (422, "invalid_field", field)


async def test_bot_has_only_so_many_avatars(
    node: Node, ann: Person, bot: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.domains.compete.bots.rules.AVATARS_MAX", 1)
    await _add(node, ann, bot)
    path = f"/v1/bots/{bot['slug']}/avatars"
    assert await node.refusal(ann, "POST", path, BODY) == "too_many_avatars"


async def test_avatars_are_the_owners_to_add_and_to_choose(
    node: Node, ann: Person, mod: Person, bot: Json
) -> None:
    avatar, eve = await _approved(node, ann, mod, bot), await node.person(wallets=1)
    path = f"/v1/bots/{bot['slug']}/avatars"
    for who, code in ((eve, "not_the_owner"), (mod, "not_the_owner"), (None, "bad_token")):
        assert await node.refusal(who, "POST", path, BODY) == code
        assert await node.refusal(who, *_wear(bot, avatar)) == code
    await node.give(bot, eve.wallets[0])
    assert await node.refusal(ann, *_wear(bot, avatar)) == "not_the_owner"
    await node.ok(eve, *_wear(bot, avatar))


async def test_suspended_bot_gets_no_avatar(
    node: Node, ann: Person, mod: Person, bot: Json
) -> None:
    avatar = await _approved(node, ann, mod, bot)
    body = {"status": "suspended", "reason": "Spam."}
    await node.ok(mod, "PUT", f"/v1/admin/bots/{bot['slug']}/status", body)
    path = f"/v1/bots/{bot['slug']}/avatars"
    assert await node.refusal(ann, "POST", path, BODY) == "bot_not_active"
    assert await node.refusal(ann, *_wear(bot, avatar)) == "bot_not_active"


# ------------------------------------------------------------------ wearing


async def test_approved_avatar_is_worn_and_who_chose_it_is_noted(
    node: Node, ann: Person, mod: Person, bot: Json
) -> None:
    avatar = await _approved(node, ann, mod, bot)
    shown = await node.ok(ann, *_wear(bot, avatar))
    assert shown["active_avatar_id"] == avatar["avatar_id"] == await _active(node, bot)
    async with node.database.acquire() as connection:
        rows = await connection.fetch(
            "SELECT avatar_id, selected_by_address FROM bot_avatar_loadouts"
            " WHERE bot_identity_id = $1",
            bot["bot_id"],
        )
    assert [tuple(row) for row in rows] == [(avatar["avatar_id"], ann.wallets[0])]


async def test_only_an_approved_avatar_of_its_own_is_worn(
    node: Node, ann: Person, mod: Person, bot: Json
) -> None:
    pending = await _add(node, ann, bot)
    rejected = await _moderate(node, mod, await _add(node, ann, bot), "rejected")
    others = await _approved(node, ann, mod, await node.bot(ann))
    for avatar, code in (
        (pending, "avatar_not_approved"),
        (rejected, "avatar_not_approved"),
        (others, "avatar_not_found"),
        ({"avatar_id": new_id()}, "avatar_not_found"),
        ({"avatar_id": "1"}, "invalid_field"),
    ):
        assert await node.refusal(ann, *_wear(bot, avatar)) == code
    assert await _active(node, bot) is None
    async with node.database.acquire() as connection:
        noted = "SELECT count(*) FROM bot_avatar_loadouts WHERE bot_identity_id = $1"
        assert await connection.fetchval(noted, bot["bot_id"]) == 0


@pytest.mark.parametrize("status", ["rejected", "pending"])
async def test_avatar_that_is_no_longer_approved_is_taken_off(
    node: Node, ann: Person, mod: Person, bot: Json, status: str
) -> None:
    worn, other = [await _approved(node, ann, mod, bot) for _ in range(2)]
    await node.ok(ann, *_wear(bot, worn))
    await _moderate(node, mod, other, status)
    assert await _active(node, bot) == worn["avatar_id"]
    await _moderate(node, mod, worn, status)
    assert await _active(node, bot) is None


async def _until_somebody_waits(connection: Connection) -> None:
    """Wait until another connection waits for a lock that this one holds."""
    waiting = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
    )
    async with asyncio.timeout(10):
        while not await connection.fetchval(waiting):
            await asyncio.sleep(0.005)


async def test_avatar_that_is_being_rejected_is_not_worn(
    node: Node, ann: Person, mod: Person, bot: Json
) -> None:
    avatar = await _approved(node, ann, mod, bot)
    async with node.database.transaction() as connection:
        await connection.execute(SQL["moderate"], avatar["avatar_id"], "rejected")
        wearing = asyncio.ensure_future(node.ask(ann, *_wear(bot, avatar)))
        await _until_somebody_waits(connection)
    status, answer = await wearing
    assert (status, answer["code"]) == (409, "avatar_not_approved")
    assert await _active(node, bot) is None


async def test_avatar_that_is_rejected_while_it_is_put_on_is_taken_off(
    node: Node, ann: Person, mod: Person, bot: Json
) -> None:
    avatar = await _approved(node, ann, mod, bot)
    async with node.database.transaction() as connection:
        await connection.execute(SQL["wear"], bot["bot_id"], avatar["avatar_id"], ann.user_id)
        rejecting = asyncio.ensure_future(_moderate(node, mod, avatar, "rejected"))
        await _until_somebody_waits(connection)
    await rejecting
    assert await _active(node, bot) is None


# ------------------------------------------------------------------ moderation


async def test_moderation_is_by_role_and_on_record(
    node: Node, ann: Person, mod: Person, bot: Json
) -> None:
    avatar = await _add(node, ann, bot)
    path, body = f"/v1/avatars/{avatar['avatar_id']}", {"moderation_status": "approved"}
    said = {**body, "reason": "Fine."}
    assert await node.refusal(ann, "PATCH", path, said) == "forbidden"
    assert await node.refusal(ann, "GET", "/v1/admin/avatars") == "forbidden"
    assert await node.refusal(mod, "PATCH", path, body) == "invalid_field"
    assert await node.refusal(mod, "PATCH", f"/v1/avatars/{new_id()}", said) == "avatar_not_found"
    await node.ok(mod, "PATCH", path, said)
    (act,) = await read_entries(node.database, below=2**62, limit=5, target=avatar["avatar_id"])
    assert (act.actor, act.action) == (mod.user_id, "moderate_avatar")
    assert (act.before, b"Fine." in (act.after or b"")) == (
        b'{"moderation_status": "pending"}',
        True,
    )


async def test_moderators_find_what_waits_the_oldest_first(
    node: Node, ann: Person, mod: Person, bot: Json
) -> None:
    first, second, approved = [await _add(node, ann, bot) for _ in range(3)]
    await _moderate(node, mod, approved, "approved")
    found = (await node.ok(mod, "GET", "/v1/admin/avatars", limit=100))["avatars"]
    ours = [each for each in found if each["bot_id"] == bot["bot_id"]]
    assert ours == [first, second]


# ------------------------------------------------------------------ what a bot had come to


async def _epoch(node: Node, day: str) -> EpochId:
    async with node.database.acquire() as connection:
        profile = await connection.fetchval(
            "INSERT INTO epoch_profiles (profile_key, version, config) VALUES ($1, 1, '{}')"
            " RETURNING id",
            f"p-{new_id()}",
        )
        return EpochId(
            await connection.fetchval(
                "INSERT INTO epochs (day_date, profile_id, starts_at, freeze_at, ends_at)"
                " VALUES ($1::text::date, $2, $1::text::date, $1::text::date + interval '23 h',"
                " $1::text::date + interval '1 d') RETURNING id",
                day,
                profile,
            )
        )


async def _note(node: Node, bot: Json, epoch: EpochId, uri: str, content: bytes) -> None:
    """Note a bot's figures as the archiving of a day does."""
    async with node.database.acquire() as connection:
        digest = sha256(content).hexdigest()
        add = load_queries("epochs/steps")["add_bot_stats"]
        await connection.execute(add, bot["bot_id"], epoch, uri, digest)


async def test_snapshot_is_read_with_the_hash_of_its_content(node: Node, bot: Json) -> None:
    epoch = await _epoch(node, "2030-01-01")
    for _ in range(2):
        await _note(node, bot, epoch, "ipfs://Qm/1", b'{"wins": 3}')
    (noted,) = (await node.ok(None, "GET", f"/v1/bots/{bot['slug']}/stats"))["snapshots"]
    assert (noted["epoch_id"], noted["snapshot_uri"]) == (epoch, "ipfs://Qm/1")
    assert noted["snapshot_hash"] == sha256(b'{"wins": 3}').hexdigest()


async def test_snapshots_are_listed_newest_first_a_page_at_a_time(node: Node, bot: Json) -> None:
    days = [await _epoch(node, f"2030-02-0{day}") for day in range(1, 6)]
    for day in days:
        await _note(node, bot, day, f"ipfs://Qm/{day}", b"")
    found: list[str] = []
    query: dict[str, object] = {"limit": 2}
    while True:
        page = await node.ok(None, "GET", f"/v1/bots/{bot['slug']}/stats", **query)
        found += [each["epoch_id"] for each in page["snapshots"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert found == days[::-1]
    for cursor in ("before-1", "x", f"before-{'9' * 18}-{new_id()}"):
        path = f"/v1/bots/{bot['slug']}/stats"
        assert await node.refusal(None, "GET", path, cursor=cursor) == "invalid_field"
