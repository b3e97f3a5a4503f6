"""What a group of notifications is called, and which preferences hold. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from protocol.notifications import NotificationType

TYPES: Final[tuple[NotificationType, ...]] = get_args(NotificationType)
_DONE: Final[Mapping[str, str]] = {
    "creation_liked": "liked your creation",
    "creation_commented": "commented on your creation",
    "new_follower": "follow you",
    "comment_reply": "replied to your comment",
    "comment_liked": "liked your comment",
    "creation_remixed": "remixed your creation",
    "collaboration_invited": "invited you to creations",
}


def summarise(kind: str, title: str, *, names: Sequence[str], actors: int, count: int) -> str:
    """Write the title of a group: "Ada and 12 others liked your creation"."""
    if kind == "creation_published" and count > 1 and names:
        return f"{names[0]} published {count} new creations"
    if kind not in _DONE or actors < 2 or len(names) < 2:
        return title
    others = names[1] if actors == 2 else f"{actors - 1} others"
    return f"{names[0]} and {others} {_DONE[kind]}"


def wanted_types(stored: Mapping[str, Any]) -> dict[NotificationType, bool]:
    """Say which types a person is notified of: all that they did not turn off."""
    return {kind: stored.get(kind) not in (False, "false") for kind in TYPES}
