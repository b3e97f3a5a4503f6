"""Likes that wait for others of the same creation are done together, each with its own answer."""

import asyncio

import pytest

from persistence.reactions.store import LikeResult
from persistence.rls import Requester
from protocol.creations import CreationNotFound
from protocol.errors import Unavailable
from protocol.ids import CreationId, SessionId, UserId
from server.core.tasks import Tasks
from server.domains.social.reactions.likes import LikeBatches

LAKE, HILL = CreationId("lake"), CreationId("hill")


class SlowStore:
    """A store whose answers come when `go` is set; `failure` is raised instead of a batch."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.alone: list[tuple[str, bool]] = []
        self.together: list[dict[str, bool]] = []
        self.failure: Exception | None = None

    async def set_like(self, who, creation_id, *, is_liked):
        self.alone.append((who.user_id, is_liked))
        await self.go.wait()
        if who.user_id == "blocked":
            raise CreationNotFound
        return LikeResult(True, len(self.alone))

    async def set_likes(self, creation_id, wanted):
        self.together.append(dict(wanted))
        if self.failure is not None:
            raise self.failure
        return {who: LikeResult(True, 9) for who in wanted if who != "blocked"}


def person(name):
    return Requester(UserId(name), SessionId(name))


@pytest.fixture
async def likes():
    store = SlowStore()
    async with Tasks() as tasks:
        yield store, LikeBatches(store, tasks)


async def begin(likes, *names, is_liked=True, of=LAKE):
    """Have people like a creation, and let all of them come as far as they can."""
    wishes = [
        asyncio.create_task(likes.set_like(person(name), of, is_liked=is_liked)) for name in names
    ]
    await asyncio.sleep(0)
    return wishes


async def test_first_is_done_at_once_and_those_that_come_meanwhile_together(likes):
    store, batches = likes
    wishes = await begin(batches, "ann", "bob", "cid", "blocked")
    wishes += await begin(batches, "bob", is_liked=False)
    other = await begin(batches, "dan", of=HILL)
    assert store.alone == [("ann", True), ("dan", True)]
    assert len(batches) == 4
    store.go.set()
    results = await asyncio.gather(*wishes, *other, return_exceptions=True)
    # The second wish of a person comes after the first.
    assert store.together == [{"bob": True, "cid": True, "blocked": True}, {"bob": False}]
    refused = [place for place, each in enumerate(results) if isinstance(each, CreationNotFound)]
    assert refused == [3]
    assert all(each.is_changed for place, each in enumerate(results) if place != 3)
    assert batches.together_total == 4
    assert len(batches) == 0
    await begin(batches, "eve")
    assert store.alone[-1] == ("eve", True)


async def test_batch_that_is_refused_is_done_one_by_one(likes):
    store, batches = likes
    store.failure = CreationNotFound()
    wishes = await begin(batches, "ann", "bob", "blocked")
    store.go.set()
    first, second, third = await asyncio.gather(*wishes, return_exceptions=True)
    assert first.is_changed
    assert second.is_changed
    assert isinstance(third, CreationNotFound)
    assert [who for who, _ in store.alone] == ["ann", "bob", "blocked"]


async def test_who_leaves_keeps_nobody_else_waiting(likes):
    store, batches = likes
    first, second, third = await begin(batches, "ann", "bob", "cid")
    first.cancel()
    second.cancel()
    store.go.set()
    assert (await third).is_changed
    assert store.together == [{"bob": True, "cid": True}]
    assert len(batches) == 0


async def test_whoever_waits_is_answered_when_something_fails_or_the_server_stops():
    store = SlowStore()
    async with Tasks() as tasks:
        batches = LikeBatches(store, tasks)
        store.failure = LookupError("a mistake")
        wishes = await begin(batches, "ann", "bob")
        store.go.set()
        with pytest.raises(Unavailable):
            await wishes[1]
        store.failure = asyncio.CancelledError()  # as a server that stops does
        store.go.clear()
        wishes = await begin(batches, "ann", "bob")
        store.go.set()
        with pytest.raises(Unavailable):
            await wishes[1]
    assert len(batches) == 0
