"""Likes and comments on the wire."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from protocol.blueprints import WireUserId
from protocol.creations import WireCreationId
from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import Limit
from protocol.ids import UUID_PATTERN, CommentId
from protocol.lobbies import Cursor
from protocol.text import TEXT

COMMENT_CHARS_MAX: Final = 2000

WireCommentId = Annotated[CommentId, StringConstraints(pattern=UUID_PATTERN)]
CommentText = Annotated[str, StringConstraints(min_length=1, max_length=COMMENT_CHARS_MAX), TEXT]


class CommentNotFound(PlayhallError):
    """There is no such comment, or you may not see it."""

    code, status = "comment_not_found", 404


class CommentTaken(PlayhallError):
    """A comment with this id already exists; choose another id."""

    code, status = "comment_taken", 409


class CommentTooDeep(PlayhallError):
    """This comment is as deep in its thread as one can be; reply to the comment above it."""

    code, status = "comment_too_deep", 409


class NewComment(WireModel):
    """A comment; `@username` mentions somebody, and the first ten are notified."""

    comment_id: WireCommentId | None = None
    content: CommentText
    parent_comment_id: WireCommentId | None = Field(
        default=None, description="The comment that it replies to."
    )


class CommentChange(WireModel):
    """What a comment is to say from now on."""

    content: CommentText


class CommentPath(WireModel):
    """The comment in an address."""

    comment_id: WireCommentId


class CommentsQuery(WireModel):
    """One page of comments: all, or the replies to one of them."""

    parent_comment_id: WireCommentId | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class Liked(WireModel):
    """Whether you like it now, and how many people do."""

    is_liked: bool
    is_changed: bool = Field(description="False if it was so already.")
    like_count: int | None = Field(description="Null if you may not see it any more.")


class Comment(WireModel):
    """A comment. One that was deleted and has replies stays, without its author and text."""

    comment_id: WireCommentId
    creation_id: WireCreationId
    user_id: WireUserId | None
    username: str | None
    display_name: str | None
    avatar_url: str | None
    content: str
    parent_comment_id: WireCommentId | None
    depth: int
    is_edited: bool
    is_deleted: bool
    is_removed: bool = Field(description="Moderators removed it; only its author sees it.")
    like_count: int
    user_has_liked: bool
    created_at: str
    updated_at: str


class Comments(WireModel):
    """One page of comments, oldest first."""

    comments: list[Comment]
    next: str | None


class CommentDeleted(WireModel):
    """The comment was deleted; replies to it remain."""

    comment_id: WireCommentId
