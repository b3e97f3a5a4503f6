"""Feeds, search, likes and inboxes over HTTP, on a database of a realistic size.

Beside them, in the same run, what the specification's own queries do by SQL alone, which costs no
server and no HTTP. Requests are written beforehand, and answers are checked afterwards.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple, TypeVar
from unicodedata import combining, normalize
from urllib.parse import quote, urlencode, urlsplit

import psycopg

from loadtest.benching.direct import OWNER, read_statements, run_script
from loadtest.benching.figures import RunResult
from loadtest.benching.machine import CoreAssignment, UsageMonitor, monitor_usage, process_tree
from loadtest.benching.prepared import Answer, Sent, guests, send_all, written
from loadtest.benching.servers import BenchNode
from loadtest.measure import Checks

_LETTERS: Final = str.maketrans({"ł": "l", "ß": "ss", "œ": "oe", "æ": "ae", "ø": "o"})
T = TypeVar("T")
READERS: Final = 8
LIKE_CONNECTIONS: Final = 50
PAGE: Final = 20
DEPTH: Final = 1000  # creations before a deep page
COMMON_WORDS: Final = ("the", "of", "and", "night", "river", "der", "la")
SPECIFIED_SEARCHES: Final = 2  # each reads the whole table
SETTLE_S: Final = 0.3
SQL: Final = read_statements(Path(__file__).with_name("social.sql"))

ORDERED: Final = "every page has twenty creations, newest first, of people whom its reader follows"
FOUND: Final = "every search finds creations with its word, newest first"
COUNTED: Final = "every like was counted: the creation's counter equals its rows"
GROUPED: Final = "every page of the inbox has groups, newest first, each with its counts"
FRESH: Final = "the cached page has a new creation as soon as that is published, and an ETag"
ANSWERED: Final = "the database answered"


class Reader(NamedTuple):
    """Somebody who reads: a token, an account, and whom they follow."""

    token: str
    user_id: str
    followed: frozenset[str]


class SocialBench:
    """One database of so many people and creations, and those who use it."""

    def __init__(self, node: BenchNode, on: CoreAssignment, *, people: int, creations: int) -> None:
        self._node = node
        self._on = on
        self._people = people
        self._creations = creations
        self._readers: list[Reader] = []
        self._cursors: dict[str, str] = {}
        self._likers: list[str] = []
        self._words: list[str] = []

    def seed(self) -> float:
        """Fill the database, unless it is full, with all cores; gives the seconds it took."""
        began_s = time.monotonic()
        with self._connect() as database:
            found = database.execute(b"SELECT count(*) FROM creations").fetchone()
        if found is None or found[0] < self._creations:
            self._pin(self._on.server | self._on.rest)
            try:
                self._node.run_command(
                    *("seed", "social", "--people", str(self._people)),
                    *("--creations", str(self._creations)),
                )
            finally:
                self._pin(self._on.rest)
        return time.monotonic() - began_s

    def _pin(self, to: frozenset[int]) -> None:
        """Have the database and this process work on these cores."""
        for pid in (0, *process_tree(self._node.database_pid)):
            with suppress(ProcessLookupError):  # some of the database's come and go
                os.sched_setaffinity(pid, to)

    def gather(self, *, likes: int, inbox: int) -> None:
        """Sign in those who read and like, and give the first reader a large inbox."""
        url = self._node.url
        for token in guests(url, READERS):
            user_id = str(_get(url, token, "/v1/me")["user_id"])
            with self._connect() as database:
                database.execute(SQL["follow_many"].encode(), {"person": user_id})
                found = database.execute(
                    b"SELECT following_id::text FROM follows WHERE follower_id = %s", [user_id]
                )
                followed = frozenset(each for (each,) in found)
            self._readers.append(Reader(token, user_id, followed))
        with self._connect() as database:
            values = {"person": self._readers[0].user_id, "count": inbox}
            database.execute(SQL["fill_inbox"].encode(), values)
            database.execute(b"VACUUM (ANALYZE) notifications")
            found = database.execute(SQL["rare_words"].encode(), {"count": 100})
            self._words = [word for (word,) in found]
        self._likers = guests(url, likes)

    # ------------------------------------------------------------------ feeds

    def read_feed(self, *, pages: int, deep: bool = False) -> RunResult:
        """Read pages of eight people's feeds, the first ones or far down."""
        share = -(-pages // READERS)
        connections = [[self._feed_page(each, deep=deep)] * share for each in self._readers]
        sent, monitor = self._send(connections)
        checks = Checks()
        for reader, answers in zip(self._readers, sent.answers, strict=True):
            for answer in answers:
                checks.note_check(ORDERED, _feed_fault(answer, reader))
        what = "feed from the 1,000th creation on" if deep else "feed of 200 people"
        return _result(what, "feed pages/s", sent, checks, monitor)

    def _feed_page(self, reader: Reader, *, deep: bool) -> bytes:
        path = f"/v1/feed?limit={PAGE}"
        if deep:
            if reader.token not in self._cursors:
                self._cursors[reader.token] = self._place("/v1/feed?limit=100", reader)
            path = f"{path}&cursor={quote(self._cursors[reader.token])}"
        return written(self._node.url, "GET", path, reader.token)

    def _place(self, path: str, reader: Reader) -> str:
        """Page to the 1,000th creation of a list, or as far as it goes; gives the cursor."""
        cursor = ""
        for _ in range(DEPTH // 100):
            more = f"&cursor={quote(cursor)}" if cursor else ""
            following = _get(self._node.url, reader.token, f"{path}{more}")["next"]
            if following is None:
                break
            cursor = str(following)
        return cursor

    def _far_down(self, path: str, reader: Reader) -> str:
        """Give the address of a page of a list that is far down."""
        cursor = self._place(path.replace(f"limit={PAGE}", "limit=100"), reader)
        return f"{path}&cursor={quote(cursor)}" if cursor else path

    def read_specified_feed(self, *, offset: int, seconds: float) -> RunResult:
        """Read feeds by the specification's query, as the owner of the tables."""
        people = ", ".join(f"'{each.user_id}'" for each in self._readers)
        person = f"(ARRAY[{people}])[:client_id::int + 1]::uuid"
        query = SQL["specified_feed"].replace(":person", person).replace(":offset", str(offset))
        return self._script("feed pages/s", f"feed by SQL, OFFSET {offset}", query, seconds)

    def read_public_feed(self, *, pages: int) -> RunResult:
        """Read the public feed without a token; it is cached, and knows what is new."""
        url, reader = self._node.url, self._readers[1]
        page = _anonymous(url, f"/v1/creations?limit={PAGE}")
        fresh = self._fresh_fault(page, reader)
        sent, monitor = self._send([[page] * -(-pages // READERS)] * READERS)
        checks = Checks()
        checks.note_check(FRESH, fresh)
        for answer in (each for of_one in sent.answers for each in of_one):
            is_full = answer.status == 200 and len(answer.data["creations"]) == PAGE
            checks.note_check(FRESH, None if is_full else _shown(answer))
        return _result("public feed, cached", "public feed pages/s", sent, checks, monitor)

    def _fresh_fault(self, page: bytes, reader: Reader) -> str | None:
        """Publish something, and look for it on the page, which was cached before."""
        url = self._node.url
        send_all(url, [[page, page]])
        new = {"title": "Newest of all", "type": "text"}
        draft = _ask(url, written(url, "POST", "/v1/creations", reader.token, new)).data
        path = f"/v1/creations/{draft['creation_id']}/publish"
        _ask(url, written(url, "POST", path, reader.token))
        first, second = send_all(url, [[page, page]]).answers[0]
        shown = {each["creation_id"] for each in first.data["creations"]}
        if draft["creation_id"] not in shown:
            return "a creation that was just published is not there"
        if first.body != second.body:
            return "the page changes by itself"
        return _tag_fault(url, f"/v1/creations?limit={PAGE}")

    # ------------------------------------------------------------------ search

    def search(self, kind: str, *, searches: int) -> RunResult:
        """Search over one connection: for rare words, for the commonest, or for these far down."""
        url, reader = self._node.url, self._readers[0]
        words = self._words if kind == "rare" else COMMON_WORDS
        paths = [f"/v1/search/creations?{urlencode({'q': word, 'limit': PAGE})}" for word in words]
        if kind == "deep":
            paths = [self._far_down(path, reader) for path in paths]
        requests = [written(url, "GET", path, reader.token) for path in paths]
        repeated = [requests[number % len(requests)] for number in range(searches)]
        send_all(url, [requests])  # so that what is measured is in memory
        sent, monitor = self._send([repeated])
        checks = Checks()
        for number, answer in enumerate(sent.answers[0]):
            word = words[number % len(words)] if kind != "deep" else ""
            checks.note_check(FOUND, _search_fault(answer, word if kind == "rare" else ""))
        return _result(f"search for {kind} words", "searches/s", sent, checks, monitor)

    def search_as_specified(self) -> RunResult:
        """Search for rare words by the specification's query."""
        took_s = []
        with self._connect() as database:
            for word in self._words[:SPECIFIED_SEARCHES]:
                began_s = time.perf_counter()
                database.execute(SQL["specified_search"].encode(), {"words": word}).fetchall()
                took_s.append(time.perf_counter() - began_s)
        checks = Checks()
        checks.note_check(ANSWERED, None)
        numbers = {"reply p50 ms": median(took_s) * 1000}
        return RunResult("search by SQL, as specified", numbers, checks)

    # ------------------------------------------------------------------ likes

    def like(self, *, likes: int) -> RunResult:
        """Have so many people like one new creation, fifty at a time."""
        url, owner = self._node.url, self._readers[-1]
        creation = self._publish(owner)
        path = f"/v1/creations/{creation}/like"
        requests = [written(url, "PUT", path, token) for token in self._likers[:likes]]
        sent, monitor = self._send([requests[n::LIKE_CONNECTIONS] for n in range(LIKE_CONNECTIONS)])
        checks = Checks()
        for answer in (each for of_one in sent.answers for each in of_one):
            is_new = answer.status == 200 and answer.data["is_changed"]
            checks.note_check(COUNTED, None if is_new else _shown(answer))
        counts = self._count_likes(creation)
        is_right = counts == (len(requests), len(requests))
        checks.note_check(COUNTED, None if is_right else f"{counts} of {len(requests)} likes")
        return _result("likes of one creation", "likes/s", sent, checks, monitor)

    def like_directly(self, *, seconds: float) -> RunResult:
        """Like one creation past the server, each like in a transaction of its own."""
        creation = self._publish(self._readers[-1])
        script = SQL["single_like"].replace(":creation", f"'{creation}'::uuid")
        run = self._script("likes/s", "likes of one creation by SQL", script, seconds)
        counter, rows = self._count_likes(creation)
        fault = None if counter == rows else f"the counter is {counter} of {rows} rows"
        run.checks.note_check(COUNTED, fault)
        return run

    def _publish(self, owner: Reader) -> str:
        url, new = self._node.url, {"title": "A favourite", "type": "text"}
        draft = _ask(url, written(url, "POST", "/v1/creations", owner.token, new)).data
        creation = str(draft["creation_id"])
        path = f"/v1/creations/{creation}/publish"
        _ask(url, written(url, "POST", path, owner.token))
        return creation

    def _count_likes(self, creation: str) -> tuple[int, int]:
        with self._connect() as database:
            row = database.execute(SQL["count_likes"].encode(), {"creation": creation}).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    # ------------------------------------------------------------------ inbox

    def read_inbox(self, *, pages: int) -> RunResult:
        """Read the first pages of a large inbox, over one connection."""
        url, reader = self._node.url, self._readers[0]
        requests = [written(url, "GET", f"/v1/notifications?limit={PAGE}", reader.token)]
        following = _ask(url, requests[0]).data["next"]
        if following is not None:
            more = f"/v1/notifications?limit={PAGE}&cursor={quote(following)}"
            requests.append(written(url, "GET", more, reader.token))
        repeated = [requests[number % len(requests)] for number in range(pages)]
        sent, monitor = self._send([repeated])
        checks = Checks()
        for answer in sent.answers[0]:
            checks.note_check(GROUPED, _inbox_fault(answer))
        return _result("pages of a large inbox", "inbox pages/s", sent, checks, monitor)

    # ------------------------------------------------------------------ measuring

    def _connect(self) -> "psycopg.Connection[tuple[Any, ...]]":
        return psycopg.connect(self._node.dsn(OWNER), autocommit=True)

    def _send(self, connections: Sequence[Sequence[bytes]]) -> tuple[Sent, UsageMonitor]:
        return self._monitored(lambda: send_all(self._node.url, connections))

    def _script(self, rate: str, what: str, script: str, seconds: float) -> RunResult:
        began_s = time.monotonic()
        done, monitor = self._monitored(
            lambda: run_script(self._node, script, clients=READERS, seconds=seconds)
        )
        checks = Checks()
        checks.note_check(ANSWERED, None)
        usage = monitor.usage_between(began_s, time.monotonic())
        return RunResult(what, {rate: done}, checks, usage)

    def _monitored(self, work: Callable[[], T]) -> tuple[T, UsageMonitor]:
        with monitor_usage(
            on=self._on, server=self._node.pid, database=self._node.database_pid
        ) as monitor:
            time.sleep(SETTLE_S)
            monitor.sample()
            done = work()
            monitor.sample()
        return done, monitor


def _result(what: str, rate: str, sent: Sent, checks: Checks, monitor: UsageMonitor) -> RunResult:
    took_s = sorted(answer.seconds for of_one in sent.answers for answer in of_one)
    numbers = {
        rate: len(took_s) / sent.seconds,
        "reply p50 ms": took_s[len(took_s) // 2] * 1000,
        "reply p99 ms": took_s[len(took_s) * 99 // 100] * 1000,
    }
    usage = monitor.usage_between(sent.began_s, sent.ended_s)
    return RunResult(what, numbers, checks, usage)


def _feed_fault(answer: Answer, reader: Reader) -> str | None:
    if answer.status != 200:
        return _shown(answer)
    cards = answer.data["creations"]
    times = [each["published_at"] for each in cards]
    if len(cards) != PAGE or times != sorted(times, reverse=True):
        return f"{len(cards)} creations at {times}"
    strangers = {each["user_id"] for each in cards} - reader.followed
    return f"{strangers} are not followed" if strangers else None


def _search_fault(answer: Answer, word: str) -> str | None:
    if answer.status != 200:
        return _shown(answer)
    cards = answer.data["creations"]
    times = [each["published_at"] for each in cards]
    if not cards or times != sorted(times, reverse=True):
        return f"{len(cards)} creations at {times}"
    texts = (_fold(f"{each['title']} {each['description']} {each['tags']}") for each in cards)
    return None if all(word[:5] in text for text in texts) else f"one is without {word}"


def _fold(text: str) -> str:
    """Leave out accents, roughly as the server does."""
    plain = normalize("NFKD", text.lower().translate(_LETTERS))
    return "".join(letter for letter in plain if not combining(letter))


def _inbox_fault(answer: Answer) -> str | None:
    if answer.status != 200:
        return _shown(answer)
    groups = answer.data["groups"]
    times = [each["created_at"] for each in groups]
    if not groups or times != sorted(times, reverse=True):
        return f"{len(groups)} groups at {times}"
    wrong = [each for each in groups if not 0 < each["actor_count"] <= each["count"]]
    return f"{wrong[0]}" if wrong else None


def _tag_fault(url: str, path: str) -> str | None:
    """Ask again with the ETag of a page: it is not sent again."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.request("GET", path, headers={"If-None-Match": answer.headers.get("ETag", "")})
        status = connection.getresponse().status
    finally:
        connection.close()
    return None if status == 304 else f"asked with its ETag, the page is answered {status}"


def _shown(answer: Answer) -> str:
    return f"{answer.status}: {answer.body[:200]!r}"


def _ask(url: str, request: bytes) -> Answer:
    return send_all(url, [[request]]).answers[0][0]


def _get(url: str, token: str, path: str) -> Any:
    return _ask(url, written(url, "GET", path, token)).data


def _anonymous(url: str, path: str) -> bytes:
    """Write a request without a token."""
    head, _, rest = written(url, "GET", path, "").partition(b"Authorization: Bearer \r\n")
    return head + rest
