"""Notifications on two real nodes: written by SQL, as every domain's triggers do, and delivered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from protocol.ids import new_id
from protocol.notifications import RESUMED_MAX
from tests.faults.client_line import Guest, Json, Line, new_guests, until
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.redis import RedisServer

WAIT_S = 30
ALL = "/v1/notifications"


class World:
    """Two nodes on one database, which is also open as its owner."""

    def __init__(self, here: Node, there: Node, owner: asyncpg.Connection, dsn: str) -> None:
        self.here = here
        self.there = there
        self.owner = owner
        self.dsn = dsn

    async def people(self, *names: str) -> list[Guest]:
        guests = await new_guests(self.here, len(names))
        for guest, name in zip(guests, names, strict=True):
            await self.owner.execute(
                "UPDATE profiles SET display_name = $2 WHERE id = $1", person(guest), name
            )
        return guests

    async def ask(
        self, who: Guest, method: str, path: str = "", body: Any = None, **query: str
    ) -> tuple[int, Json]:
        async with (
            aiohttp.ClientSession(self.here.url, headers=bearer(who.token)) as web,
            web.request(method, f"{ALL}{path}", json=body, params=query) as answer,
        ):
            return answer.status, await answer.json()

    async def good(
        self, who: Guest, method: str, path: str = "", body: Any = None, **query: str
    ) -> Json:
        status, answer = await self.ask(who, method, path, body, **query)
        assert status == 200, answer
        return answer

    async def create(self, who: Guest, **columns: object) -> str:
        row = {"user_id": person(who), "title": "A lake", "type": "image"} | columns
        row = {"status": "published", "is_public": True} | row
        places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
        creation = await self.owner.fetchval(
            f"INSERT INTO creations ({', '.join(row)}) VALUES ({places}) RETURNING id",
            *row.values(),
        )
        return str(creation)

    async def told(self, kind: str, **of: str) -> list[str]:
        """List who was notified of something, a person as often as they were."""
        ((column, value),) = of.items()
        rows = await self.owner.fetch(
            f"SELECT user_id::text FROM notifications WHERE type = $1 AND {column} = $2",
            kind,
            value,
        )
        return sorted(user_id for (user_id,) in rows)

    async def is_numbered(self) -> bool:
        """Say whether every notification has its number."""
        return not await self.owner.fetchval(
            "SELECT EXISTS (SELECT FROM notifications WHERE seq IS NULL)"
        )

    async def settled(self) -> bool:
        """Say whether no event and no fan-out waits."""
        return not await self.owner.fetchval(
            "SELECT EXISTS (SELECT FROM event_outbox WHERE done_at IS NULL)"
            " OR EXISTS (SELECT FROM notification_fanouts WHERE finished_at IS NULL)"
        )


class Watcher:
    """A connection that watches notifications; it ignores numbers that it has."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.got: list[Json] = []
        self.unread: list[int] = []

    @property
    def seqs(self) -> list[int]:
        return [each["seq"] for each in self.got]

    async def watch(self, seq: int | None = None) -> Json:
        reply = await self.line.ok("notifications.watch", seq=seq)
        self.got += reply["notifications"]
        return reply

    async def take(self, count: int) -> None:
        """Read until there are so many notifications."""
        async with asyncio.timeout(WAIT_S):
            while len(self.got) < count:
                self._record(await self.line.read())

    async def take_change(self) -> int:
        async with asyncio.timeout(WAIT_S):
            while not self.unread:
                self._record(await self.line.read())
        return self.unread.pop()

    def _record(self, update: Json) -> None:
        if update["type"] == "notifications.changed":
            self.unread.append(update["unread"])
        elif update["type"] == "notifications.new":
            new = update["notification"]
            if not self.got or new["seq"] > self.got[-1]["seq"]:
                self.got.append(new)
            else:
                assert new in self.got, "a notification came behind a later one"


def person(guest: Guest) -> str:
    return str(guest.session["user_id"])


@pytest.fixture(scope="module")
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    dsn = databases.create(template=TEMPLATE)
    folder: Path = tmp_path_factory.mktemp("notifications")
    redis = RedisServer()
    redis.start()
    owner = await asyncpg.connect(dsn)
    serving = databases.serving_dsn(dsn)
    settings = {"redis_url": redis.url, "notifications_batch_people": 2}
    with (
        Node(folder / "a", serving, **settings) as here,
        Node(folder / "b", serving, **settings) as there,
    ):
        yield World(here, there, owner, dsn)
    await owner.close()
    redis.close()
    databases.drop(dsn)


async def open_watcher(stack: AsyncExitStack, node: Node, who: Guest) -> Watcher:
    line = await stack.enter_async_context(Line(node.websocket_url))
    welcome = await line.call("session.hello", token=who.token, companion=True)
    if welcome["type"] == "error":  # no main connection yet
        await line.greet(who)
    return Watcher(line)


async def test_connections_on_every_node_get_each_notification_once_and_resume(
    world: World,
) -> None:
    ada, bob, cy, eve = await world.people("Ada", "Bob", "Cy", "Eve")
    lake = await world.create(ada)
    like = "INSERT INTO likes (user_id, creation_id) VALUES ($1, $2)"
    async with AsyncExitStack() as stack:
        main = await (await stack.enter_async_context(Line(world.here.websocket_url))).greet(ada)
        watchers = [
            Watcher(main),
            await open_watcher(stack, world.here, ada),
            await open_watcher(stack, world.there, ada),
        ]
        for watcher in watchers:
            assert (await watcher.watch())["notifications"] == []

        # Who begins first commits last: the number follows the commits, and nobody misses one.
        slow = await asyncpg.connect(world.dsn)
        begun = slow.transaction()
        await begun.start()
        await slow.execute(like, person(bob), lake)
        other = await world.create(ada, title="A hill")
        await world.owner.execute(like, person(cy), other)
        for watcher in watchers:
            await watcher.take(1)
            assert watcher.got[0]["title"] == "Cy liked your creation"
        await begun.commit()
        await slow.close()
        for watcher in watchers:
            await watcher.take(2)
            assert watcher.got[1]["title"] == "Bob liked your creation"

        # One is cut off, and comes back with the number that it has: on the other node.
        watchers[2].line.cut()
        await world.owner.execute(like, person(eve), lake)
        await world.owner.execute(like, person(eve), other)
        for watcher in watchers[:2]:
            await watcher.take(4)
        back = await open_watcher(stack, world.there, ada)
        back.got = watchers[2].got
        reply = await back.watch(back.seqs[-1])
        assert reply["is_complete"]
        assert reply["seq"] == watchers[0].seqs[-1]
        assert reply["unread"] == 4
        await world.owner.execute(like, person(cy), lake)
        for watcher in (*watchers[:2], back):
            await watcher.take(5)
            assert watcher.seqs == sorted(set(watcher.seqs))
            assert watcher.seqs == watchers[0].seqs

        # What one marks, the others hear of.
        done = await world.good(
            ada, "PATCH", body={"group_key": f"creation_liked:{lake}", "is_read": True}
        )
        assert done == {"changed": 3, "unread": 2}
        for watcher in (*watchers[:2], back):
            assert await watcher.take_change() == 2
        await back.line.ok("notifications.unwatch")

        stranger = await (await stack.enter_async_context(Line(world.here.websocket_url))).greet(
            bob
        )
        reply = await Watcher(stranger).watch(0)
        assert (reply["notifications"], reply["unread"]) == ([], 0)

        # Who missed too many reads the lists instead, and goes on from the newest number.
        await world.owner.execute(
            "INSERT INTO notifications (user_id, type, title)"
            " SELECT $1, 'mention', 'Somebody mentioned you' FROM generate_series(1, $2)",
            person(bob),
            RESUMED_MAX + 1,
        )
        await until(world.is_numbered)
        reply = await Watcher(stranger).watch(0)
        assert (reply["is_complete"], reply["notifications"]) == (False, [])
        resumed = Watcher(stranger)
        assert (await resumed.watch(reply["seq"]))["notifications"] == []
        assert len((await resumed.watch(reply["seq"] - 1))["notifications"]) == 1


async def test_lists_are_in_groups_and_only_ones_own(world: World) -> None:
    ada, bob, cy, dee = await world.people("Ada", "Bob", "Cy", "Dee")
    lake, hill = await world.create(ada), await world.create(ada, title="A hill")
    for who, creation in ((bob, hill), (bob, lake), (cy, lake), (dee, lake)):
        await world.owner.execute(
            "INSERT INTO likes (user_id, creation_id) VALUES ($1, $2)", person(who), creation
        )
    await world.owner.execute(
        "INSERT INTO follows (follower_id, following_id) VALUES ($1, $2)", person(bob), person(ada)
    )
    page = await world.good(ada, "GET")
    assert [group["summary"] for group in page["groups"]] == [
        "Bob follows you",
        "Dee and 2 others liked your creation",
        "Bob liked your creation",
    ]
    assert [group["count"] for group in page["groups"]] == [1, 3, 1]
    assert [actor["name"] for actor in page["groups"][1]["actors"]] == ["Dee", "Cy", "Bob"]
    assert page["unread"] == 5

    # The pages are the same list, one by one.
    cursor: dict[str, str] = {}
    summaries = []
    while True:
        part = await world.good(ada, "GET", limit="1", **cursor)
        summaries += [group["summary"] for group in part["groups"]]
        if part["next"] is None:
            break
        cursor = {"cursor": part["next"]}
    assert summaries == [group["summary"] for group in page["groups"]]

    key = f"creation_liked:{lake}"
    single = await world.good(ada, "GET", group_key=key)
    assert [each["title"] for each in single["groups"]] == [
        f"{name} liked your creation" for name in ("Dee", "Cy", "Bob")
    ]
    one = single["groups"][0]["notification_id"]
    mark = {"notification_ids": [one], "is_read": True}
    assert (await world.good(bob, "PATCH", body=mark))["changed"] == 0, "not Bob's"
    assert (await world.ask(bob, "DELETE", f"/{one}"))[0] == 404
    assert await world.good(ada, "PATCH", body=mark) == {"changed": 1, "unread": 4}
    assert (await world.good(ada, "PATCH", body=mark))["changed"] == 0
    unread = await world.good(ada, "GET", unread="true")
    assert unread["groups"][1]["summary"] == "Cy and Bob liked your creation"

    archive = {"group_key": key, "is_archived": True}
    assert (await world.good(ada, "PATCH", body=archive))["changed"] == 3
    assert len((await world.good(ada, "GET"))["groups"]) == 2
    archived = await world.good(ada, "GET", archived="true")
    assert [group["count"] for group in archived["groups"]] == [3]
    assert (await world.good(ada, "DELETE", f"/{one}"))["changed"] == 1
    assert (await world.good(ada, "DELETE", group_key=key))["changed"] == 2
    assert (await world.good(ada, "PATCH", body={"all": True, "is_read": True}))["unread"] == 0

    # A block takes back what either was told of the other.
    await world.owner.execute(
        "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)", person(ada), person(bob)
    )
    assert (await world.good(ada, "GET"))["groups"] == []
    status, refused = await world.ask(ada, "PATCH", body={"all": True})
    assert (status, refused["code"]) == (422, "invalid_field")


async def test_followers_are_told_once_of_what_is_published(world: World) -> None:
    names = ("Ada", "Bob", "Cy", "Dee", "Eve", "Flo", "Gus", "Hal")
    ada, *followers = await world.people(*names)
    bob, cy, dee, eve, flo, gus, hal = followers
    for follower in followers:
        await world.owner.execute(
            "INSERT INTO follows (follower_id, following_id, notify_creations) VALUES ($1, $2, $3)",
            person(follower),
            person(ada),
            follower is not hal,
        )
    await world.owner.execute(
        "INSERT INTO mutes (muter_id, muted_id) VALUES ($1, $2)", person(cy), person(ada)
    )
    await world.owner.execute(
        "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)", person(dee), person(ada)
    )
    await world.owner.execute(  # a block ends the follow; one from before is left out as well
        "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)", person(ada), person(eve)
    )
    off = {"types": {"creation_published": False}}
    changed = await world.good(flo, "PATCH", "/preferences", off)
    assert (changed["types"]["creation_published"], changed["types"]["mention"]) == (False, True)

    draft = await world.create(ada, status="draft")
    await world.owner.execute("UPDATE creations SET status = 'published' WHERE id = $1", draft)
    await until(world.settled)
    wanted = sorted([person(bob), person(gus)])
    assert await world.told("creation_published", creation_id=draft) == wanted

    # Hiding and showing it again is no news, and an event that comes twice neither.
    await world.owner.execute("UPDATE creations SET is_public = false WHERE id = $1", draft)
    await world.owner.execute("UPDATE creations SET is_public = true WHERE id = $1", draft)
    await world.owner.execute(
        "UPDATE event_outbox SET done_at = NULL, delivered_to = '{}', next_attempt_at = now()"
    )
    await world.owner.execute(
        "DELETE FROM notifications WHERE creation_id = $1 AND user_id = $2", draft, person(gus)
    )
    await until(world.settled)
    assert await world.told("creation_published", creation_id=draft) == [person(bob)]

    secret = await world.create(ada, is_public=False)
    adult = await world.create(ada, is_nsfw=True)
    await until(world.settled)
    assert await world.told("creation_published", creation_id=secret) == []
    assert await world.told("creation_published", creation_id=adult) == []


async def test_admins_announce_something_to_everybody(world: World) -> None:
    ada, bob, cy = await world.people("Ada", "Bob", "Cy")
    await world.owner.execute(
        "INSERT INTO account_roles (user_id, role) VALUES ($1, 'admin')", person(ada)
    )
    await world.good(cy, "PATCH", "/preferences", {"types": {"system_announcement": False}})
    announcement_id = new_id()
    address = f"/../admin/announcements/{announcement_id}"
    body = {"title": "New rooms", "message": "There are more of them.", "action_url": "/news"}
    assert (await world.ask(bob, "PUT", address, body))[0] == 403
    bad = body | {"action_url": "javascript:alert(1)"}
    assert (await world.ask(ada, "PUT", address, bad))[0] == 422
    for _ in range(2):
        await world.good(ada, "PUT", address, body)
    status, other = await world.ask(ada, "PUT", address, body | {"title": "Other"})
    assert (status, other["code"]) == (409, "announcement_taken")
    await until(world.settled)
    stored = await world.good(ada, "GET", address)
    assert stored["finished_at"] is not None
    told = await world.told("system_announcement", dedupe_key=f"announcement:{announcement_id}")
    people = {str(row[0]) for row in await world.owner.fetch("SELECT id FROM profiles")}
    assert len(told) == len(set(told)) == stored["notified_count"]
    assert set(told) == people - {person(cy)}
    acts = await world.owner.fetch(
        "SELECT actor, action FROM audit_log WHERE target = $1", announcement_id
    )
    assert [tuple(act) for act in acts] == [(person(ada), "announcement.add")]
    (group,) = (await world.good(bob, "GET"))["groups"]
    assert (group["title"], group["message"]) == (body["title"], body["message"])


async def test_new_creations_are_told_on_the_other_node_once(world: World) -> None:
    ann, bob = await world.people("Ann", "Bob")
    await world.owner.execute(
        "INSERT INTO follows (follower_id, following_id) VALUES ($1, $2)", person(bob), person(ann)
    )
    async with Line(world.there.websocket_url) as line:
        await line.greet(bob)
        await line.ok("feed.watch")
        await line.ok("feed.watch", feed="public")
        async with aiohttp.ClientSession(world.here.url, headers=bearer(ann.token)) as web:
            for title in ("Lake", "Hill"):
                body = {"title": title, "type": "text"}
                async with web.post("/v1/creations", json=body) as answer:
                    creation = (await answer.json())["creation_id"]
                async with web.post(f"/v1/creations/{creation}/publish") as answer:
                    assert answer.status == 200
        async with asyncio.timeout(WAIT_S):
            while len(told := [each for each in line.updates if each["type"] == "feed.new"]) < 4:
                await line.read()
        assert [(each["feed"], each["title"]) for each in told] == [
            (feed, title) for title in ("Lake", "Hill") for feed in ("following", "public")
        ]
