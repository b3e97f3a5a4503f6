"""People and creations by the thousand, added in bulk: counters and lists are right at once."""

import asyncio
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest
import typer

from persistence.database import Database
from persistence.social.seeding import NotTheOwner, SocialSeedStore
from persistence.social.verification import SocialVerification
from server.ops.social_seeding.graph import SocialGraph, SocialPlan
from server.ops.social_seeding.seeding import SocialSeeding
from tests.fixtures.postgres import TEMPLATE
from tests.fixtures.shell import playhall

PLAN = SocialPlan(people=60, creations=400, random_seed=7, until=datetime(2026, 11, 1, tzinfo=UTC))
COUNTS = """
SELECT (SELECT count(*) FROM creations), (SELECT count(*) FROM published_creations),
    (SELECT count(*) FROM follows), (SELECT count(*) FROM likes), (SELECT count(*) FROM comments),
    (SELECT count(*) FROM blocks), (SELECT count(*) FROM creations WHERE remix_of IS NOT NULL),
    (SELECT count(*) FROM comments WHERE parent_comment_id IS NOT NULL)
"""
# Each must find nothing.
WRONG = {
    "a block is ignored": """
        WITH pair AS (SELECT blocker_id a, blocked_id b FROM blocks
            UNION ALL SELECT blocked_id, blocker_id FROM blocks)
        SELECT f.id FROM follows f JOIN pair ON (a, b) = (follower_id, following_id)
        UNION ALL SELECT l.id FROM likes l JOIN creations c ON c.id = l.creation_id
            JOIN pair ON (a, b) = (c.user_id, l.user_id)
        UNION ALL SELECT k.id FROM comments k JOIN creations c ON c.id = k.creation_id
            JOIN pair ON (a, b) = (c.user_id, k.user_id)
        UNION ALL SELECT n.id FROM notifications n JOIN pair ON (a, b) = (n.user_id, n.actor_id)""",
    "a notification tells of nothing": """
        SELECT n.id FROM notifications n WHERE NOT CASE n.type
            WHEN 'new_follower' THEN EXISTS (SELECT FROM follows f
                WHERE (f.follower_id, f.following_id, f.created_at)
                    = (n.actor_id, n.user_id, n.created_at))
            WHEN 'creation_liked' THEN EXISTS (SELECT FROM likes l
                WHERE (l.user_id, l.creation_id, l.created_at)
                    = (n.actor_id, n.creation_id, n.created_at))
            ELSE EXISTS (SELECT FROM comments k
                WHERE (k.user_id, k.id, k.created_at)
                    = (n.actor_id, n.comment_id, n.created_at)) END""",
    "an unnumbered notification": "SELECT id FROM notifications WHERE seq IS NULL",
    "something in the future": "SELECT id FROM likes WHERE created_at > '2026-11-01'",
    "a depth": """
        SELECT k.id FROM comments k JOIN comments p ON p.id = k.parent_comment_id
        WHERE k.depth <> p.depth + 1""",
    "a listing that differs": """
        SELECT p.creation_id FROM published_creations p
        EXCEPT SELECT l.creation_id FROM listings_of(ARRAY(SELECT id FROM creations)) l""",
    "something is announced": "SELECT name FROM event_outbox WHERE name = 'creation.published'",
    "a trigger is left out": "SELECT oid FROM pg_trigger WHERE tgenabled = 'D'",
}


@pytest.fixture(scope="module")
def new_database(databases):
    @contextmanager
    def make():
        dsn = databases.create(template=TEMPLATE)
        try:
            yield dsn
        finally:
            databases.drop(dsn)

    return make


async def seed(dsn, plan=PLAN):
    async with SocialSeedStore.open(dsn) as store:
        await SocialSeeding(store, on_progress=lambda _: None).run(plan)


async def differences(databases, dsn):
    database = await Database.open(databases.serving_dsn(dsn))
    try:
        checked = [each async for each in SocialVerification(database).check_counters(repair=False)]
    finally:
        await database.close()
    assert sum(each.rows for each in checked) > PLAN.creations
    return [difference for each in checked for difference in each.differences]


async def test_everything_agrees_at_once(new_database, databases):
    with new_database() as dsn:
        await seed(dsn)
        assert await differences(databases, dsn) == []
        with psycopg.connect(dsn) as database:
            for what, query in WRONG.items():
                assert database.execute(query).fetchall() == [], what
            counts = database.execute(COUNTS).fetchone()
            assert min(counts) > 0
            assert counts[0] == PLAN.creations
            # Few words are in most texts, and most words in few.
            words = database.execute(
                "SELECT ndoc FROM ts_stat('SELECT words FROM published_creations') ORDER BY 1"
            ).fetchall()
            assert words[0] == (1,)
            assert words[-1][0] > PLAN.creations // 10
            scripts = "SELECT count(*) FROM creations WHERE title ~ %s"
            for letters in ("[äöüéèñłż]", "[一-龥]", "[가-힣]"):
                assert database.execute(scripts, [letters]).fetchone()[0] > 0, letters


# A feed and a search, as simple as can be.
FEED = """
SELECT p.creation_id FROM published_creations p JOIN follows f ON f.following_id = p.user_id
WHERE f.follower_id = %s AND NOT p.is_nsfw ORDER BY p.published_at DESC, p.creation_id DESC
"""
FOUND = """
SELECT creation_id FROM published_creations WHERE words @@ %s::tsquery AND NOT is_nsfw
ORDER BY published_at DESC, creation_id DESC
"""
WORDS = (
    "SELECT word FROM ts_stat('SELECT words FROM published_creations') WHERE word ~ '^[a-z]{4,}$'"
)


def all_pages(database, page, *values):
    """Read a list to its end, seven at a time."""
    seen, last = [], (None, None)
    while rows := database.execute(page, [*values, *last]).fetchall():
        seen += [id_ for id_, _ in rows]
        last = (rows[-1][1], rows[-1][0])
    return seen


async def test_feeds_and_searches_have_everything_in_order_whichever_way_they_are_read(
    new_database,
):
    plan = replace(PLAN, people=90, creations=1200)  # more than a feed and a search look at first
    with new_database() as dsn:
        await seed(dsn, plan)
        with psycopg.connect(dsn) as database:
            # One follows a single person who seldom publishes.
            rare = "SELECT id FROM profiles ORDER BY creation_count, id LIMIT 1"
            database.execute(
                "DELETE FROM follows WHERE follower_id = (SELECT id FROM profiles"
                f" WHERE username = 'maker_000003') AND following_id <> ({rare})"
            )
            page = "SELECT id, published_at FROM get_user_feed_page(%s, 7, %s, %s)"
            people = database.execute("SELECT id FROM profiles ORDER BY username LIMIT 30")
            lengths = set()
            for (person,) in people.fetchall():
                wanted = [id_ for (id_,) in database.execute(FEED, [person])]
                assert all_pages(database, page, person) == wanted
                lengths.add(len(wanted))
            assert len(lengths) > 5
            page = "SELECT id, published_at FROM search_creations_page(%s, NULL, 7, %s, %s)"
            words = [word for (word,) in database.execute(WORDS).fetchall()]
            for word in words[:: len(words) // 40]:
                lexeme = database.execute("SELECT plainto_tsquery('simple', %s)", [word]).fetchone()
                stem = database.execute("SELECT plainto_tsquery('english', %s)", [word]).fetchone()
                query = " | ".join(filter(None, (lexeme[0], stem[0])))
                wanted = [id_ for (id_,) in database.execute(FOUND, [query])]
                if wanted:
                    assert all_pages(database, page, word) == wanted, word


async def test_what_was_interrupted_is_finished_and_repeated_without_a_change(new_database):
    with new_database() as dsn, psycopg.connect(dsn, autocommit=True) as database:
        batches = SocialGraph(PLAN).people()
        async with SocialSeedStore.open(dsn) as store:
            await store.add(next(batches))
        await seed(dsn)
        first = database.execute(COUNTS).fetchone()
        texts = "SELECT id, title, like_count FROM creations ORDER BY id"
        rows = database.execute(texts).fetchall()
        await seed(dsn)
        assert database.execute(COUNTS).fetchone() == first
        assert database.execute(texts).fetchall() == rows
        with pytest.raises(typer.BadParameter, match="--random-seed"):
            await seed(dsn, replace(PLAN, random_seed=8))


async def test_a_batch_that_fails_leaves_nothing_and_the_triggers_in_place(new_database):
    with new_database() as dsn, psycopg.connect(dsn, autocommit=True) as database:
        graph = SocialGraph(PLAN)
        async with SocialSeedStore.open(dsn) as store:
            with pytest.raises(Exception, match="foreign key"):
                await store.add(next(graph.creations()))  # without the people
        assert database.execute(COUNTS).fetchone()[0] == 0
        assert database.execute(WRONG["a trigger is left out"]).fetchall() == []


async def test_a_login_that_may_not_leave_out_triggers_is_told_so(new_database, databases):
    with new_database() as dsn:
        async with SocialSeedStore.open(databases.serving_dsn(dsn)) as store:
            with pytest.raises(NotTheOwner, match="playhall migrate"):
                await SocialSeeding(store, on_progress=lambda _: None).run(PLAN)


async def test_the_command_refuses_a_database_that_may_be_in_use(new_database, tmp_path):
    with new_database() as dsn:
        arguments = ("seed", "social", "--people", 5, "--creations", 5, "--data-dir", tmp_path)
        environment = {"PLAYHALL_DATABASE_URL": dsn}
        refused = await asyncio.to_thread(playhall, *arguments, environment=environment)
        assert (refused.status, "--yes" in refused.said) == (2, True)
        done = await asyncio.to_thread(playhall, *arguments, "--yes", environment=environment)
        assert done.status == 0, done.said
        assert "5 people and 5 creations are there" in done.said
