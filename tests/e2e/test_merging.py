"""Merging two accounts over HTTP, on a real node: both sides' data stays, and it can be undone."""

import asyncio
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import asyncpg

from persistence.accounts.merge_decisions import MERGE_DECISIONS
from tests.e2e.conftest import MERGE, PREVIEW, World
from tests.faults.recording import table
from tests.fixtures.http import bearer


async def test_both_sides_data_stays_and_comes_apart_again(world: World) -> None:
    stays = await world.guest(display_name="Ada")
    async with table(lambda: world.node.url, "relay", humans=2) as [host, other]:
        await host.act({"type": "end", "scores": {}})
        await other.see_the_end()
    merged = other.tokens
    for who, names in ((stays, ("MORDIG1", "BEXLOR2")), (merged, ("MORDIG1", "TOVRUN3"))):
        for name in names:
            await world.good("POST", "/v1/blueprints", who, name=name, data={"of": name})
    await world.owner.execute(
        "INSERT INTO wallets (address, user_id) VALUES ($1, $2)",
        "0x" + "a" * 40,
        merged["user_id"],
    )
    await world.owner.execute(
        "UPDATE profiles SET xp_total = 5 WHERE id = $1; ".replace("$1", f"'{stays['user_id']}'")
        + f"UPDATE profiles SET xp_total = 7 WHERE id = '{merged['user_id']}'"
    )
    world.node.grant(merged["user_id"], "moderator")
    before = await world.rows()

    preview = await world.preview(stays, merged)
    assert preview["account"]["player_id"] == merged["player_id"]
    moves = {(each["table"], each["column"]): each for each in preview["moves"]}
    assert moves[("blueprints", "owner_id")] == {
        "table": "blueprints",
        "column": "owner_id",
        "rows": 1,
        "kept": 1,
    }
    assert moves[("wallets", "user_id")]["rows"] == 1
    assert await world.rows() == before  # a preview changes nothing

    done = await world.good("POST", MERGE, stays, merge_token=preview["merge_token"])
    assert done["tokens"]["user_id"] == stays["user_id"]
    for ended in (stays, merged):
        assert (await world.ask("GET", "/v1/me", ended))[1]["code"] == "bad_token"
    now = done["tokens"]
    assert (await world.good("GET", "/v1/me", now))["xp_total"] == 12
    profile = await world.good("GET", f"/v1/profiles/{stays['user_id']}")
    assert profile["xp_total"] == 12
    listed = await world.good("GET", "/v1/me/blueprints", now)
    assert {each["name"] for each in listed["blueprints"]} == {"MORDIG1", "BEXLOR2", "TOVRUN3"}
    path = f"/v1/players/{merged['player_id']}/matches"
    history = await world.good("GET", path, now)
    assert [match["game_id"] for match in history["matches"]] == [other.game_id]
    # No role came along, and whoever signs in to the merged account is in the one that stays.
    assert (await world.ask("GET", "/v1/admin/users?text=a", now))[0] == 403
    username = preview["account"]["username"]
    assert (await world.good("POST", "/v1/auth/dev", name=username))["user_id"] == stays["user_id"]
    async with world.web.get("/v1/me/export", headers=bearer(now["access_token"])) as reply:
        with zipfile.ZipFile(io.BytesIO(await reply.read())) as archive:
            names = [
                json.loads(line)["name"]
                for line in archive.read("tables/blueprints.jsonl").splitlines()
            ]
    assert sorted(names) == ["BEXLOR2", "MORDIG1", "MORDIG1", "TOVRUN3"]

    [listed] = (await world.good("GET", "/v1/me/merges", now))["merges"]
    assert (listed["merge_id"], listed["can_undo"]) == (done["merge_id"], True)
    undone = await world.good("POST", f"/v1/me/merges/{done['merge_id']}/undo", now)
    assert (undone["moved"], undone["missing"]) == (2, 0)
    assert await world.rows() == before
    assert undone["merged_tokens"]["player_id"] == merged["player_id"]
    assert (await world.good("GET", "/v1/me", undone["merged_tokens"]))["xp_total"] == 7
    status, refused = await world.ask(
        "POST", f"/v1/me/merges/{done['merge_id']}/undo", undone["tokens"]
    )
    assert (status, refused["code"]) == (409, "merge_final")
    events = await world.owner.fetch(
        "SELECT name, payload ->> 'merged_user_id' AS id FROM event_outbox"
        " WHERE name LIKE 'user.merge%' ORDER BY seq"
    )
    assert [tuple(event) for event in events] == [
        ("user.merged", merged["user_id"]),
        ("user.merge_undone", merged["user_id"]),
    ]


async def test_sign_in_methods_move_and_both_addresses_sign_in(world: World) -> None:
    first, second = [await world.registered(f"{name}@example.org") for name in ("ann", "bea")]
    guest = await world.guest()

    done = await world.merged(guest, first)  # a guest takes the method over
    now = done["tokens"]
    assert not (await world.good("GET", "/v1/me", now))["is_anonymous"]
    again = await world.good(
        "POST", "/v1/auth/email/sign-in", email="ann@example.org", password="correct horse"
    )
    assert again["user_id"] == guest["user_id"]

    preview = await world.preview(again, second)
    assert (preview["methods"], preview["methods_kept"]) == ([], ["email"])
    later = await world.good("POST", MERGE, again, merge_token=preview["merge_token"])
    other = await world.good(
        "POST", "/v1/auth/email/sign-in", email="bea@example.org", password="correct horse"
    )
    assert other["user_id"] == guest["user_id"]
    methods = (await world.good("GET", "/v1/me/methods", other))["methods"]
    assert [method["name"] for method in methods] == ["ann@example.org", "bea@example.org"]

    undo = f"/v1/me/merges/{later['merge_id']}/undo"
    status, refused = await world.ask("POST", undo, later["tokens"])
    assert (status, refused["code"]) == (403, "sign_in_again")
    other = (await world.good("POST", undo, other))["tokens"]
    undo = f"/v1/me/merges/{done['merge_id']}/undo"
    status, refused = await world.ask("POST", undo, other)
    assert (status, refused["code"]) == (403, "sign_in_again")  # no token is traded for another
    again = await world.good(
        "POST", "/v1/auth/email/sign-in", email="ann@example.org", password="correct horse"
    )
    other = (await world.good("POST", undo, again))["tokens"]
    assert (await world.good("GET", "/v1/me", other))["is_anonymous"]
    for email, tokens in (("ann@example.org", first), ("bea@example.org", second)):
        signed_in = await world.good(
            "POST", "/v1/auth/email/sign-in", email=email, password="correct horse"
        )
        assert signed_in["user_id"] == tokens["user_id"]


async def test_what_would_surprise_somebody_is_refused(world: World) -> None:
    stays, merged, third = [await world.guest() for _ in range(3)]

    async def refused(path: str, who: Any, **body: str) -> tuple[int, str, str | None]:
        status, answer = await world.ask("POST", path, who, **body)
        return status, answer["code"], answer.get("field")

    own = {"access_token": stays["access_token"]}
    assert await refused(PREVIEW, stays, **own) == (422, "invalid_field", "access_token")
    nonsense = {"access_token": "nonsense"}
    assert await refused(PREVIEW, stays, **nonsense) == (422, "invalid_field", "access_token")
    assert await refused(MERGE, stays, merge_token="x") == (422, "invalid_field", "merge_token")
    token = (await world.preview(stays, merged))["merge_token"]
    assert await refused(MERGE, third, merge_token=token) == (422, "invalid_field", "merge_token")

    # Something was made since the preview.
    blueprint = await world.good("POST", "/v1/blueprints", merged, name="MORDIG1", data={})
    assert (await refused(MERGE, stays, merge_token=token))[:2] == (409, "merge_changed")
    token = (await world.preview(stays, merged))["merge_token"]

    # Somebody is in a lobby.
    lobby = await world.good("POST", "/v1/auth/guest")
    async with table(lambda: world.node.url, "relay", humans=2) as [host, other]:
        playing = {"access_token": other.tokens["access_token"]}
        assert (await refused(PREVIEW, lobby, **playing))[:2] == (409, "merge_blocked")
        await host.act({"type": "end", "scores": {}})
        await other.see_the_end()

    # The session that proved the other account has ended.
    await world.good("POST", "/v1/auth/logout", third)
    gone = {"access_token": third["access_token"]}
    assert await refused(PREVIEW, stays, **gone) == (422, "invalid_field", "access_token")

    # Somebody who can sign in, but did so long ago, or not at all in this session.
    owner = await world.registered("cleo@example.org")
    await world.owner.execute(
        "UPDATE playhall_auth.sessions SET created_at = now() - interval '16 minutes'"
        " WHERE user_id = $1",
        owner["user_id"],
    )
    old = {"access_token": owner["access_token"]}
    assert (await refused(PREVIEW, stays, **old))[1] == "sign_in_again"

    # Undone only by whom it concerns, in time, and only if all of it can be.
    done = await world.good("POST", MERGE, stays, merge_token=token)
    undo, now = f"/v1/me/merges/{done['merge_id']}/undo", done["tokens"]
    assert (await refused(undo, lobby))[:2] == (404, "not_found")
    await world.owner.execute("UPDATE account_merges SET undo_until = now()")
    assert (await refused(undo, now))[:2] == (409, "merge_final")
    await world.owner.execute("UPDATE account_merges SET undo_until = now() + interval '1 day'")
    await world.good("DELETE", f"/v1/blueprints/{blueprint['blueprint_id']}", now)
    assert (await world.good("POST", undo, now))["missing"] == 1


async def test_merges_and_erasures_at_once_are_one_after_the_other(world: World) -> None:
    one, two, merged = [await world.guest() for _ in range(3)]
    previews = [await world.preview(who, merged) for who in (one, two)]
    results = await asyncio.gather(
        *(
            world.ask("POST", MERGE, who, merge_token=preview["merge_token"])
            for who, preview in zip((one, two), previews, strict=True)
        )
    )
    assert sorted(status for status, _ in results) == [200, 409]
    [winner] = [answer["tokens"] for status, answer in results if status == 200]

    # Each into the other, at once: one of them.
    left, right = [await world.guest() for _ in range(2)]
    tokens = [
        (left, (await world.preview(left, right))["merge_token"]),
        (right, (await world.preview(right, left))["merge_token"]),
    ]
    results = await asyncio.gather(
        *(world.ask("POST", MERGE, who, merge_token=token) for who, token in tokens)
    )
    assert sum(status == 200 for status, _ in results) == 1
    assert {answer["code"] for status, answer in results if status != 200} <= {
        "merge_changed",
        "bad_token",
    }

    # An erasure of the account that is merged, at the same time.
    stays, leaver = [await world.guest() for _ in range(2)]
    name = (await world.good("GET", "/v1/me", leaver))["username"]
    token = (await world.preview(stays, leaver))["merge_token"]
    (merge, _), (erasure, _) = await asyncio.gather(
        world.ask("POST", MERGE, stays, merge_token=token),
        world.ask("DELETE", "/v1/me", leaver, confirm=name),
    )
    assert (merge, erasure) in {(200, 401), (409, 200)}

    # Erasing the account that stays erases what was merged into it.
    name = (await world.good("GET", "/v1/me", winner))["username"]
    await world.good("DELETE", "/v1/me", winner, confirm=name)
    left_over = await world.owner.fetchval(
        "SELECT count(*) FROM profiles WHERE id = ANY ($1::uuid[])",
        [winner["user_id"], merged["user_id"]],
    )
    assert left_over == 0
    assert await world.owner.fetchval(
        "SELECT erased_at IS NOT NULL FROM players WHERE id = $1", merged["player_id"]
    )


async def test_every_column_that_names_a_person_has_a_decision(
    fresh_dsn: str,
) -> None:
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute("SET search_path = ''")
    columns = await owner.fetch(
        "SELECT relation || '.' || referrer FROM playhall_auth.person_columns()"
    )
    several = await owner.fetch(
        "SELECT conrelid::regclass::text FROM pg_catalog.pg_constraint WHERE contype = 'f'"
        " AND cardinality(conkey) > 1 AND confrelid IN ('auth.users'::regclass,"
        " 'public.profiles'::regclass, 'public.players'::regclass)"
    )
    await owner.close()
    assert {column for (column,) in columns} == set(MERGE_DECISIONS), (
        "list in persistence/accounts/merge_decisions.py what a merge does with the column"
    )
    assert several == [], "a key of several columns that names a person cannot be moved"


def test_privacy_page_lists_every_decision() -> None:
    page = Path("docs/operations/privacy.md").read_text("utf-8")
    listed = [f"| `{column.removeprefix('public.')}` |" for column in MERGE_DECISIONS]
    assert [row for row in listed if row not in page] == []
