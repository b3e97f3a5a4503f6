"""`/v1/notifications`, and the announcements of admins."""

from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID

from persistence.notifications.fanout import FanoutStore
from persistence.notifications.store import Filter, Mark, NotificationStore, Place
from protocol import notifications as wire
from protocol.errors import Forbidden, InvalidField, NotFound, NotSetUp, RateLimited
from server.core.clock import Clock
from server.core.cursors import CursorCodec
from server.core.rate_limits import Rate, RateLimiter
from server.domains.social.notifications import views
from server.domains.social.notifications.digests import DigestMailer
from server.domains.social.notifications.settings import NotificationsSettings
from server.domains.social.notifications.streams import NotificationStreams
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "notifications"
ALL: Final = "/v1/notifications"
PREFERENCES: Final = f"{ALL}/preferences"
ANNOUNCEMENT: Final = "/v1/admin/announcements/{announcement_id}"
_NEWEST: Final = Place(datetime(9999, 1, 1, tzinfo=UTC), "ffffffff-ffff-ffff-ffff-ffffffffffff")
_CURSOR: Final = CursorCodec("notifications", Place, datetime, UUID)


class NotificationRoutes:
    """The addresses of notifications."""

    def __init__(
        self,
        *,
        store: NotificationStore,
        fanouts: FanoutStore,
        streams: NotificationStreams,
        digests: DigestMailer,
        settings: NotificationsSettings,
        clock: Clock,
    ) -> None:
        self._store = store
        self._fanouts = fanouts
        self._streams = streams
        self._digests = digests
        self._admit = AccountLimit(
            RateLimiter(
                "notifications",
                Rate(settings.changes_per_minute, settings.changes_burst),
                "You are changing notifications too often",
            ),
            clock,
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        own = partial(Endpoint, auth="required", tag=TAG)
        changing = partial(own, admit=self._admit)
        admin = partial(own, scope="admin")
        return [
            own(
                "GET",
                ALL,
                "List your notifications in groups, newest first.",
                self._list,
                query=wire.NotificationsQuery,
                answer=wire.NotificationsPage,
                is_tagged=True,
                errors=(InvalidField,),
            ),
            changing(
                "PATCH",
                ALL,
                "Mark notifications as read or archived: some, a group, or all.",
                self._mark,
                body=wire.NotificationsChange,
                answer=wire.NotificationsChanged,
                errors=(RateLimited,),
            ),
            changing(
                "DELETE",
                ALL,
                "Delete the notifications of a group.",
                self._delete_group,
                query=wire.NotificationsDeletion,
                answer=wire.NotificationsChanged,
                errors=(RateLimited,),
            ),
            changing(
                "DELETE",
                f"{ALL}/{{notification_id}}",
                "Delete a notification.",
                self._delete,
                answer=wire.NotificationsChanged,
                errors=(wire.NotificationNotFound, InvalidField, RateLimited),
            ),
            own(
                "GET",
                PREFERENCES,
                "Read what you are notified of.",
                self._preferences,
                answer=wire.NotificationPreferences,
            ),
            changing(
                "PATCH",
                PREFERENCES,
                "Change what you are notified of, and whether you get a daily email.",
                self._change_preferences,
                body=wire.NotificationPreferencesChange,
                answer=wire.NotificationPreferences,
                errors=(NotSetUp, RateLimited),
            ),
            Endpoint(
                "POST",
                f"{ALL}/unsubscribe/{{token:[A-Za-z0-9_-]+}}",
                "End the daily email with the link in it, without signing in.",
                self._unsubscribe,
                auth="none",
                answer=wire.Unsubscribed,
                errors=(wire.BadUnsubscribeLink, InvalidField),
                tag=TAG,
            ),
            admin(
                "PUT",
                ANNOUNCEMENT,
                "Announce something to everybody; repeating the request changes nothing.",
                self._announce,
                body=wire.AnnouncementRequest,
                answer=wire.Announcement,
                errors=(wire.AnnouncementTaken, InvalidField, Forbidden),
            ),
            admin(
                "GET",
                ANNOUNCEMENT,
                "Read an announcement, and how many people were notified.",
                self._announcement,
                answer=wire.Announcement,
                errors=(NotFound, InvalidField, Forbidden),
            ),
        ]

    # ------------------------------------------------------------------ people

    async def _list(self, request: HttpRequest) -> wire.NotificationsPage:
        query: wire.NotificationsQuery = request.query
        page = await self._store.list_groups(
            request.who.requester,
            _NEWEST if query.cursor is None else _CURSOR.read(query.cursor),
            Filter(query.unread, query.archived, query.group_key),
            limit=query.limit,
        )
        return wire.NotificationsPage(
            groups=[views.group(each) for each in page.groups],
            unread=page.unread,
            next=None if page.next is None else _CURSOR.write(page.next),
        )

    async def _mark(self, request: HttpRequest) -> wire.NotificationsChanged:
        asked: wire.NotificationsChange = request.body
        who, mark = request.who.requester, Mark(asked.is_read, asked.is_archived)
        if asked.notification_ids is not None:
            done = await self._store.mark_some(who, asked.notification_ids, mark)
        elif asked.group_key is not None:
            done = await self._store.mark_group(who, asked.group_key, mark)
        else:
            done = await self._store.mark_all(who, mark)
        return self._changed(request, done)

    async def _delete(self, request: HttpRequest) -> wire.NotificationsChanged:
        path = request.parse_path(wire.NotificationPath)
        done = await self._store.delete_one(request.who.requester, path.notification_id)
        if not done[0]:
            raise wire.NotificationNotFound
        return self._changed(request, done)

    async def _delete_group(self, request: HttpRequest) -> wire.NotificationsChanged:
        done = await self._store.delete_group(request.who.requester, request.query.group_key)
        return self._changed(request, done)

    def _changed(self, request: HttpRequest, done: tuple[int, int]) -> wire.NotificationsChanged:
        changed, unread = done
        if changed:
            self._streams.announce_changes(request.who.user_id, unread)
        return wire.NotificationsChanged(changed=changed, unread=unread)

    async def _preferences(self, request: HttpRequest) -> wire.NotificationPreferences:
        return views.preferences(await self._store.read_preferences(request.who.requester))

    async def _change_preferences(self, request: HttpRequest) -> wire.NotificationPreferences:
        asked: wire.NotificationPreferencesChange = request.body
        has_digest = None if asked.email_digest is None else asked.email_digest == "daily"
        if has_digest:
            self._digests.require_mail()
        types = {str(kind): is_wanted for kind, is_wanted in asked.types.items()}
        stored = await self._store.change_preferences(
            request.who.requester, types, has_digest=has_digest
        )
        return views.preferences(stored)

    async def _unsubscribe(self, request: HttpRequest) -> wire.Unsubscribed:
        path = request.parse_path(wire.UnsubscribePath)
        await self._store.end_digest(self._digests.read_token(path.token))
        return wire.Unsubscribed()

    # ------------------------------------------------------------------ admins

    async def _announce(self, request: HttpRequest) -> wire.Announcement:
        asked: wire.AnnouncementRequest = request.body
        announcement_id = _announcement_id(request)
        stored = await self._fanouts.announce(announcement_id, asked, actor=request.who.user_id)
        if (stored.title, stored.message, stored.action_url) != (
            asked.title,
            asked.message,
            asked.action_url,
        ):
            raise wire.AnnouncementTaken
        return views.announcement(stored)

    async def _announcement(self, request: HttpRequest) -> wire.Announcement:
        stored = await self._fanouts.find_announcement(_announcement_id(request))
        if stored is None:
            raise NotFound("There is no such announcement.")
        return views.announcement(stored)


def _announcement_id(request: HttpRequest) -> str:
    return request.parse_path(wire.AnnouncementPath).announcement_id
