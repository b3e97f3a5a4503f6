"""Merging accounts with saves, holdings, a ledger and quests: nothing is lost or doubled."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest

from tests.e2e.conftest import MERGE, World
from tests.fixtures.http import bearer
from tests.fixtures.shell import playhall

PROGRESS = (
    "save_slots",
    "save_revisions",
    "inventory_items",
    "currency_balances",
    "ledger_transactions",
    "ledger_entries",
    "unlocks",
    "reward_claims",
    "economy_flags",
    "quest_progress",
)
WAIT_S = 30
Task = asyncio.Task[tuple[int, Any]]


class Story:
    """A title with items, currencies and quests, and two people who play it."""

    def __init__(self, world: World, dsn: str) -> None:
        self.world = world
        self.dsn = dsn

    async def begin(self) -> None:
        """Define it all, as staff."""
        self.boss = await self.world.guest()
        await self.world.owner.execute(
            "INSERT INTO account_roles (user_id, role) VALUES ($1, 'admin')", self.boss["user_id"]
        )
        limited = {"per_transaction": 5, "mode": "shadow"}
        for path, body in (
            ("items/iron", {"name": "Iron", "is_server_owned": False, "limits": limited}),
            ("currencies/gems", {"name": "Gems", "scope": "account"}),
            ("currencies/gold", {"name": "Gold"}),
            ("currencies/shells", {"name": "Shells", "scope": "account"}),
            ("quests/tale/both", _quest(gems=7)),
            ("quests/tale/one", _quest(gems=11)),
        ):
            headers = {**bearer(self.boss["access_token"]), "If-Match": "*"}
            url = f"/v1/admin/{path}"
            async with self.world.web.put(url, json=body, headers=headers) as reply:
                assert reply.status == 200, await reply.text()

    async def slot(self, who: Any, name: str = "First") -> str:
        body = {"title": "tale", "name": name, "state": {"by": name}, "mutation_id": str(uuid4())}
        return str((await self.world.good("POST", "/v1/saves", who, **body))["slot_id"])

    async def write(self, who: Any, slot: str, state: Any) -> tuple[int, Any]:
        headers = {**bearer(who["access_token"]), "If-Match": "*"}
        body = {"mutation_id": str(uuid4()), "state": state}
        async with self.world.web.put(f"/v1/saves/{slot}", json=body, headers=headers) as reply:
            return reply.status, await reply.json()

    async def collect(self, who: Any, slot: str, key: str, iron: int = 1) -> tuple[int, Any]:
        path = f"/v1/saves/{slot}/inventory/collect"
        return await self.world.ask("POST", path, who, key=key, bundle={"items": {"iron": iron}})

    async def claim(self, who: Any, slot: str, quest: str) -> Any:
        for verb in ("accept", "complete", "claim"):
            path = f"/v1/saves/{slot}/quests/{quest}/{verb}"
            done = await self.world.good("POST", path, who)
        return done["granted"]

    async def give(self, who: Any, slot: str | None, kind: str = "give", **bundle: Any) -> None:
        await self.world.good(
            "POST",
            "/v1/admin/economy/adjustments",
            self.boss,
            key=str(uuid4()),
            account_id=who["user_id"],
            slot_id=slot,
            kind=kind,
            bundle=bundle,
            reason="A test",
        )

    async def held(self, who: Any, slot: str) -> tuple[dict[str, int], dict[str, int]]:
        read = await self.world.good("GET", f"/v1/saves/{slot}/inventory", who)
        return {each["item_id"]: each["quantity"] for each in read["items"]}, read["currencies"]

    async def slots(self, who: Any) -> dict[str, str]:
        listed = await self.world.good("GET", "/v1/saves", who)
        return {each["slot_id"]: each["name"] for each in listed["saves"]}

    async def consents(self, who: Any) -> dict[str, tuple[bool, str]]:
        read = await self.world.good("GET", "/v1/me/consents", who)
        return {each["purpose"]: (each["granted"], each["source"]) for each in read["consents"]}

    async def rows(self) -> dict[str, str]:
        """Read all progress; of balances all but their ids."""
        return {
            table: await self.world.owner.fetchval(
                "SELECT coalesce(jsonb_agg(to_jsonb(t) - 'balance_id'"
                f" ORDER BY (to_jsonb(t) - 'balance_id')::text), '[]')::text FROM {table} t"
            )
            for table in PROGRESS
        }

    async def verify(self, dsn: str) -> None:
        done = await asyncio.to_thread(
            playhall, "economy", "verify", environment={"PLAYHALL_DATABASE_URL": dsn}
        )
        assert done.status == 0, done.said

    async def undo(self, merge_id: str, who: Any) -> tuple[int, Any]:
        return await self.world.ask("POST", f"/v1/me/merges/{merge_id}/undo", who)

    async def claim_once(self, who: Any, slot: str) -> tuple[int, Any]:
        """Claim a quest as far as that goes."""
        for verb in ("accept", "complete", "claim"):
            path = f"/v1/saves/{slot}/quests/both/{verb}"
            status, answer = await self.world.ask("POST", path, who)
            if status != 200:
                break
        return status, answer

    @asynccontextmanager
    async def merging(self, stays: Any, merged: Any, token: str) -> AsyncIterator[Task]:
        """Begin a merge, and hold it up when it has moved everything until the block ends."""
        holder = await asyncpg.connect(self.dsn)
        try:
            async with holder.transaction():
                await holder.execute(
                    "SELECT FROM playhall_auth.sessions WHERE user_id = $1 FOR UPDATE",
                    merged["user_id"],
                )
                merge = self.world.ask("POST", MERGE, stays, merge_token=token)
                task = asyncio.create_task(merge)
                await self.blocked(1)
                yield task
        finally:
            await holder.close()

    async def blocked(self, count: int) -> list[int]:
        """Wait until so many processes of the database wait for others."""
        async with asyncio.timeout(WAIT_S):
            while True:
                rows = await self.world.owner.fetch(
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
                    " AND cardinality(pg_blocking_pids(pid)) > 0"
                )
                if len(rows) >= count:
                    return [row["pid"] for row in rows]


def _quest(**currencies: int) -> dict[str, Any]:
    return {"title": "A quest", "reward_bundle": {"currencies": currencies}}


@pytest.fixture
async def story(world: World, fresh_dsn: str) -> Story:
    story = Story(world, fresh_dsn)
    await story.begin()
    return story


async def test_progress_of_both_accounts_stays_and_comes_apart_again(
    world: World, story: Story, serving_dsn: str
) -> None:
    ada, bob = await world.guest(display_name="Ada"), await world.guest(display_name="Bob")
    hers, hers_too = await story.slot(ada), await story.slot(ada, "First (2)")
    his, his_too = await story.slot(bob), await story.slot(bob, "Other")
    for who, slot in ((ada, hers), (bob, his)):
        assert (await story.collect(who, slot, "cave", iron=3))[0] == 200
        assert (await story.collect(who, slot, f"mine:{slot}", iron=9))[0] == 200  # flagged
        assert (await story.claim(who, slot, "both"))["currencies"] == {"gems": 7}
        await story.give(who, slot, currencies={"gems": 100, "gold": 5}, lore=["anvil"])
    assert (await story.claim(bob, his, "one"))["currencies"] == {"gems": 11}
    await story.give(bob, his, currencies={"shells": 4}, lore=["tide"])
    everything = {"analytics": True, "sharing": True, "personalization": True}
    await world.good("PUT", "/v1/me/consents", ada, consents=everything)
    await world.good("PUT", "/v1/me/consents", bob, consents={**everything, "analytics": False})
    before = await story.rows()

    preview = await world.preview(ada, bob)
    assert await story.rows() == before
    assert preview["renamed_slots"] == [{"slot_id": his, "name": "First", "renamed": "First (3)"}]
    assert preview["balances"] == [
        {"currency_id": "gems", "moved": 118, "total": 225},
        {"currency_id": "shells", "moved": 4, "total": 4},
    ]
    assert preview["refused_purposes"] == ["analytics"]
    moves = {each["table"]: (each["rows"], each["kept"]) for each in preview["moves"]}
    assert moves == {
        "save_slots": (2, 0),
        "ledger_transactions": (6, 0),
        "currency_balances": (2, 0),
        "unlocks": (1, 1),
        "reward_claims": (1, 1),
        "economy_flags": (1, 0),
    }
    done = await world.good("POST", MERGE, ada, merge_token=preview["merge_token"])
    ada = done["tokens"]
    await story.verify(serving_dsn)

    # What was previewed is what happened.
    assert await story.slots(ada) == {
        hers: "First",
        hers_too: "First (2)",
        his: "First (3)",
        his_too: "Other",
    }
    for slot in (hers, his):
        currencies = {"gems": 225, "gold": 5, "shells": 4}
        assert await story.held(ada, slot) == ({"iron": 12}, currencies)
    assert (await story.consents(ada))["analytics"] == (False, "merge")
    assert (await story.consents(ada))["sharing"] == (True, "person")
    lore = await world.good("GET", "/v1/unlocks?kind=lore", ada)
    assert [each["unlock_id"] for each in lore["unlocks"]] == ["anvil", "tide"]
    ledger = await world.good("GET", "/v1/ledger", ada)
    assert len(ledger["transactions"]) == 10
    queue = f"/v1/admin/economy/flags?account_id={ada['user_id']}"
    flags = (await world.good("GET", queue, story.boss))["flags"]
    assert {flag["slot_id"] for flag in flags} == {hers, his}

    # The same key of both finds its own transaction; nothing is carried out again.
    for slot in (hers, his):
        status, repeat = await story.collect(ada, slot, "cave", iron=3)
        assert (status, repeat["repeated"], repeat["slot_id"]) == (200, True, slot)
    for slot, iron in ((hers_too, 3), (his, 4)):
        status, refused = await story.collect(ada, slot, "cave", iron=iron)
        assert (status, refused["code"]) == (409, "key_reused")
    for quest in ("both", "one"):  # claimed by one of them is claimed
        assert (await story.claim(ada, hers_too, quest))["currencies"] == {}
    refused = (await world.ask("POST", "/v1/saves", ada, title="tale", state={}))[1]
    assert refused["code"] == "too_many_saves"

    # An undo at once gives back exactly what there was.
    await world.owner.execute(
        "DELETE FROM quest_progress WHERE slot_id = $1", hers_too
    )  # begun since the merge
    status, undone = await story.undo(done["merge_id"], ada)
    assert (status, undone.get("missing")) == (200, 0), undone
    assert await story.rows() == before
    await story.verify(serving_dsn)
    ada, bob = undone["tokens"], undone["merged_tokens"]
    assert (await story.consents(ada))["analytics"] == (True, "merge")
    assert (await story.consents(bob))["analytics"] == (False, "person")
    assert (await story.claim(ada, hers, "one"))["currencies"] == {"gems": 11}

    # With a slot goes what was done in it since; the rest stays.
    done = await world.merged(ada, bob)
    ada = done["tokens"]
    assert (await story.collect(ada, his, "since", iron=2))[0] == 200
    assert (await story.collect(ada, hers, "since:too", iron=1))[0] == 200
    await story.give(ada, his, currencies={"gems": 1}, cosmetics=["hat"])
    assert (await story.write(ada, his, {"by": "Ada"}))[0] == 200
    await world.good("PATCH", f"/v1/saves/{his}/name", ada, name="Ours")
    await world.good("DELETE", f"/v1/saves/{his_too}", ada)
    await story.give(ada, his, "take_back", lore=["tide"])
    await story.give(story.boss, None, lore=["tide"])  # that of others is none of theirs
    status, undone = await story.undo(done["merge_id"], ada)
    assert (status, undone.get("missing")) == (200, 2), undone
    name = (await world.good("GET", "/v1/me", story.boss))["username"]
    await world.good("DELETE", "/v1/me", story.boss, confirm=name)
    await story.verify(serving_dsn)
    ada, bob = undone["tokens"], undone["merged_tokens"]
    assert await story.slots(bob) == {his: "Ours"}
    assert await story.held(bob, his) == ({"iron": 14}, {"gems": 119, "gold": 5, "shells": 4})
    assert await story.held(ada, hers) == ({"iron": 13}, {"gems": 118, "gold": 5})
    hats = await world.good("GET", "/v1/unlocks?kind=cosmetic", bob)
    assert [each["unlock_id"] for each in hats["unlocks"]] == ["hat"]
    status, repeat = await story.collect(bob, his, "since", iron=2)
    assert (status, repeat["repeated"]) == (200, True)

    # Merged again, everything is in one export, and is erased with the account.
    ada = (await world.merged(ada, bob))["tokens"]
    async with world.web.get("/v1/me/export", headers=bearer(ada["access_token"])) as reply:
        with zipfile.ZipFile(io.BytesIO(await reply.read())) as archive:
            rows = archive.read("tables/ledger_transactions.jsonl").splitlines()
    exported = {json.loads(row)["transaction_id"] for row in rows}
    assert len(exported) == await world.owner.fetchval("SELECT count(*) FROM ledger_transactions")
    name = (await world.good("GET", "/v1/me", ada))["username"]
    await world.good("DELETE", "/v1/me", ada, confirm=name)
    assert set((await story.rows()).values()) == {"[]"}


async def test_undo_is_refused_once_what_moved_was_spent(
    world: World, story: Story, serving_dsn: str
) -> None:
    ada, bob = await world.guest(), await world.guest()
    hers, his = await story.slot(ada), await story.slot(bob)
    await story.give(ada, None, currencies={"gems": 10})
    await story.give(bob, None, currencies={"gems": 20})
    done = await world.merged(ada, bob)
    ada = done["tokens"]
    for slot, gems, why in (
        (hers, 14, "4 of the currency gems that were moved have been spent since"),
        (his, 24, "4 of the currency gems were spent since in slots that would go back"),
    ):
        path = f"/v1/saves/{slot}/inventory/spend"
        spent = {"currencies": {"gems": gems}}
        await world.good("POST", path, ada, key=str(uuid4()), bundle=spent)
        before = await story.rows()
        status, refused = await story.undo(done["merge_id"], ada)
        assert (status, refused["code"]) == (409, "merge_final")
        assert why in refused["message"]
        assert await story.rows() == before
        await story.give(ada, slot, currencies={"gems": gems})
    status, undone = await story.undo(done["merge_id"], ada)
    assert status == 200, undone
    assert (await story.held(undone["merged_tokens"], his))[1] == {"gems": 20}
    await story.verify(serving_dsn)


async def test_merges_of_merged_accounts_come_apart_in_the_opposite_order(
    world: World, story: Story, serving_dsn: str
) -> None:
    ada, bob, cid = [await world.guest() for _ in range(3)]
    slots = {}
    for who, gems in ((ada, 1), (bob, 2), (cid, 4)):
        slots[who["user_id"]] = slot = await story.slot(who)
        assert (await story.collect(who, slot, "cave"))[0] == 200
        await story.give(who, None, currencies={"gems": gems})
    before = await story.rows()
    first = await world.merged(bob, cid)
    between = await story.rows()
    second = await world.merged(ada, first["tokens"])
    ada = second["tokens"]
    assert sorted((await story.slots(ada)).values()) == ["First", "First (2)", "First (3)"]
    for slot in slots.values():
        assert await story.held(ada, slot) == ({"iron": 1}, {"gems": 7})
        status, repeat = await story.collect(ada, slot, "cave")
        assert (status, repeat["repeated"], repeat["slot_id"]) == (200, True, slot)
    await story.verify(serving_dsn)
    status, undone = await story.undo(second["merge_id"], ada)
    assert status == 200, undone
    assert await story.rows() == between
    status, undone = await story.undo(first["merge_id"], undone["merged_tokens"])
    assert status == 200, undone
    assert await story.rows() == before
    await story.verify(serving_dsn)


async def test_merge_that_ends_halfway_leaves_both_accounts_as_they_were(
    world: World, story: Story, serving_dsn: str
) -> None:
    ada, bob = await world.guest(), await world.guest()
    await story.slot(ada)
    his = await story.slot(bob)
    await story.collect(bob, his, "cave")
    await world.good("PUT", "/v1/me/consents", bob, consents={"analytics": False})
    before, people = await story.rows(), await world.rows()
    token = (await world.preview(ada, bob))["merge_token"]
    async with story.merging(ada, bob, token) as merging:
        [backend] = await story.blocked(1)
        await world.owner.execute("SELECT pg_terminate_backend($1)", backend)
        status, refused = await merging
    assert (status, refused["code"]) == (503, "unavailable")
    assert (await story.rows(), await world.rows()) == (before, people)

    async with story.merging(ada, bob, token) as merging:
        [backend] = await story.blocked(1)
        world.node.kill()
        with pytest.raises(aiohttp.ClientError):
            await merging
    async with asyncio.timeout(WAIT_S):
        while await world.owner.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = $1", backend
        ):
            pass
    assert (await story.rows(), await world.rows()) == (before, people)
    await story.verify(serving_dsn)
    async with world.again() as later:
        done = await later.good("POST", MERGE, ada, merge_token=token)
        assert his in await Story(later, story.dsn).slots(done["tokens"])


async def test_what_is_written_during_a_merge_is_neither_lost_nor_doubled(
    world: World, story: Story, serving_dsn: str
) -> None:
    ada, bob = await world.guest(), await world.guest()
    hers, his = await story.slot(ada), await story.slot(bob)
    token = (await world.preview(ada, bob))["merge_token"]

    # Requests that were accepted before the merge and come to their row during it.
    # The last two pass the server: the database itself refuses them.
    async with asyncpg.create_pool(story.dsn, min_size=2, max_size=2) as pool:
        async with story.merging(ada, bob, token) as merging:
            late = [
                asyncio.create_task(each)
                for each in (
                    story.write(bob, his, {"by": "late"}),
                    story.collect(bob, his, "late"),
                    world.ask("POST", "/v1/saves", bob, title="tale", state={}),
                    world.ask("PUT", "/v1/me/consents", bob, consents={"sharing": False}),
                )
            ]
            direct = [
                asyncio.create_task(pool.execute(statement, bob["user_id"]))
                for statement in (
                    "INSERT INTO save_slots (account_id) VALUES ($1)",
                    "INSERT INTO ledger_transactions (account_id, key, content_hash, kind)"
                    " VALUES ($1, 'late', 'x', 'give')",
                )
            ]
            await story.blocked(1 + len(late) + len(direct))
        for error in await asyncio.gather(*direct, return_exceptions=True):
            assert "was merged into another one" in str(error)
    status, done = await merging
    assert status == 200, done
    assert sorted([(status, said["code"]) for status, said in await asyncio.gather(*late)]) == [
        (401, "bad_token"),
        (401, "bad_token"),
        (401, "bad_token"),
        (404, "save_slot_not_found"),
    ]
    ada = done["tokens"]
    assert await story.held(ada, his) == ({}, {})
    for table in ("save_slots", "ledger_transactions", "consents"):
        assert not await world.owner.fetchval(
            f"SELECT count(*) FROM {table} WHERE account_id = $1", bob["user_id"]
        )
    await story.undo(done["merge_id"], ada)

    # Many at once, while the merge happens at some moment.
    ada, bob = await world.guest(), await world.guest()
    hers, his = await story.slot(ada), await story.slot(bob)
    collected = 0
    for round_ in range(3):
        token = (await world.preview(ada, bob))["merge_token"]
        (status, done), *answers = await asyncio.gather(
            world.ask("POST", MERGE, ada, merge_token=token),
            *(
                story.collect(who, slot, f"{round_}:{number}")
                for number in range(6)
                for who, slot in ((ada, hers), (bob, his))
            ),
            *(story.claim_once(who, slot) for who, slot in ((ada, hers), (bob, his))),
        )
        assert {status for status, _ in answers[:12]} <= {200, 401, 404}
        collected += sum(status == 200 for status, _ in answers[:12])
        if status != 200:
            assert done["code"] == "merge_changed"
            done = await world.merged(ada, bob)
        await story.verify(serving_dsn)
        held, gems, claims = await world.owner.fetchrow(
            "SELECT (SELECT sum(quantity) FROM inventory_items),"
            " (SELECT coalesce(sum(balance), 0) FROM currency_balances WHERE currency_id = 'gems'),"
            " (SELECT count(*) FROM reward_claims)"
        )
        assert (held, gems) == (collected, 7 * claims)
        status, undone = await story.undo(done["merge_id"], done["tokens"])
        assert status == 200, undone
        ada, bob = undone["tokens"], undone["merged_tokens"]
        assert (await story.slots(ada), await story.slots(bob)) == ({hers: "First"}, {his: "First"})
    await story.verify(serving_dsn)
