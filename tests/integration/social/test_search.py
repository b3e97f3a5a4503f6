"""Search and lists: what is found, by whom, and from which indexes."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import asyncpg
import pytest

from migrations import runner
from persistence.queries import load_queries
from tests.integration.social.world import ADA, BOB, EVE, World

SEARCH: Final = "SELECT title FROM search_creations($1)"
TITLES: Final = {
    "The Crème dragon": "A beast that was running, 100% alive",
    "Wyrm_scales": "back\\slash",
    "東京の夜景": "美しい街",
    "서울 야경": None,
    "Zebra crossing": "stripes",
}


@pytest.fixture(scope="module")
async def found(world: World) -> dict[str, UUID]:
    """Bob's creations by their titles; one of them is not safe for work, others are not public."""
    ids = {
        title: await world.add_creation(
            BOB, title, description=text, tags=["Fire", "été"] if "dragon" in title else []
        )
        for title, text in TITLES.items()
    }
    ids["nsfw"] = await world.add_creation(BOB, "Zebra at night", is_nsfw=True)
    await world.add_creation(BOB, "Zebra draft", status="draft")
    await world.add_creation(BOB, "Zebra for myself", is_public=False)
    ids["ada"] = await world.add_creation(ADA, "Giraffe", type="music")
    return ids


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("dragon", ["The Crème dragon"]),
        ("CREME", ["The Crème dragon"]),
        ("crème Dragon", ["The Crème dragon"]),
        ("run", ["The Crème dragon"]),  # the stem of running
        ("dragon -beast", []),
        ("ete", ["The Crème dragon"]),  # a tag
        ("dragn", ["The Crème dragon"]),  # typing errors
        ("zebar", ["Zebra crossing"]),
        ("夜景", ["東京の夜景"]),
        ("街", ["東京の夜景"]),
        ("東京 街", ["東京の夜景"]),
        ("景夜", []),
        ("야경", ["서울 야경"]),
        ("zebra", ["Zebra crossing"]),
        ("%", []),
        ("_", []),
        ("100%", ["The Crème dragon"]),
        ("夜%", []),
        ("夜_", []),
        ("\\", []),
        ("'; DROP TABLE creations --", []),
        ("", []),
        ("   ", []),
        ("& | ! ( ) :* <->", []),
        ("x" * 100_000, []),
    ],
)
async def test_search_finds(
    world: World, found: dict[str, UUID], query: str, titles: list[str]
) -> None:
    async with world.speak_for(None) as connection:
        assert [title for (title,) in await connection.fetch(SEARCH, query)] == titles


async def test_title_with_an_underscore_is_found_by_its_words(
    world: World, found: dict[str, UUID]
) -> None:
    async with world.speak_for(None) as connection:
        assert [t for (t,) in await connection.fetch(SEARCH, "wyrm_scales")] == ["Wyrm_scales"]


async def test_search_by_type_page_and_bounds(world: World, found: dict[str, UUID]) -> None:
    search = "SELECT title FROM search_creations($1, $2, $3, $4)"
    async with world.speak_for(None) as connection:
        assert len(await connection.fetch(search, "giraffe", "music", 20, 0)) == 1
        assert await connection.fetch(search, "giraffe", "image", 20, 0) == []
        assert await connection.fetch(search, "giraffe", None, 20, 1) == []
        assert len(await connection.fetch(search, "giraffe", None, -5, -5)) == 1


async def test_nobody_finds_whom_they_block_or_who_blocks_them(
    world: World, found: dict[str, UUID]
) -> None:
    lists = {
        "SELECT title FROM search_creations('giraffe')": [EVE],
        "SELECT title FROM search_creations('giraffa')": [EVE],
        "SELECT title FROM list_creations(p_type => 'music')": [EVE],
        f"SELECT title FROM list_creations(p_person_id => '{ADA}')": [EVE],
        f"SELECT title FROM creations WHERE user_id = '{ADA}'": [EVE],
    }
    for query, blocked in lists.items():
        for person in (BOB, EVE, None):
            async with world.speak_for(person) as connection:
                titles = [title for (title,) in await connection.fetch(query)]
            assert titles == ([] if person in blocked else ["Giraffe"]), query


async def test_what_is_not_safe_for_work_is_shown_to_those_who_want_it(
    world: World, found: dict[str, UUID]
) -> None:
    query = "SELECT count(*) FROM search_creations('zebra')"
    async with world.speak_for(ADA) as connection:
        assert await connection.fetchval(query) == 1
        await connection.execute("UPDATE profiles SET preferences = '{\"show_nsfw\": true}'")
        assert await connection.fetchval(query) == 2


async def test_lists_go_on_where_a_page_ended(world: World, found: dict[str, UUID]) -> None:
    page = "SELECT id, published_at FROM list_creations(2, $1, $2)"
    async with world.speak_for(None) as connection:
        seen: list[UUID] = []
        last: tuple[object, object] = (None, None)
        while rows := await connection.fetch(page, *last):
            seen += [row["id"] for row in rows]
            last = (rows[-1]["published_at"], rows[-1]["id"])
        everything = await connection.fetch("SELECT id FROM list_creations(100)")
    assert seen == [creation for (creation,) in everything]
    assert len(seen) == len(TITLES) + 1


async def test_search_goes_on_where_a_page_ended(world: World, found: dict[str, UUID]) -> None:
    """Page through words that all creations have, and through what two people do not see alike."""
    for number in range(12):
        await world.add_creation(ADA if number % 3 else EVE, f"Heron {number}")
    page = "SELECT id, published_at FROM search_creations_page('heron', NULL, 5, $1, $2)"
    for person in (BOB, ADA, EVE, None):
        async with world.speak_for(person) as connection:
            seen: list[UUID] = []
            last: tuple[object, object] = (None, None)
            while rows := await connection.fetch(page, *last):
                seen += [row["id"] for row in rows]
                last = (rows[-1]["published_at"], rows[-1]["id"])
            everything = await connection.fetch("SELECT id FROM search_creations('heron')")
        assert seen == [creation for (creation,) in everything]
        assert len(seen) == {BOB: 12, ADA: 8, EVE: 4, None: 12}[person]
    await world.owner.execute("DELETE FROM creations WHERE title LIKE 'Heron %'")


async def test_lists_by_tag_and_what_is_featured(world: World, found: dict[str, UUID]) -> None:
    await world.owner.execute(
        "UPDATE creations SET is_featured = true WHERE id = $1", found["Zebra crossing"]
    )
    async with world.speak_for(None) as connection:
        by_tag = await connection.fetch("SELECT title FROM list_creations(p_tag => 'Fire')")
        featured = await connection.fetch("SELECT title FROM list_creations(p_featured => true)")
    assert [title for (title,) in by_tag] == ["The Crème dragon"]
    assert [title for (title,) in featured] == ["Zebra crossing"]


async def test_feed_has_what_those_one_follows_published(
    world: World, found: dict[str, UUID]
) -> None:
    async with world.speak_for(ADA) as connection:
        feed = "SELECT title, user_has_liked FROM get_user_feed($1)"
        assert await connection.fetch(feed, ADA) == []
        await connection.execute("SELECT follow_user($1, $2)", ADA, BOB)
        await connection.execute("SELECT toggle_like($1, $2)", ADA, found["Zebra crossing"])
        rows = [tuple(row) for row in await connection.fetch(feed, ADA)]
        assert rows[0] == ("Zebra crossing", True)
        assert [title for title, _ in rows] == list(TITLES)[::-1]
        page = "SELECT id, title, published_at FROM get_user_feed_page($1, 2, $2, $3)"
        first = await connection.fetch(page, ADA, None, None)
        second = await connection.fetch(page, ADA, first[-1]["published_at"], first[-1]["id"])
        assert [r["title"] for r in [*first, *second]] == [title for title, _ in rows[:4]]
        by_offset = await connection.fetch("SELECT title FROM get_user_feed($1, 2, 2)", ADA)
        assert [title for (title,) in by_offset] == [title for title, _ in rows[2:4]]
        await connection.execute("INSERT INTO mutes (muter_id, muted_id) VALUES ($1, $2)", ADA, BOB)
        assert await connection.fetch(feed, ADA) == []


# ------------------------------------------------------------------ plans

# The query patterns of the specification, as functions or under row level security.
PATTERNS: Final = {
    "a profile with its figures": f"""
        SELECT id, username, display_name, avatar_url, creation_count, follower_count,
            following_count
        FROM profiles WHERE id = '{BOB}'""",
    "a conversation with its newest messages": """
        SELECT c.id, l.name, (SELECT json_agg(m) FROM (
            SELECT * FROM luminor_messages m WHERE m.conversation_id = c.id
            ORDER BY m.created_at DESC, m.id DESC LIMIT 50) m)
        FROM luminor_conversations c JOIN luminors l ON l.id = c.luminor_id
        WHERE c.id = '00000000-0000-4000-8000-000000000001'""",
    "a feed": f"SELECT * FROM get_user_feed('{ADA}')",
    "a search for words": "SELECT * FROM search_creations('dragon')",
    "a feed far down": f"""
        SELECT * FROM get_user_feed_page('{ADA}', 20, now() - interval '1 year',
            '{BOB}')""",
    "a page of a search": """
        SELECT * FROM search_creations_page('dragon', NULL, 20, now() - interval '1 year')""",
    "a search with typing errors": "SELECT * FROM search_creations('dragn')",
    "a search without spaces between words": "SELECT * FROM search_creations('夜景')",
    "a list by tag": "SELECT * FROM list_creations(p_tag => 'Fire')",
    "a list of everything": "SELECT * FROM list_creations()",
    "a list of a person": f"SELECT * FROM list_creations(p_person_id => '{BOB}')",
    "a bond": f"""
        SELECT r.*, l.name, bond_xp_for_next_level(r.bond_level),
            bond_progress_percent(r.bond_level, r.bond_xp)
        FROM luminor_relationships r JOIN luminors l ON l.id = r.luminor_id
        WHERE r.user_id = '{ADA}' AND r.luminor_id = '00000000-0000-4000-8000-0000000000c1'""",
}


_FAR: Final = datetime.max.replace(tzinfo=UTC)
_INBOX: Final = (ADA, _FAR, BOB, False, False, None)
# What the server asks, with values.
STATEMENTS: Final[dict[str, tuple[str, str, tuple[object, ...]]]] = {
    "a profile": ("profiles/store", "find_profile", (BOB, "bob")),
    "an inbox": ("notifications/store", "list_heads", (*_INBOX, 1000, 20, 1000)),
    "where a page of an inbox ends": ("notifications/store", "last_looked_at", (*_INBOX, 1000)),
    "who caused notifications": (
        "notifications/store",
        "list_actors",
        (ADA, [BOB], ["new_follower"], [BOB], False, False),
    ),
    "what is unread": ("notifications/store", "count_unread", (ADA, 1000)),
    "comments": ("reactions/store", "list_comments", (BOB, ADA, _FAR, BOB, 20)),
    "followers": ("follows/store", "list_followers", (BOB, _FAR, BOB, 20)),
}


@pytest.mark.parametrize("pattern", [*PATTERNS, *STATEMENTS])
async def test_no_pattern_needs_a_sequential_scan(
    world: World, found: dict[str, UUID], pattern: str
) -> None:
    if pattern in PATTERNS:
        query, values = PATTERNS[pattern], ()
    else:
        file, name, values = STATEMENTS[pattern]
        query = load_queries(file)[name]
    plans: list[str] = []
    connection = await asyncpg.connect(world.dsn)
    connection.add_log_listener(lambda _, message: plans.append(message.message))
    try:
        await connection.execute(
            """
            LOAD 'auto_explain';
            SET auto_explain.log_min_duration = 0;
            SET auto_explain.log_nested_statements = on;
            SET auto_explain.log_level = notice;
            SET enable_seqscan = off;
            """
        )
        async with world.speak_for(ADA, connection=connection):
            await connection.fetch(query, *values)
    finally:
        await connection.close()
    scans = [table for plan in plans for table in re.findall(r"Seq Scan on (\w+)", plan)]
    assert any("Query Text" in plan for plan in plans)
    assert scans == []


# ------------------------------------------------------------------ without extensions

NO_EXTENSIONS: Final = """
    CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no extensions here'; END $$;
    CREATE EVENT TRIGGER no_extensions ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION')
        EXECUTE FUNCTION refuse();
"""


async def test_search_works_where_no_extension_can_be_added(empty_dsn: str) -> None:
    owner = await asyncpg.connect(empty_dsn)
    try:
        await owner.execute(NO_EXTENSIONS)
        await asyncio.to_thread(runner.upgrade, empty_dsn)
        world = World(empty_dsn, owner)
        await world.add_person(BOB, "bob")
        await world.add_creation(BOB, "The Crème dragon")
        async with world.speak_for(None) as connection:
            for query, count in (
                ("creme", 1),
                ("CRÈME", 1),
                ("dragn", 0),
                ("drago", 1),
                ("dra_on", 0),
            ):
                assert len(await connection.fetch(SEARCH, query)) == count, query
    finally:
        await owner.close()
