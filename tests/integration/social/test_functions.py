"""The functions of the social platform, by name: what each does, and for whom."""

import asyncio
import contextlib
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.integration.social.world import ADA, BOB, EVE, LUMINA, WRONG_COUNTERS, World

# What the specification names, with its arguments.
SPECIFIED: Final = {
    "handle_new_user": "",
    "update_last_active": "",
    "get_or_create_conversation": "p_user_id p_luminor_id p_session_id",
    "add_message_to_conversation": "p_conversation_id p_user_id p_role p_content p_model p_tokens",
    "check_bond_level_up": "p_user_id p_luminor_id",
    "add_key_memory": "p_user_id p_luminor_id p_memory_type p_content p_importance",
    "publish_creation": "p_creation_id p_user_id",
    "archive_creation": "p_creation_id p_user_id",
    "increment_creation_views": "p_creation_id",
    "toggle_like": "p_user_id p_creation_id",
    "follow_user": "p_follower_id p_following_id",
    "unfollow_user": "p_follower_id p_following_id",
    "mark_notification_read": "p_notification_id p_user_id",
    "mark_all_notifications_read": "p_user_id",
    "search_creations": "p_query p_type p_limit p_offset",
    "get_user_feed": "p_user_id p_limit p_offset",
    "get_user_stats": "p_user_id",
}
CALLS: Final = {
    "get_or_create_conversation": "get_or_create_conversation($1, $2)",
    "add_message_to_conversation": "add_message_to_conversation($2, $1, 'user', 'x')",
    "check_bond_level_up": "check_bond_level_up($1, $2)",
    "add_key_memory": "add_key_memory($1, $2, 'fact', 'x')",
    "publish_creation": "publish_creation($2, $1)",
    "archive_creation": "archive_creation($2, $1)",
    "toggle_like": "toggle_like($1, $2)",
    "set_like": "set_like($1, $2, true)",
    "follow_user": "follow_user($1, $2)",
    "unfollow_user": "unfollow_user($1, $2)",
    "delete_comment": "delete_comment($2, $1)",
    "mark_notification_read": "mark_notification_read($2, $1)",
    "mark_all_notifications_read": "mark_all_notifications_read($1), $2::uuid",
    "get_user_feed": "count(*) FROM get_user_feed($1) WHERE id <> $2",
    "get_user_feed_page": "count(*) FROM get_user_feed_page($1) WHERE id <> $2",
    "get_user_stats": "get_user_stats($1), $2::uuid",
}


async def test_every_specified_function_is_there(world: World) -> None:
    found = await world.owner.fetch(
        "SELECT proname::text, coalesce(proargnames, '{}') AS names FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace"
    )
    names = {row["proname"]: row["names"] for row in found}
    for name, arguments in SPECIFIED.items():
        wanted = arguments.split()
        assert names[name][: len(wanted)] == wanted


@pytest.mark.parametrize("name", CALLS)
async def test_nobody_acts_for_another_account_but_the_service(world: World, name: str) -> None:
    call = f"SELECT {CALLS[name]}"
    async with world.speak_for(BOB) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="your own account"):
            await connection.fetch(call, ADA, LUMINA)
    async with world.speak_for(None) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(call, ADA, LUMINA)
    for role in ("service_role", "playhall_server"):
        async with world.speak_for(None, role=role) as connection:
            # It is let through, and at most there is no such row.
            with contextlib.suppress(asyncpg.ForeignKeyViolationError):
                await connection.fetch(call, ADA, LUMINA)


# ------------------------------------------------------------------ accounts


async def test_account_that_another_service_adds_gets_a_profile_and_no_error_ever(
    world: World,
) -> None:
    account, taken = uuid4(), uuid4()
    async with world.speak_for(None, role="postgres") as connection:
        await connection.execute(
            "CREATE TRIGGER new_user AFTER INSERT ON auth.users"
            " FOR EACH ROW EXECUTE FUNCTION handle_new_user()"
        )
        await connection.execute("INSERT INTO auth.users (id) VALUES ($1)", account)
        number = await connection.fetchval(
            "SELECT arcanean_id FROM profiles WHERE id = $1", account
        )
        assert number.startswith("ARC-")
        await connection.execute("ALTER TABLE profiles ADD CONSTRAINT none CHECK (false) NOT VALID")
        await connection.execute("INSERT INTO auth.users (id) VALUES ($1)", taken)
        assert (
            await connection.fetchval("SELECT count(*) FROM auth.users WHERE id = $1", taken) == 1
        )


async def test_arcanean_id_grows_past_six_digits(world: World) -> None:
    await world.owner.execute("SELECT setval('arcanean_ids', 999998)")
    drawn = [await world.owner.fetchval("SELECT next_arcanean_id()") for _ in range(2)]
    assert drawn == ["ARC-999999", "ARC-1000000"]


async def test_activity_is_written_once_a_minute_and_is_no_change_of_the_profile(
    world: World,
) -> None:
    read = "SELECT last_active_at, updated_at FROM profiles WHERE id = $1"
    before = await world.owner.fetchrow(read, BOB)
    for _ in range(2):
        async with world.speak_for(BOB, keep=True) as connection:
            await connection.execute("SELECT update_last_active()")
        after = await world.owner.fetchrow(read, BOB)
        assert after["updated_at"] == before["updated_at"]
        assert before["last_active_at"] in (None, after["last_active_at"])
        before = after


# ------------------------------------------------------------------ companions


async def test_conversation_of_a_session_is_made_once(world: World) -> None:
    get = "SELECT get_or_create_conversation($1, $2, $3)"

    async def ask(session: str | None) -> UUID:
        connection = await asyncpg.connect(world.dsn)
        try:
            async with world.speak_for(BOB, connection=connection, keep=True):
                return await connection.fetchval(get, BOB, LUMINA, session)
        finally:
            await connection.close()

    assert len(set(await asyncio.gather(*(ask(None) for _ in range(6))))) == 1
    (made,) = set(await asyncio.gather(*(ask("s1") for _ in range(6))))
    assert await ask(None) == made  # the newest active one
    await world.owner.execute(
        "UPDATE luminor_conversations SET is_archived = true WHERE id = $1", made
    )
    assert await ask("s1") != made


async def test_message_is_added_once_and_only_people_earn(world: World) -> None:
    add = "SELECT add_message_to_conversation($1, $2, $3, $4, p_request_id => $5)"
    async with world.speak_for(ADA) as connection:
        talk = await connection.fetchval("SELECT get_or_create_conversation($1, $2)", ADA, LUMINA)
        first = await connection.fetchval(add, talk, ADA, "user", "Hello", "r1")
        assert await connection.fetchval(add, talk, ADA, "user", "Hello", "r1") == first
        await connection.execute("SET LOCAL ROLE service_role")
        await connection.fetchval(add, talk, ADA, "assistant", "Good day", None)
        row = await connection.fetchrow(
            "SELECT r.bond_xp, r.total_interactions, c.message_count FROM luminor_relationships r"
            " JOIN luminor_conversations c USING (user_id, luminor_id) WHERE c.id = $1",
            talk,
        )
        assert tuple(row) == (10, 1, 2)


@pytest.mark.parametrize("role", ["assistant", "system"])
async def test_people_cannot_forge_messages_of_others(world: World, role: str) -> None:
    async with world.speak_for(ADA) as connection:
        talk = await connection.fetchval("SELECT get_or_create_conversation($1, $2)", ADA, LUMINA)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(
                "SELECT add_message_to_conversation($1, $2, $3, 'x')", talk, ADA, role
            )


async def test_bond_rises_several_levels_at_once_carries_over_and_stops_at_ten(
    world: World,
) -> None:
    read = "SELECT * FROM check_bond_level_up($1, $2)"
    give = "UPDATE luminor_relationships SET bond_xp = $1 WHERE user_id = $2"
    async with world.speak_for(ADA) as connection:
        await connection.execute(
            "INSERT INTO luminor_relationships (user_id, luminor_id) VALUES ($1, $2)", ADA, LUMINA
        )
        await connection.execute("RESET ROLE")
        await connection.execute(give, 100 + 282 + 7, ADA)
        assert tuple(await connection.fetchrow(read, ADA, LUMINA))[:4] == (True, 3, 7, 519)
        assert tuple(await connection.fetchrow(read, ADA, LUMINA))[:4] == (False, 3, 7, 519)
        await connection.execute(give, 1_000_000, ADA)
        up = await connection.fetchrow(read, ADA, LUMINA)
        assert (up["bond_level"], up["level_progress_percent"]) == (10, 100)
        told = await connection.fetch(
            "SELECT metadata FROM notifications WHERE type = 'bond_level_up' AND user_id = $1", ADA
        )
        assert len(told) == 2


async def test_rules_of_bonds_can_be_changed(world: World) -> None:
    async with world.speak_for(None, role="playhall_server") as connection:
        await connection.execute(
            "INSERT INTO bond_rules (xp_per_message, xp_per_day) VALUES (7, 10)"
        )
        talk = await connection.fetchval("SELECT get_or_create_conversation($1, $2)", ADA, LUMINA)
        await connection.execute(
            "SELECT add_message_to_conversation($1, $2, 'user', 'x') FROM generate_series(1, 3)",
            talk,
            ADA,
        )
        assert await connection.fetchval("SELECT bond_xp FROM luminor_relationships") == 10


async def test_xp_of_a_day_is_bounded(world: World) -> None:
    async with world.speak_for(ADA) as connection:
        talk = await connection.fetchval("SELECT get_or_create_conversation($1, $2)", ADA, LUMINA)
        await connection.execute(
            "SELECT add_message_to_conversation($1, $2, 'user', 'x') FROM generate_series(1, 40)",
            talk,
            ADA,
        )
        bond = await connection.fetchrow("SELECT * FROM luminor_relationships")
        assert (bond["bond_level"], bond["bond_xp"], bond["xp_of_day"]) == (2, 200, 300)
        assert bond["total_interactions"] == 40


async def test_memories_are_rows_and_key_memories_follow_them(world: World) -> None:
    add = "SELECT add_key_memory($1, $2, 'fact', $3, $4)"
    read = (
        "SELECT key_memories -> 0 ->> 'content', jsonb_array_length(key_memories)"
        " FROM luminor_relationships"
    )
    async with world.speak_for(ADA) as connection:
        await connection.execute(add, ADA, LUMINA, "likes lakes", 3)
        important = await connection.fetchval(add, ADA, LUMINA, "is called Ada", 9)
        assert tuple(await connection.fetchrow(read)) == ("is called Ada", 2)
        await connection.execute(
            "UPDATE luminor_memories SET content = 'is called Ada L.' WHERE id = $1", important
        )
        assert tuple(await connection.fetchrow(read)) == ("is called Ada L.", 2)
        await connection.execute("DELETE FROM luminor_memories WHERE id = $1", important)
        assert tuple(await connection.fetchrow(read)) == ("likes lakes", 1)


# ------------------------------------------------------------------ creations


async def test_creation_is_published_once_and_archived(world: World) -> None:
    async with world.speak_for(ADA) as connection:
        draft = await connection.fetchval(
            "INSERT INTO creations (user_id, title, type) VALUES ($1, 'A hill', 'image')"
            " RETURNING id",
            ADA,
        )
        read = "SELECT status, is_public, published_at FROM creations WHERE id = $1"
        assert await connection.fetchval("SELECT publish_creation($1, $2)", draft, ADA)
        published = await connection.fetchrow(read, draft)
        assert tuple(published)[:2] == ("published", True)
        assert await connection.fetchval("SELECT archive_creation($1, $2)", draft, ADA)
        assert await connection.fetchval("SELECT publish_creation($1, $2)", draft, ADA)
        assert await connection.fetchrow(read, draft) == published
        assert not await connection.fetchval("SELECT publish_creation($1, $2)", uuid4(), ADA)
        with pytest.raises(asyncpg.CheckViolationError, match="only be archived"):
            await connection.execute("UPDATE creations SET status = 'draft' WHERE id = $1", draft)


@pytest.mark.parametrize(
    ("original", "remix", "refused"),
    [
        ({"allow_remix": True}, {}, None),
        ({"allow_remix": False}, {}, "creations_remix_allowed"),
        ({"allow_remix": True}, {"allow_commercial": True}, "creations_remix_commercial"),
        ({"allow_remix": True, "status": "draft"}, {}, "creations_remix_visible"),
        ({"allow_remix": True, "user_id": EVE}, {}, "creations_remix_visible"),
        ({"allow_remix": False, "user_id": ADA}, {}, None),
    ],
)
async def test_remix_needs_what_the_original_allows(
    world: World, original: dict[str, object], remix: dict[str, object], refused: str | None
) -> None:
    source = await world.add_creation(**({"person": BOB} | original_of(original)))
    async with world.speak_for(None, role="postgres"):
        if refused:
            with pytest.raises(asyncpg.CheckViolationError) as error:
                await world.add_creation(ADA, "Remix", remix_of=source, **remix)
            assert error.value.constraint_name == refused
        else:
            await world.add_creation(ADA, "Remix", remix_of=source, **remix)
            count = "SELECT remix_count FROM creations WHERE id = $1"
            assert await world.owner.fetchval(count, source) == 1


def original_of(columns: dict[str, object]) -> dict[str, object]:
    """Name the owner as `add_creation` does."""
    return {"person" if name == "user_id" else name: value for name, value in columns.items()}


async def test_view_counts_once_a_day_and_never_ones_own(world: World) -> None:
    creation = await world.add_creation(ADA)
    view = "SELECT increment_creation_views($1)"
    for who, counted in ((BOB, True), (BOB, False), (ADA, False), (EVE, False)):
        async with world.speak_for(who, keep=True) as connection:
            assert await connection.fetchval(view, creation) is counted
    await world.owner.execute("SELECT flush_creation_views()")
    await world.owner.execute("SELECT flush_creation_views()")
    read = "SELECT view_count FROM creations WHERE id = $1"
    assert await world.owner.fetchval(read, creation) == 1


# ------------------------------------------------------------------ the graph


async def test_like_toggles_and_its_owner_is_told_once(world: World) -> None:
    creation = await world.add_creation(BOB)
    toggle = "SELECT toggle_like($1, $2)"
    async with world.speak_for(ADA) as connection:
        liked = [await connection.fetchval(toggle, ADA, creation) for _ in range(3)]
        assert liked == [True, False, True]
        read = "SELECT like_count FROM creations WHERE id = $1"
        assert await connection.fetchval(read, creation) == 1
        await connection.execute("RESET ROLE")
        told = await connection.fetch(
            "SELECT title FROM notifications WHERE creation_id = $1", creation
        )
        assert [title for (title,) in told] == ["Ada liked your creation"]


async def test_follow_and_unfollow_say_whether_anything_changed(world: World) -> None:
    async with world.speak_for(ADA) as connection:
        for name, changed in (
            ("follow", True),
            ("follow", False),
            ("unfollow", True),
            ("unfollow", False),
        ):
            call = f"SELECT {name}_user($1, $2)"
            assert await connection.fetchval(call, ADA, BOB) is changed


async def test_block_ends_follows_and_takes_back_notifications(world: World) -> None:
    amy, ben = uuid4(), uuid4()
    await world.add_person(amy, "amy")
    await world.add_person(ben, "ben")
    for one, other in ((amy, ben), (ben, amy)):
        await world.owner.execute(
            "INSERT INTO follows (follower_id, following_id) VALUES ($1, $2)", one, other
        )
    async with world.speak_for(amy, keep=True) as connection:
        assert await connection.fetchval("SELECT count(*) FROM notifications") == 1
        await connection.execute(
            "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)", amy, ben
        )
        assert await connection.fetchval("SELECT count(*) FROM notifications") == 0
    counts = await world.owner.fetch(
        "SELECT follower_count + following_count FROM profiles WHERE id = ANY ($1)", [amy, ben]
    )
    assert [count for (count,) in counts] == [0, 0]


async def test_at_most_ten_people_are_told_that_they_are_mentioned(world: World) -> None:
    creation = await world.add_creation(BOB)
    names = [f"crowd{number}" for number in range(12)]
    for name in names:
        await world.add_person(uuid4(), name)
    text = " ".join(f"@{name}" for name in [*names, "eve", "nobody_here", names[0]])
    async with world.speak_for(ADA) as connection:
        await connection.execute(
            "INSERT INTO comments (user_id, creation_id, content) VALUES ($1, $2, $3)",
            ADA,
            creation,
            text,
        )
        await connection.execute("RESET ROLE")
        told = await connection.fetch(
            "SELECT type, count(*) FROM notifications WHERE creation_id = $1 GROUP BY 1", creation
        )
        assert {tuple(row) for row in told} == {("mention", 10), ("creation_commented", 1)}


async def test_muted_and_unwanted_notifications_are_not_sent(world: World) -> None:
    creation = await world.add_creation(BOB)
    async with world.speak_for(None, role="postgres") as connection:
        await connection.execute("INSERT INTO mutes (muter_id, muted_id) VALUES ($1, $2)", BOB, ADA)
        await world.add_comment(ADA, creation)
        await connection.execute(
            "UPDATE profiles SET preferences = $1::text::jsonb WHERE id = $2",
            '{"notifications": {"creation_liked": false}}',
            BOB,
        )
        await connection.execute(
            "INSERT INTO likes (user_id, creation_id) VALUES ($1, $2)", EVE, creation
        )
        told = "SELECT count(*) FROM notifications WHERE creation_id = $1"
        assert await connection.fetchval(told, creation) == 0


# ------------------------------------------------------------------ comments


async def test_deleted_parent_becomes_a_tombstone_until_its_last_reply_goes(world: World) -> None:
    creation = await world.add_creation(BOB)
    parent = await world.add_comment(ADA, creation)
    reply = await world.add_comment(BOB, creation, parent)
    count = "SELECT comment_count FROM creations WHERE id = $1"
    async with world.speak_for(ADA, keep=True) as connection:
        assert await connection.fetchval("SELECT delete_comment($1, $2)", parent, ADA)
        row = await connection.fetchrow("SELECT * FROM comments WHERE id = $1", parent)
        assert (row["user_id"], row["content"]) == (None, "")
        assert await connection.fetchval(count, creation) == 1
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with connection.transaction():
                await connection.execute(
                    "INSERT INTO comments (user_id, creation_id, content, parent_comment_id)"
                    " VALUES ($1, $2, 'x', $3)",
                    ADA,
                    creation,
                    parent,
                )
        assert not await connection.fetchval("SELECT delete_comment($1, $2)", reply, ADA)
    async with world.speak_for(BOB, keep=True) as connection:
        assert await connection.fetchval("SELECT delete_comment($1, $2)", reply, BOB)
        left = "SELECT count(*) FROM comments WHERE creation_id = $1"
        assert await connection.fetchval(left, creation) == 0
        assert await connection.fetchval(count, creation) == 0


async def test_threads_have_a_limited_depth_within_one_creation(world: World) -> None:
    creation, elsewhere = await world.add_creation(BOB), await world.add_creation(BOB)
    comment = await world.add_comment(ADA, creation)
    for _ in range(8):
        comment = await world.add_comment(ADA, creation, comment)
    with pytest.raises(asyncpg.CheckViolationError, match="comments_depth"):
        await world.add_comment(ADA, creation, comment)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await world.add_comment(ADA, elsewhere, comment)


async def test_creation_with_a_thread_and_a_person_are_deleted_whole(world: World) -> None:
    amy = uuid4()
    await world.add_person(amy, "amy2")
    creation, hers = await world.add_creation(BOB), await world.add_creation(amy)
    parent = await world.add_comment(amy, creation)
    reply = await world.add_comment(BOB, creation, parent)
    await world.add_comment(amy, creation, reply)
    await world.add_comment(BOB, hers, await world.add_comment(BOB, hers))
    await world.owner.execute(
        "INSERT INTO likes (user_id, creation_id) VALUES ($1, $2)", amy, creation
    )
    await world.owner.fetchval("SELECT playhall_auth.erase_person($1)", amy)
    rows = await world.owner.fetch("SELECT user_id FROM comments WHERE creation_id = $1", creation)
    assert {user for (user,) in rows} == {None, BOB}
    assert await world.owner.fetch(WRONG_COUNTERS) == []
    await world.owner.execute("DELETE FROM creations WHERE id = $1", creation)
    assert await world.owner.fetch("SELECT FROM comments WHERE creation_id = $1", creation) == []


# ------------------------------------------------------------------ notifications, figures


async def test_notifications_are_marked_as_read(world: World) -> None:
    for number in range(3):
        await world.owner.execute(
            "INSERT INTO notifications (user_id, type, title)"
            " VALUES ($1, 'system_announcement', $2)",
            EVE,
            f"News {number}",
        )
    async with world.speak_for(EVE) as connection:
        one = await connection.fetchval("SELECT id FROM notifications ORDER BY seq LIMIT 1")
        assert await connection.fetchval("SELECT mark_notification_read($1, $2)", one, EVE)
        assert await connection.fetchval("SELECT read_at FROM notifications WHERE id = $1", one)
        assert await connection.fetchval("SELECT mark_all_notifications_read($1)", EVE) == 2
        assert await connection.fetchval("SELECT mark_all_notifications_read($1)", EVE) == 0
    async with world.speak_for(BOB) as connection:
        assert not await connection.fetchval("SELECT mark_notification_read($1, $2)", one, BOB)


async def test_person_who_is_not_active_is_on_no_list(world: World) -> None:
    amy = uuid4()
    await world.add_person(amy, "amy3")
    creation = await world.add_creation(amy, "Unmistakable")
    found = "SELECT count(*) FROM search_creations('unmistakable')"
    change = "UPDATE profiles SET is_active = $2 WHERE id = $1"
    for active in (True, False, True):
        await world.owner.execute(change, amy, active)
        async with world.speak_for(BOB) as connection:
            assert await connection.fetchval(found) == int(active)
            seen = await connection.fetch("SELECT FROM creations WHERE id = $1", creation)
            assert len(seen) == int(active)
            seen = await connection.fetch("SELECT FROM profiles WHERE id = $1", amy)
            assert len(seen) == int(active)


async def test_figures_about_oneself(world: World) -> None:
    amy = uuid4()
    await world.add_person(amy, "amy4")
    creation = await world.add_creation(amy)
    await world.owner.execute(
        "INSERT INTO likes (user_id, creation_id) VALUES ($1, $2)", BOB, creation
    )
    async with world.speak_for(amy) as connection:
        figures = await connection.fetchval("SELECT get_user_stats($1)::json::text", amy)
    assert '"like_count": 1' in figures
    assert '"unread_notifications": 1' in figures


async def test_ratings_make_the_average_of_a_companion(world: World) -> None:
    rate = "UPDATE luminor_messages SET user_rating = $2 WHERE id = $1"
    read = "SELECT average_rating::float8, rating_count FROM luminors WHERE id = $1"
    async with world.speak_for(None, role="postgres") as connection:
        talk = await connection.fetchval(
            "SELECT get_or_create_conversation($1, $2, 'rated')", ADA, LUMINA
        )
        answers = [
            await connection.fetchval(
                "SELECT add_message_to_conversation($1, $2, 'assistant', 'x')", talk, ADA
            )
            for _ in range(2)
        ]
        for answer, stars in zip(answers, (5, 2), strict=True):
            await connection.execute(rate, answer, stars)
        assert tuple(await connection.fetchrow(read, LUMINA)) == (3.5, 2)
        await connection.execute(rate, answers[0], None)
        assert tuple(await connection.fetchrow(read, LUMINA)) == (2.0, 1)
        await connection.execute("DELETE FROM luminor_conversations WHERE id = $1", talk)
        assert tuple(await connection.fetchrow(read, LUMINA)) == (None, 0)
        assert await connection.fetch(WRONG_COUNTERS) == []
