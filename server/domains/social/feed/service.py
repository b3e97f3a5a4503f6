"""Reading feeds, and searching."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from persistence.feed.store import NEWEST, FeedFilter, FeedPlace, FeedStore
from persistence.rls import Requester
from protocol.feed import (
    PublicFeedQuery,
    Reason,
    Recommendation,
    Recommendations,
    RecommendedQuery,
    SearchQuery,
    SimilarQuery,
)
from protocol.history import PageQuery
from protocol.ids import CreationId
from server.core.clock import wire_time
from server.core.cursors import CursorCodec
from server.domains.social.feed.cache import PageCache

_CURSOR: Final = CursorCodec("feed", FeedPlace, datetime, UUID)
_SEARCH: Final = CursorCodec("search", FeedPlace, datetime, UUID)
_TIMES: Final = ("created_at", "updated_at", "published_at")


class FeedService:
    """Feeds; `now` gives monotonic seconds."""

    def __init__(self, store: FeedStore, cache: PageCache, now: Callable[[], float]) -> None:
        self._store = store
        self._cache = cache
        self._now = now

    async def following(self, who: Requester, query: PageQuery) -> bytes:
        """Read the feed of those whom somebody follows."""
        rows = await self._store.read_following(who, after=_after(query.cursor), limit=query.limit)
        return _page(rows, query.limit)

    async def public(self, who: Requester | None, query: PublicFeedQuery) -> bytes:
        """Read published creations; what anybody may see is given as it was cached."""
        which = FeedFilter(query.type, query.tag, query.user_id, query.featured)
        after, limit = _after(query.cursor), query.limit
        if who is not None:
            return _page(await self._store.read_public(who, which, after=after, limit=limit), limit)
        key = (which, after, limit)
        if (cached := self._cache.get(key, self._now())) is not None:
            return cached
        generation = self._cache.generation
        rows = await self._store.read_public(None, which, after=after, limit=limit)
        page = _page(rows, limit)
        self._cache.put(key, page, self._now(), generation=generation)
        return page

    async def search(self, who: Requester | None, query: SearchQuery) -> bytes:
        """Find published creations by words."""
        after = None if query.cursor is None else _SEARCH.read(query.cursor)
        rows = await self._store.search(who, query.q, query.type, after=after, limit=query.limit)
        return _page(rows, query.limit, _SEARCH)

    async def similar(
        self, who: Requester | None, creation_id: CreationId, query: SimilarQuery
    ) -> Recommendations:
        """Read what is similar to a creation."""
        rows = await self._store.read_similar(
            who, creation_id, limit=query.limit, other_people=query.other_people
        )
        return Recommendations(
            creations=[_recommendation(row, explains_source=False) for row in rows]
        )

    async def recommended(self, who: Requester, query: RecommendedQuery) -> Recommendations:
        """Read what is similar to what somebody liked last."""
        rows = await self._store.read_recommended(who, limit=query.limit)
        return Recommendations(
            creations=[_recommendation(row, explains_source=True) for row in rows]
        )


def _recommendation(record: Any, *, explains_source: bool) -> Recommendation:
    fields = dict(record)
    tag, source = fields.pop("tag"), fields.pop("source_id")
    title, people = fields.pop("source_title"), fields.pop("also_liked")
    reasons = []
    if explains_source:
        liked = f"because you liked {title}"
        reasons.append(Reason(kind="because_you_liked", text=liked, creation_id=source))
    if tag is not None:
        reasons.append(Reason(kind="tag", text=f"tag: {tag}", tag=tag))
    if people:
        others = "1 person" if people == 1 else f"{people} people"
        text = f"liked by {others} who liked the same"
        reasons.append(Reason(kind="also_liked", text=text, people=people))
    return Recommendation(**_card(fields), reasons=reasons)


def _after(cursor: str | None) -> FeedPlace:
    return NEWEST if cursor is None else _CURSOR.read(cursor)


def _page(rows: Sequence[Any], limit: int, cursor: CursorCodec[FeedPlace] = _CURSOR) -> bytes:
    """Write a page as `protocol.feed.Creations` has it.

    Models are left out: making and dumping twenty took as long as all the rest of a request, and
    the database has checked what its columns hold.
    """
    following = cursor.after_page(
        rows, limit, lambda row: FeedPlace(row["published_at"], row["id"])
    )
    return orjson.dumps({"creations": [_card(row) for row in rows], "next": following})


def _card(record: Any) -> dict[str, Any]:
    fields = dict(record)
    fields["creation_id"] = fields.pop("id")
    for name in _TIMES:
        if fields[name] is not None:
            fields[name] = wire_time(fields[name])
    return fields
