"""Likes of one creation by many people at once: those who would wait are done together.

Each like locks the creation until it is committed. So while one is under way, those that come for
the same creation wait here, and the next transaction does all of them. A creation that few people
like at a time costs nothing: the first one is done at once, as the person.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from persistence.reactions.store import LikeResult, ReactionStore
from persistence.rls import Requester
from protocol.creations import CreationNotFound
from protocol.errors import Overloaded, PlayhallError, Unavailable
from protocol.ids import CreationId, UserId
from server.core.tasks import Tasks

TOGETHER_MAX: Final = 200  # likes of one transaction
WAITING_MAX: Final = 5000  # of one creation


class _Wish(NamedTuple):
    """A like that waits, or one that is to be taken back."""

    who: Requester
    is_liked: bool
    done: asyncio.Future[LikeResult]


class LikeBatches:
    """The likes that are under way, by creation."""

    def __init__(self, store: ReactionStore, tasks: Tasks) -> None:
        self.together_total = 0
        self._store = store
        self._tasks = tasks
        self._waiting: dict[CreationId, list[_Wish]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    async def set_like(
        self, who: Requester, creation_id: CreationId, *, is_liked: bool
    ) -> LikeResult:
        """Like a creation, or take that back; raise `CreationNotFound` or `Overloaded`."""
        waiting = self._waiting.get(creation_id)
        if waiting is not None:
            if len(waiting) >= WAITING_MAX:
                raise Overloaded
            wish = _Wish(who, is_liked, asyncio.get_running_loop().create_future())
            waiting.append(wish)
            return await wish.done
        self._waiting[creation_id] = []
        try:
            return await self._store.set_like(who, creation_id, is_liked=is_liked)
        finally:
            if self._waiting[creation_id]:
                self._tasks.start_work(self._work_off(creation_id), name=f"likes of {creation_id}")
            else:
                del self._waiting[creation_id]

    async def _work_off(self, creation_id: CreationId) -> None:
        """Do what waits, a batch at a time, until nothing does."""
        waiting = self._waiting[creation_id]
        try:
            while waiting:
                batch = _take_batch(waiting)
                try:
                    await self._do(creation_id, batch)
                finally:
                    _give_up(batch)
        finally:
            del self._waiting[creation_id]
            _give_up(waiting)

    async def _do(self, creation_id: CreationId, batch: Sequence[_Wish]) -> None:
        wanted = {wish.who.user_id: wish.is_liked for wish in batch}
        try:
            results = await self._store.set_likes(creation_id, wanted)
        except PlayhallError:
            # One of them was refused, or the database was busy: each for themselves.
            for wish in batch:
                await self._do_alone(creation_id, wish)
            return
        self.together_total += len(batch)
        for wish in batch:
            if wish.done.done():  # its client is gone
                continue
            if (result := results.get(wish.who.user_id)) is None:
                wish.done.set_exception(CreationNotFound())
            else:
                wish.done.set_result(result)

    async def _do_alone(self, creation_id: CreationId, wish: _Wish) -> None:
        if wish.done.done():
            return
        try:
            result = await self._store.set_like(wish.who, creation_id, is_liked=wish.is_liked)
        except PlayhallError as refused:
            if not wish.done.done():
                wish.done.set_exception(refused)
        else:
            if not wish.done.done():
                wish.done.set_result(result)


def _take_batch(waiting: list[_Wish]) -> list[_Wish]:
    """Take the first wish of each person, in the order in which they came."""
    batch: dict[UserId, _Wish] = {}
    rest: list[_Wish] = []
    for wish in waiting:
        if len(batch) < TOGETHER_MAX and wish.who.user_id not in batch:
            batch[wish.who.user_id] = wish
        else:
            rest.append(wish)
    waiting[:] = rest
    return list(batch.values())


def _give_up(wishes: Sequence[_Wish]) -> None:
    """Answer those that have no answer yet: the server stops, or something failed."""
    for wish in wishes:
        if not wish.done.done():
            wish.done.set_exception(Unavailable())
