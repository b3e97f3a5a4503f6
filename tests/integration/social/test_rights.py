"""Every table, verb and person, on Ada's rows: what row level security lets them do."""

from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import pytest

from tests.integration.social.world import ADA, BOB, EVE, LUMINA, OLD, World

DENIED: Final = asyncpg.InsufficientPrivilegeError
PEOPLE: Final = {"anon": None, "ada": ADA, "bob": BOB, "eve": EVE}


class Case(NamedTuple):
    """Ada's rows of a table; `{…}` are ids."""

    table: str
    rows: str
    change: str
    add: str
    anon: str
    ada: str
    bob: str
    eve: str


# What each may do: S(elect), U(pdate), D(elete), I(nsert, in Ada's name). Eve is blocked by Ada.
CASES: Final = [
    Case("profiles", "id = '{ada}'", "bio = 'x'", "", "S", "SU", "S", ""),
    Case("profiles", "id = '{old}'", "bio = 'x'", "", "", "", "", ""),
    Case(
        "luminors",
        "slug = 'lumina'",
        "title = 'x'",
        "(name, slug, system_prompt) VALUES ('x', 'x', 'x')",
        "S",
        "S",
        "S",
        "S",
    ),
    Case(
        "creations",
        "id = '{public}'",
        "title = 'x'",
        "(user_id, title, type) VALUES ('{ada}', 'x', 'image')",
        "S",
        "SUDI",
        "S",
        "",
    ),
    Case("creations", "id = '{draft}'", "title = 'x'", "", "", "SUD", "", ""),
    Case("creations", "id = '{removed}'", "title = 'x'", "", "", "SUD", "", ""),
    Case("creations", "id = '{of_old}'", "title = 'x'", "", "", "", "", ""),
    Case(
        "likes",
        "user_id = '{ada}' AND creation_id = '{of_bob}'",
        "creation_id = creation_id",
        "(user_id, creation_id) VALUES ('{ada}', '{public}')",
        "S",
        "SDI",
        "S",
        "",
    ),
    Case(
        "comments",
        "id = '{comment}'",
        "content = 'x'",
        "(user_id, creation_id, content) VALUES ('{ada}', '{of_bob}', 'x')",
        "S",
        "SUDI",
        "S",
        "",
    ),
    Case(
        "comment_likes",
        "user_id = '{ada}'",
        "comment_id = comment_id",
        "(user_id, comment_id) VALUES ('{ada}', '{comment}')",
        "S",
        "SDI",
        "S",
        "",
    ),
    Case(
        "follows",
        "follower_id = '{ada}'",
        "notify_creations = true",
        "(follower_id, following_id) VALUES ('{ada}', '{zoe}')",
        "S",
        "SUDI",
        "S",
        "",
    ),
    Case(
        "notifications",
        "user_id = '{ada}'",
        "is_read = true",
        "(user_id, type, title) VALUES ('{ada}', 'mention', 'x')",
        "",
        "SUD",
        "",
        "",
    ),
    Case(
        "blocks",
        "blocker_id = '{ada}'",
        "created_at = created_at",
        "(blocker_id, blocked_id) VALUES ('{ada}', '{zoe}')",
        "",
        "SDI",
        "",
        "",
    ),
    Case(
        "mutes",
        "muter_id = '{ada}'",
        "created_at = created_at",
        "(muter_id, muted_id) VALUES ('{ada}', '{zoe}')",
        "",
        "SDI",
        "",
        "",
    ),
    Case(
        "luminor_conversations",
        "user_id = '{ada}'",
        "title = 'x'",
        "(user_id, luminor_id, session_id) VALUES ('{ada}', '{lumina}', 'new')",
        "",
        "SUDI",
        "",
        "",
    ),
    Case(
        "luminor_messages",
        "id = '{answer}'",
        "user_rating = 4",
        "(user_id, conversation_id, role, content) VALUES ('{ada}', '{talk}', 'user', 'x')",
        "",
        "SUI",
        "",
        "",
    ),
    Case(
        "luminor_messages",
        "id = '{system}'",
        "was_helpful = NULL",
        "(user_id, conversation_id, role, content) VALUES ('{ada}', '{talk}', 'assistant', 'x')",
        "",
        "",
        "",
        "",
    ),
    Case(
        "luminor_relationships",
        "user_id = '{ada}'",
        "user_preferences = '{{}}'",
        "(user_id, luminor_id) VALUES ('{ada}', '00000000-0000-4000-8000-0000000000c2')",
        "",
        "SUI",
        "",
        "",
    ),
    Case(
        "luminor_memories",
        "user_id = '{ada}'",
        "content = 'x'",
        "(user_id, luminor_id, memory_type, content) VALUES ('{ada}', '{lumina}', 'x', 'x')",
        "",
        "SUD",
        "",
        "",
    ),
    Case(
        "reports",
        "reporter_id = '{ada}'",
        "reason = 'spam'",
        "(reporter_id, profile_id, reason) VALUES ('{ada}', '{zoe}', 'spam')",
        "",
        "SI",
        "",
        "",
    ),
    Case("creation_days", "creation_id = '{public}'", "view_count = 9", "", "", "S", "", ""),
    Case("creation_views", "viewer_id = '{ada}'", "is_counted = true", "", "", "", "", ""),
    Case("published_creations", "user_id = '{ada}'", "title = 'x'", "", "", "", "", ""),
    Case("bond_rules", "true", "xp_per_day = 9", "", "", "", "", ""),
    Case("stripe_events", "true", "type = 'x'", "", "", "", "", ""),
    Case("stripe_deletions", "true", "due_at = now()", "", "", "", "", ""),
]


@pytest.fixture(scope="module")
async def ids(world: World) -> dict[str, UUID]:
    """Rows of Ada's in every table."""
    zoe = UUID("00000000-0000-4000-8000-0000000000d1")
    await world.add_person(zoe, "zoe")
    owner = world.owner
    found = {"ada": ADA, "bob": BOB, "eve": EVE, "old": OLD, "zoe": zoe, "lumina": LUMINA}
    found["public"] = await world.add_creation(ADA)
    found["draft"] = await world.add_creation(ADA, status="draft", is_public=False)
    found["removed"] = await world.add_creation(ADA)
    await owner.execute("UPDATE creations SET removed_at = now() WHERE id = $1", found["removed"])
    found["of_bob"] = await world.add_creation(BOB)
    found["of_old"] = await world.add_creation(OLD)
    await owner.execute(
        "INSERT INTO likes (user_id, creation_id) VALUES ($1, $2)", ADA, found["of_bob"]
    )
    found["comment"] = await world.add_comment(ADA, found["of_bob"])
    other = await world.add_comment(BOB, found["of_bob"])
    await owner.execute("INSERT INTO comment_likes VALUES ($1, $2)", ADA, other)
    for follower, following in ((ADA, BOB), (BOB, ADA)):
        await owner.execute(
            "INSERT INTO follows (follower_id, following_id) VALUES ($1, $2)", follower, following
        )
    await owner.execute("INSERT INTO mutes (muter_id, muted_id) VALUES ($1, $2)", ADA, EVE)
    await owner.execute(
        "INSERT INTO creation_views (creation_id, viewer_id) VALUES ($1, $2), ($3, $4)",
        found["of_bob"],
        ADA,
        found["public"],
        BOB,
    )
    await owner.fetchval("SELECT flush_creation_views()")
    found["talk"] = await owner.fetchval(
        "INSERT INTO luminor_conversations (user_id, luminor_id) VALUES ($1, $2) RETURNING id",
        ADA,
        LUMINA,
    )
    for name, role in (("asked", "user"), ("answer", "assistant"), ("system", "system")):
        found[name] = await owner.fetchval(
            "INSERT INTO luminor_messages (user_id, conversation_id, role, content)"
            " VALUES ($1, $2, $3, 'Hello') RETURNING id",
            ADA,
            found["talk"],
            role,
        )
    await owner.execute(
        "INSERT INTO luminor_memories (user_id, luminor_id, memory_type, content)"
        " VALUES ($1, $2, 'fact', 'likes lakes')",
        ADA,
        LUMINA,
    )
    await owner.execute(
        "INSERT INTO reports (reporter_id, creation_id, reason) VALUES ($1, $2, 'spam')",
        ADA,
        found["of_bob"],
    )
    await owner.execute("INSERT INTO bond_rules DEFAULT VALUES")
    await owner.execute("INSERT INTO stripe_events (event_id, type) VALUES ('evt_1', 'x')")
    await owner.execute("INSERT INTO stripe_deletions (customer_id) VALUES ('cus_1')")
    return found


@pytest.mark.parametrize("who", PEOPLE)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.table}: {case.rows[:24]}")
async def test_row_level_security_allows_exactly_this(
    world: World, ids: dict[str, UUID], case: Case, who: str
) -> None:
    rows = case.rows.format(**ids)
    statements = {
        "S": f"SELECT 1 FROM {case.table} WHERE {rows}",
        "U": f"UPDATE {case.table} SET {case.change.format(**ids)} WHERE {rows}",
        "D": f"DELETE FROM {case.table} WHERE {rows}",
    }
    if case.add:
        statements["I"] = f"INSERT INTO {case.table} {case.add.format(**ids)}"
    allowed = ""
    for letter, statement in statements.items():
        async with world.speak_for(PEOPLE[who]) as connection:
            try:
                async with connection.transaction():
                    done = await connection.execute(statement)
                allowed += letter if not done.endswith(" 0") else ""
            except DENIED:
                pass
    assert allowed == getattr(case, who)


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "profiles",
            "tier subscription_status stripe_customer_id stripe_subscription_id is_verified"
            " is_active creation_count follower_count following_count arcanean_id xp_total"
            " created_at last_active_at merged_into deactivated_at deactivated_by"
            " subscription_fetch subscription_period_end subscription_cancels"
            " subscription_check_at search_names",
        ),
        (
            "creations",
            "user_id is_featured view_count like_count comment_count remix_count remix_of"
            " removed_at created_at published_at updated_at blurhash",
        ),
        ("comments", "user_id creation_id parent_comment_id depth is_edited is_flagged like_count"),
        ("notifications", "user_id type title message actor_id read_at expires_at dedupe_key"),
        ("luminor_conversations", "user_id luminor_id message_count summary last_message_at"),
        ("luminor_messages", "user_id role content model tokens cost status reply_to request_id"),
        (
            "luminor_relationships",
            "user_id luminor_id bond_level bond_xp total_interactions key_memories xp_of_day"
            " xp_day",
        ),
        ("luminor_memories", "user_id luminor_id source_message_id superseded_at embedding"),
        ("follows", "follower_id following_id created_at"),
        ("reports", "status decision decision_note decided_by reason"),
    ],
)
async def test_people_cannot_set_what_is_not_theirs_to_set(
    world: World, ids: dict[str, UUID], table: str, columns: str
) -> None:
    for column in columns.split():
        async with world.speak_for(ADA) as connection:
            with pytest.raises(DENIED):
                await connection.execute(f"UPDATE {table} SET {column} = DEFAULT")


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        ("luminors", "system_prompt rating_sum"),
        (
            "profiles",
            "preferences subscription_status stripe_customer_id onboarding_step last_active_at"
            " updated_at is_active deactivated_by subscription_period_end subscription_check_at",
        ),
        ("reports", "decision_note decided_by"),
    ],
)
async def test_private_columns_are_not_selectable(
    world: World, ids: dict[str, UUID], table: str, columns: str
) -> None:
    for column in columns.split():
        async with world.speak_for(ADA) as connection:
            with pytest.raises(DENIED):
                await connection.fetch(f"SELECT {column} FROM {table}")


async def test_own_profile_has_the_private_columns_of_oneself_alone(
    world: World, ids: dict[str, UUID]
) -> None:
    async with world.speak_for(BOB) as connection:
        rows = await connection.fetch("SELECT id, preferences, tier FROM own_profile()")
    assert [row["id"] for row in rows] == [BOB]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO likes (user_id, creation_id) VALUES ('{eve}', '{public}')",
        "INSERT INTO comments (user_id, creation_id, content) VALUES ('{eve}', '{public}', 'x')",
        "INSERT INTO comments (user_id, creation_id, content, parent_comment_id)"
        " VALUES ('{eve}', '{of_bob}', 'x', '{comment}')",
        "INSERT INTO comment_likes (user_id, comment_id) VALUES ('{eve}', '{comment}')",
        "INSERT INTO follows (follower_id, following_id) VALUES ('{eve}', '{ada}')",
        "INSERT INTO follows (follower_id, following_id) VALUES ('{ada}', '{eve}')",
        "INSERT INTO follows (follower_id, following_id) VALUES ('{bob}', '{old}')",
        "INSERT INTO likes (user_id, creation_id) VALUES ('{bob}', '{of_old}')",
        "INSERT INTO likes (user_id, creation_id) VALUES ('{bob}', '{draft}')",
        "INSERT INTO likes (user_id, creation_id) VALUES ('{bob}', '{removed}')",
    ],
)
async def test_not_even_the_server_ties_blocked_people_together(
    world: World, ids: dict[str, UUID], statement: str
) -> None:
    async with world.speak_for(None, role="playhall_server") as connection:
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await connection.execute(statement.format(**ids))


async def test_nobody_learns_of_blocks_between_others(world: World, ids: dict[str, UUID]) -> None:
    ask = "SELECT is_blocked_between($1, $2)"
    for who, told in ((ADA, True), (EVE, True), (BOB, False)):
        async with world.speak_for(who) as connection:
            assert await connection.fetchval(ask, ADA, EVE) is told
            assert await connection.fetchval(ask, EVE, ADA) is told
    async with world.speak_for(None, role="playhall_server") as connection:
        assert await connection.fetchval(ask, EVE, ADA) is True
        assert await connection.fetchval(ask, ADA, BOB) is False
    async with world.speak_for(BOB) as connection:
        with pytest.raises(DENIED):
            await connection.fetchval("SELECT has_block($1, $2)", ADA, EVE)


async def test_own_words_can_be_taken_back_where_the_creation_is_hidden(world: World) -> None:
    """Delete one's own comment after a block, but neither edit it nor add another one."""
    people = [UUID(int=0x4000_8000_0000_0000_0901 + number) for number in range(2)]
    ann, ben = people
    for person, name in zip(people, ("annow", "benow"), strict=True):
        await world.add_person(person, name)
    creation = await world.add_creation(ann)
    said, liked = await world.add_comment(ben, creation), await world.add_comment(ann, creation)
    await world.owner.execute("INSERT INTO comment_likes VALUES ($1, $2)", ben, liked)
    await world.owner.execute(
        "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)", *people
    )
    async with world.speak_for(ben) as connection:
        seen = "SELECT id FROM comments WHERE creation_id = $1"
        assert await connection.fetch(seen, creation) == [(said,)]
        assert await connection.fetch("SELECT id FROM creations WHERE id = $1", creation) == []
        edit = "UPDATE comments SET content = 'Ha' WHERE id = $1"
        assert await connection.execute(edit, said) == "UPDATE 0"
        assert await connection.fetchval("SELECT delete_comment($1, $2)", said, ben)
        unlike = "DELETE FROM comment_likes WHERE comment_id = $1"
        assert await connection.execute(unlike, liked) == "DELETE 1"
        assert not await connection.fetchval("SELECT delete_comment($1, $2)", liked, ben)
        await connection.execute("RESET ROLE")
        counts = "SELECT comment_count FROM creations WHERE id = $1"
        assert await connection.fetchval(counts, creation) == 1
