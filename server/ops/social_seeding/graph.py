"""Who follows, blocks, publishes, likes and comments what: a power-law graph, in batches. Pure.

A person's number is also their rank: the first ones publish most and have most followers. Counters
are counted here, before anything is stored, so that no row is written twice.
"""

import math
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from random import Random
from typing import Final
from uuid import UUID

from persistence.social.seeding import Row, SocialBatch
from server.ops.social_seeding.texts import Texts, zipf_weights

PEOPLE_PER_BATCH: Final = 5_000
FOLLOWS_PER_BATCH: Final = 50_000
CREATIONS_PER_BATCH: Final = 5_000
USERNAME: Final = "maker_{:06d}"
DAYS: Final = 365
NOTIFIED_DAYS: Final = 80  # what is older has expired

_OWNER_EXPONENT: Final = 0.6
_POPULARITY_EXPONENT: Final = 0.8
_FOLLOWS_MIN: Final = 4
_FOLLOWS_MAX: Final = 500
_FOLLOWS_SHAPE: Final = 1.2  # of the Pareto distribution; smaller means heavier tails
_LIKES_SHAPE: Final = 1.5
_LIKES_MAX: Final = 20_000
_COMMENTED: Final = 0.15
_COMMENTS_SHAPE: Final = 1.5
_COMMENTS_MAX: Final = 500
_REPLIES: Final = 0.3
_DEPTH_MAX: Final = 8
_REMIXES: Final = 0.03
_NOTIFIED: Final = 0.25
_READ: Final = 0.7
_TYPES: Final = ("image", "music", "video", "text", "multimodal")
_TYPE_WEIGHTS: Final = (55, 70, 80, 97, 100)
# Running shares of: published, published for oneself, draft, archived.
_STATES: Final = (
    ("published", True),
    ("published", False),
    ("draft", False),
    ("archived", True),
)
_STATE_WEIGHTS: Final = (0.94, 0.96, 0.985, 1.0)


@dataclass(frozen=True, slots=True)
class SocialPlan:
    """What is to be there; `until` is the day that everything happened before."""

    people: int
    creations: int
    random_seed: int
    until: datetime


class SocialGraph:
    """The whole graph; batches come in the order in which rows depend on each other."""

    def __init__(self, plan: SocialPlan) -> None:
        self._plan = plan
        self._namespace = f"{plan.random_seed}:{plan.people}:{plan.creations}"
        chance = self._chance("graph")
        self._texts = Texts(chance, coined=max(500, plan.creations))
        self._blocked = self._choose_blocks(chance)
        self._owners = self._choose_owners(chance)
        self._states = bytes(
            bisect_right(_STATE_WEIGHTS, chance.random()) for _ in range(plan.creations)
        )
        self._origins = self._choose_origins(chance)
        self._remixes = Counter(
            origin for of, origin in self._origins.items() if self._is_published(of)
        )
        self._follows = self._choose_follows(chance)

    def person_id(self, number: int) -> UUID:
        """Give a person's id."""
        return self._id("person", number)

    def people(self) -> Iterator[SocialBatch]:
        """Give the people, with their counters."""
        plan, followers, following = self._plan, Counter[int](), Counter[int]()
        for follower, followed in self._follows:
            following[follower] += 1
            followers[followed] += 1
        published = Counter(
            owner for number, owner in enumerate(self._owners) if self._is_published(number)
        )
        chance = self._chance("people")
        for begin in range(0, plan.people, PEOPLE_PER_BATCH):
            rows: list[Row] = []
            for number in range(begin, min(begin + PEOPLE_PER_BATCH, plan.people)):
                text = self._texts.write_creation(chance)
                rows.append(
                    (
                        self.person_id(number),
                        self._id("player", number),
                        USERNAME.format(number),
                        self._name(number),
                        text.description[:500],
                        plan.until - timedelta(days=DAYS, minutes=plan.people - number),
                        published[number],
                        followers[number],
                        following[number],
                    )
                )
            yield SocialBatch(people=rows)

    def ties(self) -> Iterator[SocialBatch]:
        """Give blocks and follows, with some notifications of new followers."""
        chance = self._chance("ties")
        yield SocialBatch(
            blocks=[
                (self.person_id(blocker), self.person_id(blocked), self._some_time(chance))
                for blocker, blocked in self._blocked
            ]
        )
        for begin in range(0, len(self._follows), FOLLOWS_PER_BATCH):
            batch, rows = SocialBatch(), list[Row]()
            for number, (follower, followed) in enumerate(
                self._follows[begin : begin + FOLLOWS_PER_BATCH], start=begin
            ):
                at, who, whom = (
                    self._some_time(chance),
                    self.person_id(follower),
                    self.person_id(followed),
                )
                rows.append((self._id("follow", number), who, whom, chance.random() < 0.05, at))
                self._notify(
                    chance, batch, number=number, at=at, kind="new_follower", person=followed,
                    actor=follower, said="follows you", message="",
                )  # fmt: skip
            batch.follows = rows
            yield batch

    def creations(self) -> Iterator[SocialBatch]:
        """Give the creations, each with all that hangs on it."""
        for begin in range(0, self._plan.creations, CREATIONS_PER_BATCH):
            chance, batch = self._chance(f"creations {begin}"), SocialBatch()
            for number in range(begin, min(begin + CREATIONS_PER_BATCH, self._plan.creations)):
                self._add_creation(chance, batch, number)
            yield batch

    # ------------------------------------------------------------------ the whole graph

    def _choose_blocks(self, chance: Random) -> dict[tuple[int, int], None]:
        people = self._plan.people
        pairs = ((chance.randrange(people), chance.randrange(people)) for _ in range(people // 5))
        return dict.fromkeys((one, other) for one, other in pairs if one != other)

    def _choose_owners(self, chance: Random) -> Sequence[int]:
        plan = self._plan
        weights = zipf_weights(plan.people, _OWNER_EXPONENT)
        return array("I", chance.choices(range(plan.people), cum_weights=weights, k=plan.creations))

    def _choose_origins(self, chance: Random) -> dict[int, int]:
        """Choose which creations are remixes, and of what."""
        origins = {}
        for number in range(1, self._plan.creations):
            if chance.random() < _REMIXES:
                origin = chance.randrange(number)
                owners = (self._owners[number], self._owners[origin])
                if self._is_shown(origin) and _allows_remix(origin) and not self._is_apart(*owners):
                    origins[number] = origin
        return origins

    def _choose_follows(self, chance: Random) -> list[tuple[int, int]]:
        people = range(self._plan.people)
        weights = zipf_weights(len(people), _POPULARITY_EXPONENT)
        follows = []
        for person in people:
            count = min(_FOLLOWS_MAX, int(_FOLLOWS_MIN * chance.paretovariate(_FOLLOWS_SHAPE)))
            followed = dict.fromkeys(chance.choices(people, cum_weights=weights, k=count))
            follows += [
                (person, each)
                for each in followed
                if each != person and not self._is_apart(person, each)
            ]
        return follows

    # ------------------------------------------------------------------ one creation

    def _add_creation(self, chance: Random, batch: SocialBatch, number: int) -> None:
        owner = self._owners[number]
        status, is_public = _STATES[self._states[number]]
        text = self._texts.write_creation(chance)
        made_at = self._time_of(number)
        shown_at = made_at + timedelta(minutes=10) if status != "draft" else None
        creation_id, origin = self._id("creation", number), self._origins.get(number)
        likers, comments = list[int](), 0
        if shown_at is not None and self._is_shown(number):
            likers = self._add_likes(chance, batch, number, shown_at, text.title)
            if chance.random() < _COMMENTED:
                comments = self._add_comments(chance, batch, number, shown_at)
        batch.creations.append(
            (
                creation_id,
                self.person_id(owner),
                text.title,
                text.description,
                _TYPES[bisect_right(_TYPE_WEIGHTS, chance.randrange(100))],
                status,
                is_public,
                self._is_shown(number) and chance.random() < 0.005,
                chance.random() < 0.02,
                _allows_remix(number),
                text.tags,
                len(likers),
                comments,
                self._remixes[number],
                None if origin is None else self._id("creation", origin),
                made_at,
                shown_at,
            )
        )

    def _add_likes(
        self, chance: Random, batch: SocialBatch, number: int, shown_at: datetime, title: str
    ) -> list[int]:
        people, owner, creation_id = (
            self._plan.people,
            self._owners[number],
            self._id("creation", number),
        )
        wanted = min(_LIKES_MAX, people // 2, int(chance.paretovariate(_LIKES_SHAPE)) - 1)
        some = dict.fromkeys(chance.randrange(people) for _ in range(wanted))
        likers = [each for each in some if each != owner and not self._is_apart(owner, each)]
        for place, liker in enumerate(likers):
            at = self._later(chance, shown_at)
            key = number * _LIKES_MAX + place
            batch.likes.append((self._id("like", key), self.person_id(liker), creation_id, at))
            self._notify(
                chance, batch, number=key, at=at, kind="creation_liked", person=owner, actor=liker,
                said="liked your creation", message=title, creation=creation_id,
            )  # fmt: skip
        return likers

    def _add_comments(
        self, chance: Random, batch: SocialBatch, number: int, shown_at: datetime
    ) -> int:
        people, owner, creation_id = (
            self._plan.people,
            self._owners[number],
            self._id("creation", number),
        )
        wanted = min(_COMMENTS_MAX, int(chance.paretovariate(_COMMENTS_SHAPE)))
        written: list[tuple[UUID, int, int, datetime]] = []  # id, author, depth, time
        for place in range(wanted):
            author = chance.randrange(people)
            if self._is_apart(owner, author):
                continue
            key = number * _COMMENTS_MAX + place
            comment_id, text = self._id("comment", key), self._texts.write_comment(chance)
            parent, depth, at = None, 0, self._later(chance, shown_at)
            if written and chance.random() < _REPLIES:
                parent, above, depth_above, at_above = chance.choice(written)
                if depth_above == _DEPTH_MAX or self._is_apart(above, author):
                    parent = None
                else:
                    depth, at = depth_above + 1, self._later(chance, at_above)
            written.append((comment_id, author, depth, at))
            likers = dict.fromkeys(chance.randrange(people) for _ in range(chance.randrange(3)))
            likers = {
                each: None
                for each in likers
                if each != author and not self._is_apart(owner, each, author)
            }
            batch.comments.append(
                (
                    comment_id,
                    self.person_id(author),
                    creation_id,
                    text,
                    parent,
                    depth,
                    len(likers),
                    at,
                )
            )
            batch.comment_likes += [(self.person_id(each), comment_id, at) for each in likers]
            if author != owner:
                self._notify(
                    chance, batch, number=key, at=at, kind="creation_commented", person=owner,
                    actor=author, said="commented on your creation", message=text[:200],
                    creation=creation_id, comment=comment_id,
                )  # fmt: skip
        return len(written)

    def _notify(
        self,
        chance: Random,
        batch: SocialBatch,
        *,
        number: int,
        at: datetime,
        kind: str,
        person: int,
        actor: int,
        said: str,
        message: str,
        creation: UUID | None = None,
        comment: UUID | None = None,
    ) -> None:
        """Tell some people what has not expired yet."""
        if at < self._plan.until - timedelta(days=NOTIFIED_DAYS) or chance.random() >= _NOTIFIED:
            return
        batch.notifications.append(
            (
                self._id(kind, number),
                self.person_id(person),
                kind,
                f"{self._name(actor)} {said}",
                message,
                self.person_id(actor),
                creation,
                comment,
                chance.random() < _READ,
                at,
            )
        )

    # ------------------------------------------------------------------ details

    def _is_published(self, number: int) -> bool:
        return _STATES[self._states[number]][0] == "published"

    def _is_shown(self, number: int) -> bool:
        return _STATES[self._states[number]] == ("published", True)

    def _is_apart(self, person: int, *others: int) -> bool:
        """Say whether one of these blocks another."""
        for other in others:
            if (person, other) in self._blocked or (other, person) in self._blocked:
                return True
        return len(others) > 1 and self._is_apart(*others)

    def _time_of(self, number: int) -> datetime:
        """Spread creations over the year, each at a time of its own, the later ones denser."""
        share = math.pow((number + 1) / (self._plan.creations + 1), 0.7)
        return self._plan.until - timedelta(days=DAYS) * (1 - share) - timedelta(minutes=20)

    def _some_time(self, chance: Random) -> datetime:
        return self._later(chance, self._plan.until - timedelta(days=DAYS))

    def _later(self, chance: Random, begin: datetime) -> datetime:
        """Choose a time after another one, rather soon than late."""
        share = chance.random() * chance.random()
        return begin + (self._plan.until - begin) * share

    def _name(self, number: int) -> str:
        return f"Maker {number:,}"

    def _chance(self, what: str) -> Random:
        return Random(f"{self._namespace}:{what}")  # noqa: S311 - made-up people, no secrets

    def _id(self, kind: str, number: int) -> UUID:
        """Give an id that depends on nothing but the plan: the next run finds the row by it."""
        key = f"{self._namespace}:{kind}:{number}".encode()
        return UUID(bytes=blake2b(key, digest_size=16).digest(), version=4)


def _allows_remix(number: int) -> bool:
    return number % 3 != 0
