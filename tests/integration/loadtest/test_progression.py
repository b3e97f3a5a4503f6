"""The load test of progression finds out a server that loses a write, or doubles an event."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import orjson
import psycopg
import pytest

from loadtest.progression.audit import ANSWERED, ONCE, REACHABLE, STORED
from tests.fixtures.shell import playhall

LOSES = """
CREATE FUNCTION careless() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN {body} END $$;
CREATE TRIGGER careless {when} ON {table} FOR EACH ROW EXECUTE FUNCTION careless();
"""
# What a careless server would do: when, on which table, how, and which promises it breaks.
CARELESS = {
    "a write is lost": (
        "AFTER INSERT",
        "save_revisions",
        """IF NEW.reason = 'write' AND NEW.revision % 5 = 0 THEN
            DELETE FROM save_revisions WHERE slot_id = NEW.slot_id AND revision = NEW.revision;
        END IF; RETURN NULL;""",
        {REACHABLE, ONCE},
    ),
    "an event is doubled": (
        "AFTER INSERT",
        "telemetry_events",
        """IF pg_trigger_depth() = 1 AND NEW.event_id::text LIKE '%0' THEN
            INSERT INTO telemetry_events
                (event_id, account_id, event_type, payload, "timestamp", schema_version)
            VALUES ((left(NEW.event_id::text, 24) || left(md5(NEW.event_id::text), 12))::uuid,
                    NEW.account_id, NEW.event_type, NEW.payload, NEW."timestamp", 1);
        END IF; RETURN NULL;""",
        {STORED},
    ),
    "an event is lost": (
        "AFTER INSERT",
        "telemetry_events",
        """IF NEW.event_id::text LIKE '%0' THEN
            DELETE FROM telemetry_events WHERE event_id = NEW.event_id;
        END IF; RETURN NULL;""",
        {STORED, ANSWERED},
    ),
}


@pytest.fixture
def careless(databases, serving_dsn):
    """Break the database of the server for a block."""
    owner = databases.dsn_of(urlsplit(serving_dsn).path[1:])

    @contextmanager
    def broken(when: str, table: str, body: str) -> Iterator[None]:
        with psycopg.connect(owner, autocommit=True) as database:
            database.execute(LOSES.format(when=when, table=table, body=body))
            try:
                yield
            finally:
                database.execute("DROP FUNCTION careless CASCADE")

    return broken


def progression(url, file):
    done = playhall(
        "loadtest", "progression", "--url", url, "--players", 2, "--seconds", 1.5, "--events", 20,
        "--state-bytes", 500, "--think", 20, "--sample", 2, "--json", file,
    )  # fmt: skip
    assert file.exists(), done.said
    checks = orjson.loads(file.read_bytes())["checks"]
    return done, {name for name, each in checks.items() if each["failed"]}


@pytest.mark.parametrize("fault", CARELESS)
def test_a_careless_server_is_found_out(fault, careless, server_url, tmp_path):
    *how, promises = CARELESS[fault]
    with careless(*how):
        done, failed = progression(server_url, tmp_path / "report.json")

    assert done.status == 1, done.said
    assert promises <= failed, done.said
    assert "CHECKS FAILED" in done.said
