"""Simulated people: each does one thing after the other, and compares every answer at once."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Final
from urllib.parse import quote

from loadtest.measure import Checks, Counters
from loadtest.progression.recording import Latencies
from loadtest.social.record import COMMENTED, FOLLOWED, LIKED, SocialRecord, Work, about
from loadtest.transport import open_picows
from playhall import Json
from playhall.account import Account
from playhall.connection import Connection
from playhall.errors import ConnectionLost, RequestRefused, ServerUnreachable
from playhall.http import HttpClient

HIDDEN: Final = "nobody is shown, told of, or lets themselves be reached by whom a block hides"
PAGED: Final = "a feed is paged without gaps, repeats or strangers, newest first"
ANNOUNCED: Final = "each new creation is announced once to whoever watches a feed"
NOTIFIED_ONCE: Final = "no notification comes twice, and their numbers rise"
SEARCHED: Final = "a search finds what was published with its word"

READ, WRITE, SEARCH = "read", "write", "search"
KINDS: Final = (READ, WRITE, SEARCH)
_ROWS: Final = {READ: "reads", WRITE: "writes", SEARCH: "searches"}
FEED_PAGE: Final = 7
FEED_PAGES_MAX: Final = 60
BLOCKS_MAX: Final = 2  # of a person
# What a person does, and how often compared with the rest.
_WEIGHTS: Final = {
    "read_feed": 3,
    "read_public": 3,
    "search": 3,
    "look_around": 4,
    "like": 6,
    "unlike": 2,
    "comment": 3,
    "delete_comment": 1,
    "follow": 4,
    "unfollow": 1,
    "publish": 3,
    "block": 1,
}


@dataclass(slots=True)
class Inbox:
    """What came over the websocket."""

    notifications: list[Json] = field(default_factory=list)
    announced: dict[str, list[Json]] = field(default_factory=dict)  # by feed
    watched_since: int = 0


class SocialPerson:
    """One account, with a connection of its own."""

    def __init__(
        self,
        http: HttpClient,
        account: Account,
        record: SocialRecord,
        *,
        counters: Counters,
        checks: Checks,
        latencies: Latencies,
        chance: Random,
    ) -> None:
        self.http = http
        self.account = account
        self.record = record
        self.user_id = ""
        self.inbox = Inbox()
        self.blocked = 0
        self.others: Sequence[SocialPerson] = ()
        self.connection = Connection(
            http.socket_url, account, open_transport=open_picows, on_update=self._take
        )
        self._counters = counters
        self._checks = checks
        self._latencies = latencies
        self._chance = chance
        self._number = 0

    # ------------------------------------------------------------------ beginning and going on

    async def begin(self) -> None:
        """Learn who this is, and watch everything that can be watched."""
        self.user_id = str((await self.ask("GET", "/v1/me"))["user_id"])
        await self.connection.call("notifications.watch")
        for feed in ("following", "public"):
            self.inbox.announced[feed] = []
            await self.connection.call("feed.watch", feed=feed)
        self.inbox.watched_since = self.record.tick()

    async def live(self, until_s: float, think_s: float) -> None:
        """Do one thing after the other until a moment of the monotonic clock."""
        names, weights = [*_WEIGHTS], [*_WEIGHTS.values()]
        await self.publish()
        while time.monotonic() < until_s:
            await asyncio.sleep(self._chance.random() * think_s)
            act: Callable[[], object] = getattr(self, self._chance.choices(names, weights)[0])
            result = act()
            assert asyncio.iscoroutine(result)
            await result

    async def ask(self, method: str, path: str, body: Json | None = None, kind: str = READ) -> Json:
        """Make a request, and count it."""
        began_s = time.perf_counter()
        try:
            answer = await self.http.request(method, path, token=self.account.token, body=body)
        except RequestRefused as refused:
            self._counters.refusals[refused.code] += 1
            raise
        seconds = time.perf_counter() - began_s
        self._latencies.by_kind[kind].record(seconds)
        self._counters.latency.record(seconds)
        self._counters.counts[_ROWS[kind]] += 1
        return answer

    # ------------------------------------------------------------------ reading

    async def read_feed(self) -> None:
        """Page through the whole feed while others publish."""
        asked = self.record.tick()
        expected = self.record.expected_feed(self.user_id, asked)
        cards: list[Json] = []
        cursor: str | None = ""
        for _ in range(FEED_PAGES_MAX):
            more = f"&cursor={quote(cursor)}" if cursor else ""
            page = await self._read(f"/v1/feed?limit={FEED_PAGE}{more}")
            if page is None:
                return
            cards += page["creations"]
            cursor = page["next"]
            if cursor is None:
                break
        self._checks.note_check(PAGED, self._feed_fault(cards, expected, asked, whole=not cursor))

    def _feed_fault(
        self, cards: list[Json], expected: set[str], asked: int, *, whole: bool
    ) -> str | None:
        ids = [card["creation_id"] for card in cards]
        places = [(card["published_at"], card["creation_id"]) for card in cards]
        if len(set(ids)) < len(ids):
            return f"{self.user_id}: a creation came twice"
        # Times are shown in milliseconds, so creations of one are not compared further.
        if [at for at, _ in places] != sorted((at for at, _ in places), reverse=True):
            return f"{self.user_id}: not newest first"
        # Whom one follows no longer, or who was blocked meanwhile, may be missing.
        still = self.record.expected_feed(self.user_id, asked)
        missing = (expected & still) - set(ids)
        if whole and missing:
            return f"{self.user_id}: {len(missing)} creations are missing, such as {min(missing)}"
        known = {
            whom for who, whom in (*self.record.follows, *self.record.ended_follows)
            if who == self.user_id
        }  # fmt: skip
        strangers = {card["user_id"] for card in cards} - known
        if strangers and self.user_id not in self.record.unsure:
            return f"{self.user_id}: {min(strangers)} is not followed"
        return None

    async def read_public(self) -> None:
        """Read what everybody published, or one of them."""
        person = self._chance.choice(self.others).user_id
        await self._read("/v1/creations?limit=50")
        await self._read(f"/v1/creations?limit=20&user_id={person}")

    async def search(self) -> None:
        """Search for the word of a creation."""
        work = self._choose_work()
        if work is None:
            return
        asked = self.record.tick()
        page = await self._read(f"/v1/search/creations?q={work.word}", kind=SEARCH)
        if page is None or self._is_apart(work.owner):
            return
        found = {card["creation_id"] for card in page["creations"]}
        is_found = work.creation_id in found or work.done is None or work.done > asked
        self._checks.note_check(SEARCHED, None if is_found else f"{work.word} was not found")

    async def look_around(self) -> None:
        """Read a creation, its comments, its owner's followers, and one's own notifications."""
        work = self._choose_work()
        if work is not None:
            path = f"/v1/creations/{work.creation_id}"
            await self._read(path, of=work.owner)
            await self._read(f"{path}/comments?limit=100", of=work.owner)
        person = self._chance.choice(self.others).user_id
        for which in ("followers", "following"):
            await self._read(f"/v1/people/{person}/{which}?limit=100", of=person)
        await self._read("/v1/notifications?limit=50")

    async def _read(self, path: str, *, of: str | None = None, kind: str = READ) -> Json | None:
        """Read something; nothing of it, and not `of` itself, may be hidden by a block."""
        asked = self.record.tick()
        try:
            answer = await self.ask("GET", path, kind=kind)
        except (RequestRefused, ServerUnreachable):
            return None
        if of is not None and self.record.is_apart(self.user_id, of, asked):
            self._checks.note_check(HIDDEN, f"{self.user_id} read {path} of {of}")
            return None
        hidden = self.record.hidden_in(self.user_id, asked, _people_in(answer))
        fault = None if hidden is None else f"{self.user_id} was shown {hidden} at {path}"
        self._checks.note_check(HIDDEN, fault)
        return answer

    # ------------------------------------------------------------------ doing

    async def publish(self) -> None:
        """Publish a text with a word of its own."""
        self._number += 1
        word = f"w{self.user_id.replace('-', '')[-12:]}n{self._number}x"
        body: Json = {"title": f"About {word}", "type": "text", "tags": ["loadtest"]}
        try:
            draft = await self.ask("POST", "/v1/creations", body, kind=WRITE)
        except (RequestRefused, ServerUnreachable):
            return
        creation_id = str(draft["creation_id"])
        work = Work(creation_id, self.user_id, word, self.record.tick())
        self.record.works[creation_id] = work
        if await self._do("POST", f"/v1/creations/{creation_id}/publish", creation_id):
            work.done = self.record.tick()
            self._counters.counts["creations published"] += 1

    async def like(self) -> None:
        """Like somebody's creation."""
        work = self._choose_work()
        if work is not None and work.done is not None:
            path = f"/v1/creations/{work.creation_id}/like"
            if await self._do("PUT", path, work.creation_id, of=work.owner):
                work.likers.add(self.user_id)
                self.record.expect_notification(work.owner, LIKED, self.user_id, work.creation_id)
                self._counters.counts["likes"] += 1

    async def unlike(self) -> None:
        """Take a like back."""
        liked = [each for each in self.record.works.values() if self.user_id in each.likers]
        if liked:
            work = self._chance.choice(liked)
            path = f"/v1/creations/{work.creation_id}/like"
            if await self._do("DELETE", path, work.creation_id):
                work.likers.discard(self.user_id)

    async def comment(self) -> None:
        """Comment on somebody's creation."""
        work = self._choose_work()
        if work is None or work.done is None:
            return
        self._number += 1
        body: Json = {"content": f"Comment {self._number}"}
        path = f"/v1/creations/{work.creation_id}/comments"
        if answer := await self._do("POST", path, work.creation_id, body, of=work.owner):
            comment_id = str(answer["comment_id"])
            work.comments[comment_id] = self.user_id
            self.record.expect_notification(work.owner, COMMENTED, self.user_id, comment_id)

    async def delete_comment(self) -> None:
        """Delete a comment of one's own, wherever it is."""
        mine = [
            (work, comment)
            for work in self.record.works.values()
            for comment, author in work.comments.items()
            if author == self.user_id
        ]
        if mine:
            work, comment = self._chance.choice(mine)
            self.record.revoke_notification(work.owner, COMMENTED, self.user_id, comment)
            if await self._do("DELETE", f"/v1/comments/{comment}", work.creation_id):
                work.comments.pop(comment, None)

    async def follow(self) -> None:
        """Follow somebody."""
        other = self._chance.choice(self.others).user_id
        if await self._do("PUT", f"/v1/people/{other}/follow", self.user_id, of=other):
            self.record.follow(self.user_id, other)
            self.record.expect_notification(other, FOLLOWED, self.user_id, "")

    async def unfollow(self) -> None:
        """Stop following somebody."""
        mine = [whom for who, whom in self.record.follows if who == self.user_id]
        if mine:
            other = self._chance.choice(mine)
            # From when it is asked, what the other publishes may be missing.
            self.record.follows.pop((self.user_id, other), None)
            self.record.ended_follows.add((self.user_id, other))
            await self._do("DELETE", f"/v1/people/{other}/follow", self.user_id)

    async def block(self) -> None:
        """Block somebody, for good."""
        other = self._chance.choice(self.others).user_id
        if self.blocked < BLOCKS_MAX and not self._is_apart(other):
            self.blocked += 1
            self.record.begin_block(self.user_id, other)
            if await self._do("PUT", f"/v1/people/{other}/block", self.user_id):
                self.record.block(self.user_id, other)
                self._counters.counts["blocks"] += 1
            else:
                self.record.unsure |= {self.user_id, other}

    async def _do(
        self, method: str, path: str, thing: str, body: Json | None = None, *, of: str | None = None
    ) -> Json | None:
        """Change something; None if it was refused. `of` may not be hidden by a block."""
        asked = self.record.tick()
        try:
            answer = await self.ask(method, path, body, kind=WRITE)
        except RequestRefused:
            return None
        except ServerUnreachable:
            self.record.unsure |= {thing, self.user_id}
            return None
        if of is not None and self.record.is_apart(self.user_id, of, asked):
            self._checks.note_check(HIDDEN, f"{self.user_id} could {method} {path} of {of}")
        return answer

    def _choose_work(self) -> Work | None:
        """Choose somebody else's creation, the newer ones more likely."""
        works = [each for each in self.record.works.values() if each.owner != self.user_id]
        if not works:
            return None
        return works[int(len(works) * self._chance.random() ** 0.5)]

    def _is_apart(self, other: str) -> bool:
        return other in self.record.apart_from(self.user_id)

    # ------------------------------------------------------------------ what the server tells

    def _take(self, update: Json) -> None:
        self._counters.counts["deliveries"] += 1
        if update["type"] == "notifications.new":
            self._take_notification(update["notification"])
        elif update["type"] == "feed.new":
            self._take_announcement(update)

    def _take_notification(self, new: Json) -> None:
        known = self.inbox.notifications
        fault = None
        if known and new["seq"] <= known[-1]["seq"]:
            fault = f"{self.user_id}: number {new['seq']} after {known[-1]['seq']}"
        elif any(_cause(new) == _cause(each) for each in known):
            fault = f"{self.user_id}: told twice of {_cause(new)}"
        self._checks.note_check(NOTIFIED_ONCE, fault)
        known.append(new)

    def _take_announcement(self, new: Json) -> None:
        work = self.record.works.get(new["creation_id"])
        known = self.inbox.announced.setdefault(new["feed"], [])
        is_twice = any(each["creation_id"] == new["creation_id"] for each in known)
        fault = f"{self.user_id}: {new['creation_id']} came twice" if is_twice else None
        self._checks.note_check(ANNOUNCED, fault)
        known.append(new)
        if work is not None:
            is_hidden = self.record.is_apart(self.user_id, new["user_id"], work.began)
            fault = f"{self.user_id} was told of {work.creation_id}" if is_hidden else None
            self._checks.note_check(HIDDEN, fault)

    async def settle(self) -> None:
        """Wait until what was sent before has come: what is asked now is answered after it."""
        try:
            await self.connection.call("session.ping")
        except ConnectionLost:
            self.record.unsure.add(self.user_id)


def _cause(notification: Json) -> tuple[str, str | None, str]:
    return notification["type"], notification["actor_id"], about(notification)


def _people_in(answer: Json) -> list[str | None]:
    """List everybody that an answer shows: owners, authors, followers, actors."""
    cards = [answer, *answer.get("creations", ()), *answer.get("comments", ())]
    cards += answer.get("people", ())
    for group in answer.get("groups", ()):
        cards += group["actors"]
    return [card.get("user_id") for card in cards]
