"""A social platform under load: what is right passes, what is spoilt fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit

import orjson
import psycopg
import pytest

from loadtest.scenarios.scenario import Shard
from loadtest.scenarios.social import SocialScenario
from loadtest.social.audit import COUNTED, LIKES_KEPT, LISTED, NOTIFIED
from loadtest.social.people import ANNOUNCED, HIDDEN, NOTIFIED_ONCE, PAGED, SEARCHED
from tests.fixtures.shell import playhall
from tests.integration.loadtest.proxy import proxied

PROMISES = {
    ANNOUNCED,
    COUNTED,
    HIDDEN,
    LIKES_KEPT,
    LISTED,
    PAGED,
    SEARCHED,
    NOTIFIED,
    NOTIFIED_ONCE,
}
PEOPLE = 6


# A busy machine does less in a second, so what chance has not brought about yet gets more time.
PATIENCE_S = (1.5, 4, 8, 16)
SPOILT = {COUNTED, LIKES_KEPT, LISTED, SEARCHED, PAGED}


def test_people_see_what_they_may_and_counters_are_right(server_url, tmp_path):
    file = tmp_path / "report.json"
    for seconds in PATIENCE_S:
        done = playhall(
            "loadtest", "social", "--url", server_url, "--people", 12, "--seconds", seconds,
            "--think", 60, "--processes", 2, "--json", file,
        )  # fmt: skip
        assert done.status == 0, done.said
        report = orjson.loads(file.read_bytes())
        assert set(report["checks"]) <= PROMISES
        assert all(each["passed"] for each in report["checks"].values()), report["checks"]
        blocks = report["results"].get("blocks in all", 0)
        if set(report["checks"]) == PROMISES and blocks > 0:
            return
    raise AssertionError(f"{blocks} blocks; never checked: {PROMISES - set(report['checks'])}")


async def failed_promises(url, *, expected):
    """Live until the expected promises were broken, or for long; gives all that were broken."""
    broken: set[str] = set()
    for seconds in PATIENCE_S:
        share = SocialScenario(
            shard=Shard(url), people=PEOPLE, duration_s=seconds, think_s=0.05, patience_s=0.5
        )
        measured = await share.run(lambda _: None)
        broken |= {name for name, each in measured.checks.by_name.items() if each.failed}
        if expected <= broken:
            break
    return broken


# ---------------------------------------------------------------------- what clients see


def spoil_http(path, content):
    """Spoil one thing of each kind of answer."""
    answer = orjson.loads(content)
    *_, kind, last = path.split("/")
    if kind == "profiles" and "follower_count" in answer:
        answer["follower_count"] += 1
    elif kind == "creations" and "user_has_liked" in answer:
        answer["user_has_liked"] = not answer["user_has_liked"]
    elif last == "notifications" and answer.get("groups"):
        answer["groups"][0]["count"] += 1
    elif path.startswith("/v1/search") and answer.get("creations"):
        answer["creations"] = []
    elif last == "feed" and len(answer.get("creations", ())) > 1:
        del answer["creations"][1]
    return orjson.dumps(answer)


def untouched(_, message):
    return [message]


def doubled(_, message):
    return [message] * (2 if message["type"] in ("notifications.new", "feed.new") else 1)


def some_lost():
    """Lose every third notification and announcement."""
    numbers = count()

    def change(_, message):
        if message["type"] in ("notifications.new", "feed.new") and next(numbers) % 3 == 0:
            return []
        return [message]

    return change


async def test_spoilt_answers_break_the_promises_about_them(server_url):
    async with proxied(server_url, untouched, spoil_http=spoil_http) as url:
        failed = await failed_promises(url, expected=SPOILT)
    assert failed >= SPOILT
    assert not {NOTIFIED, NOTIFIED_ONCE, ANNOUNCED} & failed


async def test_what_is_told_twice_breaks_a_promise(server_url):
    async with proxied(server_url, doubled) as url:
        expected = {NOTIFIED_ONCE, ANNOUNCED}
        assert expected <= await failed_promises(url, expected=expected)


async def test_what_is_not_told_breaks_a_promise(server_url):
    async with proxied(server_url, some_lost()) as url:
        expected = {NOTIFIED, ANNOUNCED}
        assert expected <= await failed_promises(url, expected=expected)


async def test_a_cache_that_forgets_who_asks_shows_what_a_block_hides(server_url):
    """Give everybody the longest page of creations that anybody got."""
    kept: dict[str, bytes] = {}

    def spoil(path, content):
        if path == "/v1/creations" and b'"creations":[{' in content:
            longest = max(kept.get(path, b""), content, key=len)
            kept[path] = longest
            return longest
        return content

    async with proxied(server_url, untouched, spoil_http=spoil) as url:
        assert HIDDEN in await failed_promises(url, expected={HIDDEN})


# ---------------------------------------------------------------------- a careless server

# Statements that break the database, and the promises that fail.
CARELESS = {
    "nobody is blocked": (
        """CREATE OR REPLACE FUNCTION has_block(a uuid, b uuid) RETURNS boolean LANGUAGE sql
        STABLE SECURITY DEFINER PARALLEL SAFE SET search_path = '' RETURN false""",
        {HIDDEN},
    ),
    "rows are lost and not counted": (
        """CREATE FUNCTION careless() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF random() < 0.3 THEN DELETE FROM public.likes WHERE id = NEW.id; END IF;
            RETURN NULL; END $$;
        CREATE TRIGGER careless AFTER INSERT ON likes FOR EACH ROW EXECUTE FUNCTION careless();
        CREATE FUNCTION forgetful() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RETURN CASE WHEN random() < 0.7 THEN NEW END; END $$;
        CREATE TRIGGER forgetful BEFORE INSERT ON notifications
            FOR EACH ROW EXECUTE FUNCTION forgetful();
        ALTER TABLE comments DISABLE TRIGGER comments_added;""",
        {LIKES_KEPT, COUNTED, NOTIFIED, LISTED},
    ),
}
MENDED = """
    DROP FUNCTION IF EXISTS careless CASCADE; DROP FUNCTION IF EXISTS forgetful CASCADE;
    ALTER TABLE comments ENABLE TRIGGER comments_added;
"""


@pytest.fixture
def careless(databases, serving_dsn):
    """Break the database of the server for a block."""
    owner = databases.dsn_of(urlsplit(serving_dsn).path[1:])

    @contextmanager
    def broken(statements: str) -> Iterator[None]:
        with psycopg.connect(owner, autocommit=True) as database:
            whole = database.execute(
                "SELECT pg_get_functiondef('has_block(uuid, uuid)'::regprocedure)"
            ).fetchone()
            database.execute(statements)
            try:
                yield
            finally:
                database.execute(whole[0])
                database.execute(MENDED)

    return broken


@pytest.mark.parametrize("fault", CARELESS)
async def test_a_careless_server_is_found_out(fault, careless, server_url):
    statements, promises = CARELESS[fault]
    with careless(statements):
        assert promises <= await failed_promises(server_url, expected=promises)
