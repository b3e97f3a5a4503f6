"""What was acknowledged so far: what people did, and so what everybody has to see. Pure.

Answers are compared with what held when they were asked for. Where an answer was lost, it is
unknown whether a change was made; such things are `unsure`, and not compared.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from playhall import Json

LIKED: Final = "creation_liked"
COMMENTED: Final = "creation_commented"
FOLLOWED: Final = "new_follower"


class DueNotification(NamedTuple):
    """What a person is told of once: by whom, and about what."""

    user_id: str
    type: str
    actor_id: str
    about: str


@dataclass(slots=True)
class Work:
    """A creation; `began` and `done` are moments of its publication, by `SocialRecord.now`."""

    creation_id: str
    owner: str
    word: str
    began: int
    done: int | None = None
    likers: set[str] = field(default_factory=set)
    comments: dict[str, str] = field(default_factory=dict)  # authors by comment


class SocialRecord:
    """One process's record. Moments are numbers that grow with each request and each answer."""

    def __init__(self) -> None:
        self.now = 0
        self.works: dict[str, Work] = {}
        self.follows: dict[tuple[str, str], int] = {}  # when they were acknowledged
        self.ended_follows: set[tuple[str, str]] = set()  # that were there at some time
        self.due_notifications: set[DueNotification] = set()
        self.revoked_notifications: set[DueNotification] = set()  # of comments that were deleted
        self.unsure: set[str] = set()  # creations and people
        self.touched: set[frozenset[str]] = set()  # pairs that somebody began to block
        self._blocks: dict[frozenset[str], int] = {}
        self._apart: dict[str, set[str]] = defaultdict(set)

    def tick(self) -> int:
        """Give a moment after all others."""
        self.now += 1
        return self.now

    def begin_block(self, one: str, other: str) -> None:
        """Note that a block is under way: what there is between the two is unknown from now on."""
        self.touched.add(frozenset((one, other)))
        for pair in ((one, other), (other, one)):
            if self.follows.pop(pair, None) is not None:
                self.ended_follows.add(pair)

    def block(self, one: str, other: str) -> None:
        """Note that a block was acknowledged: from now on, neither is shown the other."""
        self._blocks.setdefault(frozenset((one, other)), self.tick())
        self._apart[one].add(other)
        self._apart[other].add(one)

    def follow(self, one: str, other: str) -> None:
        """Note that a follow was acknowledged, unless a block ends it."""
        if frozenset((one, other)) in self.touched:
            self.ended_follows.add((one, other))
        else:
            self.follows.setdefault((one, other), self.tick())

    def is_touched(self, one: str, other: str) -> bool:
        """Say whether somebody ever began to block one of two people for the other."""
        return frozenset((one, other)) in self.touched

    def is_apart(self, one: str, other: str, since: int) -> bool:
        """Say whether a block between two people was acknowledged before a moment."""
        return self._blocks.get(frozenset((one, other)), self.now + 1) < since

    def apart_from(self, person: str) -> set[str]:
        """List whom a block hides from a person by now."""
        return self._apart[person]

    def hidden_in(self, person: str, asked: int, people: Iterable[str | None]) -> str | None:
        """Name somebody whom a block hid from a person when they asked."""
        for each in people:
            if each is not None and each != person and self.is_apart(person, each, asked):
                return each
        return None

    def expect_notification(self, user_id: str, kind: str, actor_id: str, about: str) -> None:
        """Note that a person is to be told, once, of what somebody else did."""
        if user_id != actor_id:
            self.due_notifications.add(DueNotification(user_id, kind, actor_id, about))

    def revoke_notification(self, user_id: str, kind: str, actor_id: str, about: str) -> None:
        """Note that what was to be told is to be told no more, though that may have happened."""
        self.revoked_notifications.add(DueNotification(user_id, kind, actor_id, about))

    def expected_feed(self, person: str, asked: int) -> set[str]:
        """List what must be in a feed that is read from a moment on, whatever happens meanwhile."""
        followed = {
            whom for (who, whom), since in self.follows.items() if who == person and since < asked
        }
        return {
            work.creation_id
            for work in self.works.values()
            if work.owner in followed and work.done is not None and work.done < asked
        }


def about(notification: Json) -> str:
    """Name what a notification is about, as `SocialRecord.expect_notification` does."""
    if notification["type"] == FOLLOWED:
        return ""
    return str(notification["comment_id"] or notification["creation_id"])
