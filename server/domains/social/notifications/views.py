"""Notifications as the protocol writes them."""

from typing import Any

import orjson

from persistence.notifications.fanout import StoredAnnouncement
from persistence.notifications.store import GroupRow, NotificationRow, StoredPreferences
from protocol import notifications as wire
from server.core.clock import wire_fields, wire_time
from server.domains.social.notifications.rules import summarise, wanted_types


def _content(row: NotificationRow) -> dict[str, Any]:
    fields = row._asdict()
    for private in ("id", "seq", "user_id", "actor_id"):
        del fields[private]
    return fields | {
        "notification_id": row.id,
        "metadata": orjson.loads(row.metadata),
        "created_at": wire_time(row.created_at),
    }


def notification(row: NotificationRow) -> wire.Notification:
    """Write a notification that is numbered."""
    return wire.Notification(**_content(row), seq=row.seq or 0, actor_id=row.actor_id)


def group(row: GroupRow) -> wire.NotificationGroup:
    """Write a group."""
    head = row.head
    summary = summarise(
        head.type,
        head.title,
        names=[actor.name for actor in row.actors],
        actors=row.actor_count,
        count=row.notification_count,
    )
    return wire.NotificationGroup(
        **_content(head),
        summary=summary,
        count=row.notification_count,
        unread_count=row.unread_count,
        actor_count=row.actor_count,
        actors=[wire.Actor(**actor._asdict()) for actor in row.actors],
    )


def preferences(stored: StoredPreferences) -> wire.NotificationPreferences:
    """Write what a person wants to be notified of."""
    return wire.NotificationPreferences(
        types=wanted_types(stored.types), email_digest="daily" if stored.has_digest else "off"
    )


def announcement(stored: StoredAnnouncement) -> wire.Announcement:
    """Write an announcement."""
    fields = wire_fields(stored)
    return wire.Announcement(announcement_id=fields.pop("id"), **fields)
