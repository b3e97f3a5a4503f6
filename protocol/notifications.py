"""Notifications on the wire: lists in groups, live updates, preferences, announcements.

`seq` numbers the notifications of a person in the order in which they can be read. A connection
watches from the highest `seq` that it has, and ignores a notification that it has already.
"""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from protocol.envelope import Command, CommandId, Update, WireModel
from protocol.errors import PlayhallError
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN
from protocol.schemas import JsonObject
from protocol.text import NAME, SOME_LINES

SEQ_MAX: Final = 2**53 - 1
IDS_MAX: Final = 100  # of one change
GROUP_COUNT_MAX: Final = 1000  # up to which the notifications of a group are counted
RESUMED_MAX: Final = 200  # notifications that a connection is given when it comes back
TOKEN_CHARS_MAX: Final = 500

NotificationType = Literal[
    "creation_liked",
    "creation_commented",
    "new_follower",
    "comment_reply",
    "mention",
    "system_announcement",
    "bond_level_up",
    "comment_liked",
    "creation_remixed",
    "creation_published",
    "moderation_decision",
    "collaboration_invited",
]
Uuid = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
GroupKey = Annotated[str, StringConstraints(min_length=1, max_length=200), NAME]


def _path_or_https(url: str) -> str:
    is_path = url.startswith("/") and not url.startswith("//")
    if not (is_path or url.startswith("https://")) or not url.isprintable() or "\\" in url:
        raise ValueError("Use a path of this site, such as /news, or an https:// address")
    return url


ActionUrl = Annotated[
    str, StringConstraints(min_length=1, max_length=2048), AfterValidator(_path_or_https)
]

# ------------------------------------------------------------------ errors


class NotificationNotFound(PlayhallError):
    """You have no such notification."""

    code, status = "notification_not_found", 404


class AnnouncementTaken(PlayhallError):
    """Another announcement has this id; choose a new one."""

    code, status = "announcement_taken", 409


class BadUnsubscribeLink(PlayhallError):
    """The link is not valid; sign in and change your preferences instead."""

    code, status = "bad_unsubscribe_link", 400


# ------------------------------------------------------------------ lists


class Actor(WireModel):
    """Somebody who caused a notification."""

    user_id: Uuid
    name: str
    avatar_url: str | None


class NotificationContent(WireModel):
    """What a person is told."""

    notification_id: Uuid
    type: NotificationType
    title: str
    message: str
    action_url: str | None
    metadata: JsonObject
    creation_id: Uuid | None
    comment_id: Uuid | None
    group_key: str | None = Field(
        description="Notifications with the same key are shown as one group."
    )
    is_read: bool
    is_archived: bool
    created_at: str


class Notification(NotificationContent):
    """A notification as a connection gets it."""

    seq: int = Field(description="The number to watch from after a reconnection.")
    actor_id: Uuid | None


class NotificationGroup(NotificationContent):
    """A group of notifications, shown by its newest one; most groups have one notification."""

    summary: str = Field(description="The title for the group: `Ada and 12 others liked …`.")
    count: int = Field(description=f"Notifications in the group; at most {GROUP_COUNT_MAX}.")
    unread_count: int
    actor_count: int = Field(description="Different people who caused them.")
    actors: list[Actor] = Field(description="The newest three of them.")


class NotificationsQuery(WireModel):
    """Which notifications."""

    unread: bool = Field(default=False, description="Only those that are not read.")
    archived: bool = Field(default=False, description="Those that are archived instead.")
    group_key: GroupKey | None = Field(
        default=None, description="The notifications of one group, each on its own."
    )
    cursor: Cursor | None = None
    limit: Limit = 20


class NotificationsPage(WireModel):
    """Groups, newest first; `next` is the cursor of older ones. A page can be short."""

    groups: list[NotificationGroup]
    unread: int = Field(
        description=f"Notifications that are not read or archived; at most {GROUP_COUNT_MAX}."
    )
    next: str | None


# ------------------------------------------------------------------ changes


class NotificationsChange(WireModel):
    """Mark notifications: choose them by `notification_ids`, `group_key` or `all`."""

    notification_ids: Annotated[list[Uuid], Field(min_length=1, max_length=IDS_MAX)] | None = None
    group_key: GroupKey | None = None
    all: Literal[True] | None = None
    is_read: bool | None = None
    is_archived: bool | None = None

    @model_validator(mode="after")
    def _one_choice(self) -> "NotificationsChange":
        chosen = (self.notification_ids, self.group_key, self.all)
        if sum(each is not None for each in chosen) != 1:
            raise ValueError("Send exactly one of notification_ids, group_key and all")
        if self.is_read is None and self.is_archived is None:
            raise ValueError("Send is_read, is_archived or both")
        return self


class NotificationsDeletion(WireModel):
    """Delete the notifications of a group."""

    group_key: GroupKey


class NotificationsChanged(WireModel):
    """How many notifications were changed, and how many are unread now."""

    changed: int
    unread: int


class NotificationPath(WireModel):
    """The notification in an address."""

    notification_id: Uuid


# ------------------------------------------------------------------ preferences


class NotificationPreferences(WireModel):
    """What you are notified of."""

    types: dict[NotificationType, bool]
    email_digest: Literal["off", "daily"] = Field(
        description="Whether unread notifications are mailed to you, at most once a day."
    )


class NotificationPreferencesChange(WireModel):
    """Change what you are notified of; what is left out stays."""

    types: dict[NotificationType, bool] = Field(default_factory=dict)
    email_digest: Literal["off", "daily"] | None = None


class UnsubscribePath(WireModel):
    """The signed token of an unsubscribe link."""

    token: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=TOKEN_CHARS_MAX)
    ]


class Unsubscribed(WireModel):
    """No more digests are mailed."""

    email_digest: Literal["off"] = "off"


# ------------------------------------------------------------------ announcements


class AnnouncementRequest(WireModel):
    """What to announce to everybody."""

    title: Annotated[str, StringConstraints(min_length=1, max_length=300), NAME]
    message: Annotated[str, StringConstraints(max_length=2000), SOME_LINES] = ""
    action_url: ActionUrl | None = None


class AnnouncementPath(WireModel):
    """The announcement in an address; you choose its id."""

    announcement_id: Uuid


class Announcement(WireModel):
    """An announcement, and how far it has got."""

    announcement_id: Uuid
    title: str
    message: str
    action_url: str | None
    created_at: str
    notified_count: int = Field(description="People who were notified so far.")
    finished_at: str | None = Field(description="When everybody was notified.")


# ------------------------------------------------------------------ websocket


class NewNotification(Update):
    """You have a new notification."""

    type: Literal["notifications.new"] = "notifications.new"
    notification: Notification


class UnreadChanged(Update):
    """Notifications were marked or deleted, here or on another device: list them again."""

    type: Literal["notifications.changed"] = "notifications.changed"
    unread: int


class WatchingNotifications(WireModel):
    """The reply to `notifications.watch`."""

    re: CommandId
    type: Literal["ok"] = "ok"
    seq: int = Field(description="Of your newest notification: resume from this number.")
    is_complete: bool = Field(
        description=f"False if more than {RESUMED_MAX} are missing: list them instead."
    )
    notifications: list[Notification]
    unread: int


class Watch(Command):
    """Follow your notifications: gives those after `seq`, then each new one."""

    reply: ClassVar[type[WireModel]] = WatchingNotifications
    type: Literal["notifications.watch"]
    seq: Annotated[int, Field(ge=0, le=SEQ_MAX)] | None = Field(
        default=None, description="The highest that you have; without it only new ones are sent."
    )


class Unwatch(Command):
    """Stop following your notifications."""

    type: Literal["notifications.unwatch"]


COMMANDS: tuple[type[Command], ...] = (Watch, Unwatch)
UPDATES: tuple[type[Update], ...] = (NewNotification, UnreadChanged)
