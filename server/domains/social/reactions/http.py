"""Likes and comments over HTTP."""

from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from persistence.reactions.store import OLDEST, CommentPlace, LikeResult, ReactionStore
from protocol import reactions as wire
from protocol.creations import CreationNotFound, CreationPath
from protocol.errors import Forbidden, InvalidField, RateLimited
from protocol.ids import CommentId, CreationId, new_id
from server.core.clock import Clock, wire_time
from server.core.cursors import CursorCodec
from server.core.rate_limits import Rate, RateLimiter
from server.domains.social.reactions.likes import LikeBatches
from server.domains.social.reactions.settings import ReactionsSettings
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "reactions"
LIKE: Final = "/v1/creations/{creation_id}/like"
ALL: Final = "/v1/creations/{creation_id}/comments"
ONE: Final = "/v1/comments/{comment_id}"

_CURSOR: Final = CursorCodec("comments", CommentPlace, datetime, UUID)


class ReactionRoutes:
    """The addresses of likes and comments."""

    def __init__(
        self,
        store: ReactionStore,
        likes: LikeBatches,
        settings: ReactionsSettings,
        clock: Clock,
    ) -> None:
        self.liked_total = 0
        self.commented_total = 0
        self._store = store
        self._likes = likes
        per_minute = settings.likes_per_minute
        self._admit_like = AccountLimit(
            RateLimiter("likes", Rate(per_minute, per_minute), "You are liking too much at once"),
            clock,
        )
        self._admit_comment = AccountLimit(
            RateLimiter(
                "comments",
                Rate(settings.comments_per_minute, settings.comments_burst),
                "You are writing too many comments at once",
            ),
            clock,
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", tag=TAG)
        like = partial(make, answer=wire.Liked, admit=self._admit_like)
        write = partial(make, admit=self._admit_comment)
        creation = (CreationNotFound, InvalidField)
        comment = (wire.CommentNotFound, InvalidField, RateLimited)
        return [
            like("PUT", LIKE, "Like a creation.", self._like, errors=(*creation, RateLimited)),
            like(
                "DELETE",
                LIKE,
                "Take your like of a creation back.",
                self._unlike,
                errors=(*creation, RateLimited),
            ),
            Endpoint(
                "GET",
                ALL,
                "List comments on a creation, oldest first, or the replies to one.",
                self._list,
                query=wire.CommentsQuery,
                answer=wire.Comments,
                is_tagged=True,
                errors=creation,
                tag=TAG,
            ),
            write(
                "POST",
                ALL,
                "Comment on a creation, or reply to a comment.",
                self._add,
                body=wire.NewComment,
                answer=wire.Comment,
                errors=(CreationNotFound, *comment, wire.CommentTaken, wire.CommentTooDeep),
            ),
            write(
                "PATCH",
                ONE,
                "Edit your comment.",
                self._edit,
                body=wire.CommentChange,
                answer=wire.Comment,
                errors=(*comment, Forbidden),
            ),
            write(
                "DELETE",
                ONE,
                "Delete your comment; replies to it remain.",
                self._delete,
                answer=wire.CommentDeleted,
                errors=(*comment, Forbidden),
            ),
            like("PUT", f"{ONE}/like", "Like a comment.", self._like_comment, errors=comment),
            like(
                "DELETE",
                f"{ONE}/like",
                "Take your like of a comment back.",
                self._unlike_comment,
                errors=comment,
            ),
        ]

    async def _like(self, request: HttpRequest) -> wire.Liked:
        return await self._set_like(request, is_liked=True)

    async def _unlike(self, request: HttpRequest) -> wire.Liked:
        return await self._set_like(request, is_liked=False)

    async def _set_like(self, request: HttpRequest, *, is_liked: bool) -> wire.Liked:
        who, creation_id = request.who.requester, _creation_of(request)
        result = await self._likes.set_like(who, creation_id, is_liked=is_liked)
        return self._liked(result, is_liked=is_liked)

    async def _like_comment(self, request: HttpRequest) -> wire.Liked:
        return await self._set_comment_like(request, is_liked=True)

    async def _unlike_comment(self, request: HttpRequest) -> wire.Liked:
        return await self._set_comment_like(request, is_liked=False)

    async def _set_comment_like(self, request: HttpRequest, *, is_liked: bool) -> wire.Liked:
        who, comment_id = request.who.requester, _comment_of(request)
        result = await self._store.set_comment_like(who, comment_id, is_liked=is_liked)
        return self._liked(result, is_liked=is_liked)

    def _liked(self, result: LikeResult, *, is_liked: bool) -> wire.Liked:
        self.liked_total += is_liked and result.is_changed
        return wire.Liked(is_liked=is_liked, **result._asdict())

    async def _list(self, request: HttpRequest) -> wire.Comments:
        query: wire.CommentsQuery = request.query
        rows = await self._store.list_comments(
            request.requester,
            _creation_of(request),
            parent=query.parent_comment_id,
            after=OLDEST if query.cursor is None else _CURSOR.read(query.cursor),
            limit=query.limit,
        )
        return wire.Comments(
            comments=[_comment(row) for row in rows],
            next=_CURSOR.after_page(
                rows, query.limit, lambda row: CommentPlace(row["created_at"], row["comment_id"])
            ),
        )

    async def _add(self, request: HttpRequest) -> wire.Comment:
        new: wire.NewComment = request.body
        comment_id = new.comment_id or CommentId(new_id())
        added = await self._store.add_comment(
            request.who.requester,
            comment_id,
            _creation_of(request),
            new.content,
            new.parent_comment_id,
        )
        self.commented_total += 1
        return _comment(added)

    async def _edit(self, request: HttpRequest) -> wire.Comment:
        change: wire.CommentChange = request.body
        who, comment_id = request.who.requester, _comment_of(request)
        return _comment(await self._store.edit_comment(who, comment_id, change.content))

    async def _delete(self, request: HttpRequest) -> wire.CommentDeleted:
        comment_id = _comment_of(request)
        await self._store.delete_comment(request.who.requester, comment_id)
        return wire.CommentDeleted(comment_id=comment_id)


def _creation_of(request: HttpRequest) -> CreationId:
    return request.parse_path(CreationPath).creation_id


def _comment_of(request: HttpRequest) -> CommentId:
    return request.parse_path(wire.CommentPath).comment_id


def _comment(record: Any) -> wire.Comment:
    fields = dict(record)
    for name in ("created_at", "updated_at"):
        fields[name] = wire_time(fields[name])
    return wire.Comment(**fields)
