"""The four troubles that the specification lists, each with what is to be checked for it."""

import asyncio
import re
from typing import Any, Final

import asyncpg
import pytest

from tests.e2e.social.conftest import PNG, Person, Platform
from tests.fixtures.http import bearer
from tests.fixtures.shell import playhall

pytestmark = pytest.mark.xdist_group("social platform")

# What lists read, and the index that each is read from.
LISTS: Final = {
    "SELECT FROM luminor_messages WHERE conversation_id = '{id}' ORDER BY created_at, id": (
        "conversation_id_created_at_id_idx"
    ),
    "SELECT FROM notifications WHERE user_id = '{id}' ORDER BY created_at DESC, id DESC": (
        "user_id_created_at_id_idx"
    ),
    "SELECT FROM published_creations WHERE user_id = '{id}'"
    " ORDER BY published_at DESC, creation_id DESC": "published_creations",
    "SELECT FROM likes WHERE creation_id = '{id}'": "likes",
    "SELECT FROM follows WHERE following_id = '{id}'": "follows",
    "SELECT FROM comments WHERE creation_id = '{id}'": "comments",
}


async def as_person(owner: asyncpg.Connection, person: str, query: str, *values: object) -> Any:
    """Run a query under row level security as somebody; nothing of it is kept."""
    transaction = owner.transaction()
    await transaction.start()
    try:
        claims = f'{{"sub": "{person}"}}'
        await owner.execute("SELECT set_config('request.jwt.claims', $1, true)", claims)
        await owner.execute("SET LOCAL ROLE authenticated")
        return await owner.fetch(query, *values)
    finally:
        await transaction.rollback()


# ------------------------------------------------------------------ "User can't see their profile"


async def test_a_person_sees_their_profile_if_it_exists_and_their_token_is_valid(
    platform: Platform,
) -> None:
    ann, bob = await platform.people(2)
    # The profile exists: signing up made it.
    assert (await ann.ok("GET", "/me"))["user_id"] == ann.id
    # Row level security shows it, and the private part of it to its owner alone.
    own = "SELECT id::text, preferences FROM own_profile()"
    ((id_, _),) = await as_person(platform.owner, ann.id, own)
    assert id_ == ann.id
    public = "SELECT username FROM profiles WHERE id::text = $1"
    assert len(await as_person(platform.owner, bob.id, public, ann.id)) == 1
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_person(platform.owner, bob.id, "SELECT stripe_customer_id FROM profiles")
    # The token is valid: one that is not is said to be so, and nobody gets an empty profile.
    for token in ("", "x.y.z", ann.guest.token[:-4] + "AAAA"):
        async with platform.web.get("/v1/me", headers=bearer(token)) as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, "bad_token")


# ------------------------------------------------------------------ "Likes not incrementing"


async def test_likes_increment_by_the_trigger_and_only_for_oneself(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.published()
    count = "SELECT like_count FROM creations WHERE id::text = $1"
    # Row level security: one likes for oneself, and never for another person.
    like = "INSERT INTO likes (user_id, creation_id) VALUES ($1, $2)"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await as_person(platform.owner, bob.id, like, ann.id, creation)
    # The trigger: also for a row that is inserted past the API.
    await platform.owner.execute(like, bob.id, creation)
    assert await platform.owner.fetchval(count, creation) == 1
    await platform.owner.execute("DELETE FROM likes WHERE creation_id::text = $1", creation)
    assert await platform.owner.fetchval(count, creation) == 0
    # Where it did not run, `playhall social verify` says so, and repairs it.
    async with platform.owner.transaction():
        await platform.owner.execute("SET LOCAL session_replication_role = replica")
        await platform.owner.execute(like, bob.id, creation)
    assert await platform.owner.fetchval(count, creation) == 0
    settings = {"PLAYHALL_DATABASE_URL": platform.serving_dsn}
    said = await asyncio.to_thread(playhall, "social", "verify", environment=settings)
    assert f"creations {creation}: like_count is 0, should be 1" in said.said
    await asyncio.to_thread(playhall, "social", "verify", "--repair", environment=settings)
    assert await platform.owner.fetchval(count, creation) == 1


# ------------------------------------------------------------------ "Slow queries"


@pytest.mark.parametrize("query", LISTS)
async def test_lists_are_read_from_an_index(platform: Platform, query: str) -> None:
    (ann,) = await platform.people(1)
    async with platform.owner.transaction():
        await platform.owner.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plan = await platform.owner.fetch(f"EXPLAIN {query.format(id=ann.id)} LIMIT 20")
    text = "\n".join(line for (line,) in plan)
    assert "Index" in text
    assert LISTS[query] in text
    assert "Seq Scan" not in text
    assert "Sort  (" not in text


async def test_a_slow_query_is_named_in_the_metrics(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.published()
    blocking = platform.owner.transaction()
    await blocking.start()
    await platform.owner.execute("SELECT FROM creations WHERE id::text = $1 FOR UPDATE", creation)
    liking = asyncio.create_task(bob.ok("PUT", f"/creations/{creation}/like"))
    waits = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND now() - query_start > interval '150 ms')"
    )
    while not await platform.owner.fetchval("SELECT pg_stat_clear_snapshot()") and not (
        await platform.owner.fetchval(waits.replace("now()", "clock_timestamp()"))
    ):
        await asyncio.sleep(0.02)
    await blocking.commit()
    await liking
    async with platform.web.get("/metrics") as answer:
        metrics = await answer.text()
    slow = r'^playhall_slow_queries_total\{over="0.1",query="reactions/store\.\w+"\} [1-9]'
    assert re.search(slow, metrics, re.M), metrics
    for name in ("playhall_table_bytes", "playhall_database_pool_wait_seconds_total"):
        assert name in metrics


# ------------------------------------------------------------------ "Storage upload fails"


async def test_an_upload_says_why_it_is_refused(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.draft(type="image")
    path = f"/creations/{creation}/uploads"
    # The bucket's policy: into one's own folder, for one's own creation.
    image = {"size": len(PNG), "content_type": "image/png"}
    assert await bob.refused("POST", path, image) == (404, "creation_not_found")
    # Its size and its type, both as announced and as sent.
    for body in ({**image, "size": 101 * 1024**2}, {**image, "content_type": "text/html"}):
        assert await ann.refused("POST", path, body) == (422, "invalid_field")
    announced = await ann.ok("POST", path, image)
    assert await _put(platform, announced["upload_url"], PNG + b"more") >= 400
    assert await _put(platform, announced["upload_url"], b"<svg" + PNG[4:]) >= 400
    assert await ann.refused("POST", f"/creations/{creation}/files") == (404, "file_not_found")
    # The person's folder needs no preparation.
    url = await ann.upload(creation)
    assert f"/{ann.id}/" in url
    assert await _get(platform, ann, url) == PNG


async def _put(platform: Platform, url: str, content: bytes) -> int:
    headers = {"Content-Type": "image/png"}
    async with platform.web.put(url, data=content, headers=headers) as answer:
        return answer.status


async def _get(platform: Platform, who: Person, url: str) -> bytes:
    async with platform.web.get(url, headers=bearer(who.guest.token)) as answer:
        return await answer.read()
