"""Which tables are published, who hears of which rows, and how nodes follow what is committed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson
import pytest

from persistence.broker.memory import MemoryBroker, MemoryHub
from persistence.realtime.store import Change, PublishedTable, Reader, RealtimeStore
from persistence.rls import Requester, open_with_rls
from protocol.errors import Unavailable
from protocol.ids import SessionId, UserId
from server.core.subscriptions import Subscriptions
from server.domains.integrations.realtime.changes import GAP, ChangeFeed
from server.domains.integrations.realtime.filters import Binding, InvalidFilter
from server.domains.integrations.realtime.presence import (
    GONE_AFTER_S,
    PRESENT_MAX,
    PresenceTopics,
    TooManyPresent,
)
from server.domains.integrations.realtime.settings import DEFAULT_TABLES
from tests.fixtures.postgres import Databases
from tests.integration.social.world import ADA, BOB, EVE, LUMINA, OLD, World

ROLES: Final = ("anon", "authenticated", "service_role")
TABLES: Final = [f"public.{name}" for name in DEFAULT_TABLES.split(",")]
CREATIONS: Final = Binding("*", "public", "creations", (), None)
TRIGGERED: Final = (
    "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'playhall_realtime'"
    " AND tgparentid = 0 ORDER BY 1"
)


def reader(person: UUID | None) -> Reader:
    if person is None:
        return Reader("anon")
    return Reader("authenticated", Requester(UserId(str(person)), SessionId(str(person))))


def inserted(relation: int, row: str) -> Change:
    return Change(1, relation, "INSERT", row.encode(), None, False, datetime.now(UTC))


@pytest.fixture(scope="module")
async def store(world: World, databases: Databases) -> AsyncIterator[RealtimeStore]:
    async with AsyncExitStack() as stack:
        database, rls = await stack.enter_async_context(
            open_with_rls(databases.serving_dsn(world.dsn))
        )
        store = RealtimeStore(database, rls)
        await store.publish(TABLES)
        yield store


async def published(store: RealtimeStore) -> dict[str, PublishedTable]:
    return {table.name: table for table in await store.read_published(ROLES)}


async def test_only_what_is_listed_is_published_and_only_what_can_be(
    world: World, store: RealtimeStore
) -> None:
    wrong = [
        *("public.game_events", "public.nothing", "playhall_auth.sessions", "auth.users"),
        *("public.audit_log", "pg_catalog.pg_class", "playhall_realtime.messages"),
    ]
    assert sorted(await store.publish([*TABLES, *wrong])) == sorted(wrong)
    assert [name for (name,) in await world.owner.fetch(TRIGGERED)] == sorted(
        name.removeprefix("public.") for name in TABLES
    )
    assert await store.publish(()) == []
    assert await world.owner.fetch(TRIGGERED) == []
    await world.owner.execute("UPDATE creations SET title = title")
    assert await world.owner.fetchval("SELECT count(*) FROM playhall_realtime.changes") == 0
    assert await store.publish(TABLES) == []


async def test_policies_decide_as_they_do_in_queries(world: World, store: RealtimeStore) -> None:
    for person in (ADA, BOB, EVE, OLD):
        for columns in ({}, {"is_public": False}, {"status": "draft"}):
            creation = await world.add_creation(person, **columns)
            for commenter in (BOB, EVE) if not columns and person is BOB else ():
                await world.add_comment(commenter, creation)
        await world.owner.execute(
            "INSERT INTO notifications (user_id, type, title, message)"
            " VALUES ($1, 'creation_liked', 't', 'm')",
            person,
        )
        conversation = await world.owner.fetchval(
            "INSERT INTO luminor_conversations (user_id, luminor_id, title, session_id)"
            " VALUES ($1, $2, 't', 's') RETURNING id",
            person,
            LUMINA,
        )
        await world.owner.execute(
            "INSERT INTO luminor_messages (user_id, conversation_id, role, content)"
            " VALUES ($1, $2, 'user', 'hello')",
            person,
            conversation,
        )
    people = [None, ADA, BOB, EVE, OLD]
    shown = 0
    for name, table in (await published(store)).items():
        rows = [
            row for (row,) in await world.owner.fetch(f"SELECT to_jsonb(t)::text FROM {name} t")
        ]
        changes = [inserted(table.relation, row) for row in rows]
        every = [list(range(len(rows))) for _ in people]
        found = await store.find_readers(
            table.relation, changes, [reader(each) for each in people], every
        )
        for number, person in enumerate(people):
            visible: set[tuple[Any, ...]] = set()
            with suppress(asyncpg.InsufficientPrivilegeError):
                async with world.speak_for(person) as connection:
                    rows_of = f"SELECT jsonb_build_array({', '.join(table.key)})::text FROM {name}"
                    visible = {
                        tuple(orjson.loads(keys)) for (keys,) in await connection.fetch(rows_of)
                    }
            heard = {
                tuple(orjson.loads(rows[image])[key] for key in table.key)
                for who, image in found
                if who == number
            }
            assert heard == visible, (name, person)
            shown += len(heard)
    assert shown > 40
    # Eve, whom Ada blocks, is shown nothing of hers that Bob is.
    creations = (await published(store))["creations"].relation
    image = await world.owner.fetchval(
        "SELECT to_jsonb(t)::text FROM creations t WHERE user_id = $1"
        " AND is_public AND status = 'published' LIMIT 1",
        ADA,
    )
    found = await store.find_readers(
        creations, [inserted(creations, image)], [reader(BOB), reader(EVE)], [[0], [0]]
    )
    assert found == [(0, 0)]


async def test_a_cut_row_is_shown_only_where_no_policy_needs_what_it_lacks(
    world: World, store: RealtimeStore
) -> None:
    await world.owner.execute(
        "CREATE TABLE stories (id int PRIMARY KEY, body text, hidden_reason text);"
        "GRANT SELECT ON stories TO anon, authenticated;"
        "CREATE POLICY shown ON stories USING (hidden_reason IS NULL)"
    )
    await store.publish([*TABLES, "public.stories"])
    try:
        feed, channel, service = await feed_of(store), Channel(BOB), Channel(None)
        service.reader = Reader("service_role")
        for who in (channel, service):
            await feed.subscribe(who, {1: Binding("*", "public", "stories", (), None)})
        for security, expected in (("DISABLE", (1, 1)), ("ENABLE", (0, 1))):
            await world.owner.execute(f"ALTER TABLE stories {security} ROW LEVEL SECURITY")
            await world.owner.execute(
                "INSERT INTO stories SELECT coalesce(max(id), 0) + 1, repeat('x', 70000),"
                " repeat('because ', 20) FROM stories"
            )
            await feed.look()
            assert (len(channel.changes), len(service.changes)) == expected
            channel.changes.clear()
            service.changes.clear()
    finally:
        await world.owner.execute("DROP TABLE stories")
        await store.publish(TABLES)


async def test_nobody_else_may_ask_as_others(world: World) -> None:
    allowed = await world.owner.fetch(
        "SELECT p.proname, array_agg(r.rolname::text ORDER BY r.rolname) FROM pg_proc p, pg_roles r"
        " WHERE p.pronamespace = 'playhall_realtime'::regnamespace AND NOT r.rolsuper"
        " AND r.rolname !~ '^pg_' AND r.rolname = ANY ($1)"
        " AND has_function_privilege(r.rolname, p.oid, 'EXECUTE') GROUP BY 1",
        [*ROLES, "playhall_server"],
    )
    assert dict(map(tuple, allowed)) == {
        "canonical": ["anon"],
        "channel_rights": ["anon"],
        "policy_condition": ["anon", "authenticated"],
        "publish": ["playhall_server"],
        "readers": ["anon"],
        "topic": sorted(ROLES),
    }


class Channel:
    """A subscriber that keeps what it is sent."""

    def __init__(self, person: UUID | None) -> None:
        self.reader = reader(person)
        self.changes: list[Any] = []
        self.lost: list[str] = []

    def push_change(self, data: bytes, _: Sequence[int]) -> None:
        self.changes.append(orjson.loads(data))

    def lose_changes(self, reason: str) -> None:
        self.lost.append(reason)

    @property
    def titles(self) -> list[str]:
        return [change["record"]["title"] for change in self.changes]


async def feed_of(store: RealtimeStore, *, now: Any = None, most: int = 100) -> ChangeFeed:
    feed = ChangeFeed(store, subscriptions_max=most, kept_s=60, now=now or (lambda: 0.0))
    await feed.reload()
    return feed


async def test_every_node_hears_of_every_change_once_also_after_an_outage(
    world: World, store: RealtimeStore
) -> None:
    clock = [0.0]
    feeds = [await feed_of(store, now=lambda: clock[0]) for _ in range(2)]
    channels = [Channel(BOB), Channel(BOB)]
    for feed, channel in zip(feeds, channels, strict=True):
        await feed.subscribe(channel, {1: CREATIONS})
    titles = []
    for number in range(3):
        await world.add_creation(ADA, f"no. {number}")
        titles.append(f"no. {number}")
        await feeds[0].look()
        await feeds[0].look()
    await feeds[1].look()
    assert [channel.titles for channel in channels] == [titles, titles]
    await world.add_creation(ADA, "while away")
    clock[0] = 31.0  # half of the time for which changes are kept
    await feeds[0].look()
    assert channels[0].lost == [GAP]
    await world.add_creation(ADA, "again")
    await feeds[0].look()
    assert channels[0].titles[-1] == "again"
    feeds[0].unsubscribe(channels[0])
    await world.add_creation(ADA, "nobody")
    await feeds[0].look()
    assert (channels[0].titles[-1], len(feeds[0])) == ("again", 0)


async def test_a_node_follows_again_once_the_database_is_back(
    world: World, store: RealtimeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, channel = await feed_of(store), Channel(BOB)
    read = store.read_changes
    attempts: list[int] = []

    async def failing(*args: Any, **kwargs: Any) -> Any:
        attempts.append(1)
        if len(attempts) < 2:
            raise Unavailable
        return await read(*args, **kwargs)

    monkeypatch.setattr(store, "read_changes", failing)
    monkeypatch.setattr("server.domains.integrations.realtime.changes.RETRY_EVERY_S", 0.01)
    running = asyncio.create_task(feed.run())
    await feed.subscribe(channel, {1: CREATIONS})
    await world.add_creation(ADA, "late")
    async with asyncio.timeout(5):
        while not channel.changes:
            await asyncio.sleep(0.01)
    running.cancel()
    assert channel.titles == ["late"]
    assert len(attempts) >= 2


@pytest.fixture
async def notes(world: World, store: RealtimeStore) -> AsyncIterator[str]:
    """A published table whose policy fails for some people and rows, and is slow for others."""
    await world.owner.execute(
        "CREATE FUNCTION is_slow() RETURNS boolean LANGUAGE sql SECURITY DEFINER"
        " AS 'SELECT pg_sleep(1.5) IS NOT NULL';"
        "CREATE FUNCTION is_locked() RETURNS boolean LANGUAGE plpgsql"
        " AS 'BEGIN RAISE lock_not_available; END';"
        "CREATE TABLE notes (id int PRIMARY KEY, of_person uuid, divisor int);"
        "GRANT SELECT ON notes TO anon, authenticated;"
        "ALTER TABLE notes ENABLE ROW LEVEL SECURITY;"
        "CREATE POLICY own ON notes TO anon, authenticated USING (CASE"
        f" WHEN auth.uid() = '{EVE}' THEN 1 / divisor > 0"
        f" WHEN auth.uid() = '{ADA}' THEN is_locked()"
        f" WHEN auth.uid() = '{OLD}' THEN is_slow() ELSE true END)"
    )
    await store.publish([*TABLES, "public.notes"])
    yield "notes"
    await world.owner.execute("DROP TABLE notes; DROP FUNCTION is_slow, is_locked")
    await store.publish(TABLES)


async def test_policies_that_fail_or_are_slow_stop_nobody_else(
    world: World, store: RealtimeStore, notes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.domains.integrations.realtime.changes.READERS_TIMEOUT_S", 3.0)
    feed = await feed_of(store)
    people = [None, BOB, ADA, EVE, OLD]
    channels = [Channel(person) for person in people]
    for channel in channels:
        await feed.subscribe(channel, {1: Binding("*", "public", notes, (), None)})
    creations = Channel(OLD)
    await feed.subscribe(creations, {1: CREATIONS})
    await world.owner.execute("INSERT INTO notes VALUES (1, NULL, 1), (2, NULL, 0), (3, NULL, 1)")
    await world.add_creation(ADA, "beside it")
    await feed.look()
    heard = [[each["record"]["id"] for each in channel.changes] for channel in channels]
    assert heard == [[1, 2, 3]] * 2 + [[]] * 3
    assert [channel.lost for channel in channels] == [[]] * 2 + [[GAP]] * 3
    assert (creations.titles, creations.lost) == (["beside it"], [])
    await feed.look()  # it has moved on
    assert [len(channel.changes) for channel in channels] == [3, 3, 0, 0, 0]


async def test_subscriptions_of_a_node_are_bounded(store: RealtimeStore) -> None:
    feed = await feed_of(store, most=2)
    await feed.subscribe(Channel(None), {1: CREATIONS, 2: CREATIONS})
    with pytest.raises(InvalidFilter, match="maximum number"):
        await feed.subscribe(Channel(None), {1: CREATIONS})
    assert len(feed) == 2


async def test_changes_are_forgotten_in_time(world: World, store: RealtimeStore) -> None:
    await world.add_creation(ADA, "old")
    assert await store.clear_changes(60, limit=1000) == 0
    await world.owner.execute(
        "UPDATE playhall_realtime.changes SET changed_at = now() - '2m'::interval"
    )
    assert await store.clear_changes(60, limit=1000) > 0
    assert await world.owner.fetchval("SELECT count(*) FROM playhall_realtime.changes") == 0


# ------------------------------------------------------------------ presence between nodes


class Listening:
    """A channel that keeps who joined and left."""

    def __init__(self, name: str) -> None:
        self.channel_id = name
        self.heard: list[Any] = []

    def push_presence(self, diff: bytes) -> None:
        self.heard.append(orjson.loads(diff))


async def test_presence_is_known_on_all_nodes_and_ends_with_its_node() -> None:
    hub, clock = MemoryHub(), [0.0]
    brokers = [MemoryBroker(hub) for _ in range(2)]
    first, second = [
        PresenceTopics(Subscriptions(broker), now=lambda: clock[0]) for broker in brokers
    ]
    running = [asyncio.create_task(broker.run()) for broker in brokers]

    async def settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    try:
        await settle()
        ann, ben = Listening("ann"), Listening("ben")
        first.join("topic", ann)
        first.track("topic", ann, "a", {"mood": "glad"})
        assert second.join("topic", ben) == {}
        await settle()  # it asked, and was told
        assert [each["mood"] for each in ben.heard[0]["joins"]["a"]["metas"]] == ["glad"]
        second.track("topic", ben, "b", {"mood": "x" * 4000})
        await settle()
        assert list(ann.heard[-1]["joins"]) == ["b"]
        await first.repeat()
        await settle()
        assert len(ben.heard) == 2  # what is known is not news
        second.leave("topic", ben)
        await settle()
        assert list(ann.heard[-1]["leaves"]) == ["b"]
        second.join("topic", ben)
        second.track("topic", ben, "b", {})
        await settle()
        running[1].cancel()
        await settle()
        clock[0] = GONE_AFTER_S + 1
        await first.repeat()
        assert list(ann.heard[-1]["leaves"]) == ["b"]
        for number in range(PRESENT_MAX - 1):
            other = Listening(str(number))
            first.join("topic", other)
            first.track("topic", other, "n", {})
        late = Listening("late")
        first.join("topic", late)
        with pytest.raises(TooManyPresent):
            first.track("topic", late, "n", {})
    finally:
        for task in running:
            task.cancel()
