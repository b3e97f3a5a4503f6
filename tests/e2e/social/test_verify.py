"""`playhall social verify` finds counters that are wrong, and repairs them."""

import asyncio

import pytest

from tests.e2e.social.conftest import Platform
from tests.fixtures.shell import Done, playhall

pytestmark = pytest.mark.xdist_group("social platform")


async def test_wrong_counters_are_found_and_repaired(platform: Platform) -> None:
    ann, bob = await platform.people(2)
    creation = await ann.published()
    comment = await bob.comment(creation)
    await bob.ok("PUT", f"/creations/{creation}/like")
    await ann.ok("PUT", f"/comments/{comment}/like")
    await bob.ok("PUT", f"/people/{ann.id}/follow", {})

    async def verify(*options: str) -> Done:
        settings = {"PLAYHALL_DATABASE_URL": platform.serving_dsn}
        return await asyncio.to_thread(playhall, "social", "verify", *options, environment=settings)

    assert (await verify()).status == 0
    for statement in (
        f"UPDATE creations SET like_count = 7, comment_count = 0 WHERE id = '{creation}'",
        f"UPDATE comments SET like_count = 0 WHERE id = '{comment}'",
        f"UPDATE profiles SET follower_count = 9 WHERE id = '{ann.id}'",
        f"DELETE FROM published_creations WHERE creation_id = '{creation}'",
    ):
        await platform.owner.execute(statement)
    said = await verify()
    assert said.status == 1
    for line in (
        f"creations {creation}: like_count is 7, should be 1",
        f"creations {creation}: comment_count is 0, should be 1",
        f"creations {creation}: listed is 0, should be 1",
        f"comments {comment}: like_count is 0, should be 1",
        f"profiles {ann.id}: follower_count is 9, should be 1",
        "5 counters differ.",
    ):
        assert line in said.said
    assert (await verify("--repair")).status == 0
    assert (await verify()).status == 0
    assert await platform.wrong_counters() == []
