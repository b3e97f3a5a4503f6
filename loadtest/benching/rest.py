"""What the Supabase client does, over HTTP and past the server.

The statements of both are the same; what the database does of them alone, with `pgbench` on its own
cores, is the limit of any server in front of it.
"""

import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import jwt
import orjson
import psycopg

from loadtest.benching.direct import OWNER, read_statements, run_script
from loadtest.benching.figures import RunResult
from loadtest.benching.machine import CoreAssignment
from loadtest.benching.prepared import Answer, guests, send_all, written
from loadtest.benching.progression import counted_result, monitored, send_counted
from loadtest.benching.servers import API_SECRET, BenchNode
from loadtest.measure import Checks

CONNECTIONS: Final = 16
SQL: Final = read_statements(Path(__file__).with_name("rest.sql"))
READ: Final = "every read gives the row that was asked for"
EMBEDDED: Final = "every read gives the row, with those that refer to it"
INSERTED: Final = "every row that was acknowledged is there"
ANSWERED: Final = "the database answered"


class Client(NamedTuple):
    """Somebody's client: a token, and the account."""

    token: str
    user_id: str


class RestBench:
    """People on a node, each with a connection."""

    def __init__(self, node: BenchNode, on: CoreAssignment) -> None:
        self._node = node
        self._on = on
        self._key = jwt.encode({"role": "anon"}, API_SECRET, algorithm="HS256")
        self._clients = [
            Client(token, str(self._ask(token, "GET", "/v1/me").data["user_id"]))
            for token in guests(node.url, CONNECTIONS)
        ]
        rows = self._ask(self._key, "GET", "/rest/v1/luminors?select=id&limit=1").data
        self._luminor = str(rows[0]["id"])
        for client in self._clients:
            row = self._row(client, "first")
            self._ask(client.token, "POST", "/rest/v1/luminor_conversations", row)

    def _row(self, client: Client, session: str) -> dict[str, str]:
        who = {"user_id": client.user_id, "luminor_id": self._luminor}
        return {**who, "title": "bench", "session_id": session}

    def _write(self, token: str, method: str, path: str, body: object = None) -> bytes:
        return written(self._node.url, method, path, token, body, {"apikey": self._key})

    def _ask(self, token: str, method: str, path: str, body: object = None) -> Answer:
        return send_all(self._node.url, [[self._write(token, method, path, body)]]).answers[0][0]

    def read_single(self, *, requests: int) -> RunResult:
        """Read one row by its key."""
        path = "/rest/v1/profiles?select=id,username,display_name&id=eq.{}"

        def fault(answer: Answer, client: Client) -> str | None:
            found = [each["id"] for each in _rows(answer)]
            return None if found == [client.user_id] else _shown(answer)

        return self._read("single reads", path, READ, fault, requests)

    def read_embedded(self, *, requests: int) -> RunResult:
        """Read one row, with the rows of another table that refer to it."""
        path = (
            "/rest/v1/profiles?select=id,display_name,luminor_conversations(id,title,"
            "luminors(name))&id=eq.{}&luminor_conversations.limit=5"
        )

        def fault(answer: Answer, client: Client) -> str | None:
            rows = _rows(answer)
            is_whole = len(rows) == 1 and rows[0]["luminor_conversations"]
            is_named = is_whole and rows[0]["luminor_conversations"][0]["luminors"]["name"]
            return None if is_named and rows[0]["id"] == client.user_id else _shown(answer)

        return self._read("embedded reads", path, EMBEDDED, fault, requests)

    def _read(self, what: str, path: str, check: str, fault: Any, requests: int) -> RunResult:
        share = -(-requests // CONNECTIONS)
        connections = [
            [self._write(client.token, "GET", path.format(client.user_id))] * share
            for client in self._clients
        ]
        with monitored(self._node, self._on) as monitor:
            sent = send_counted(monitor, self._node.url, connections)
        checks = Checks()
        for client, answers in zip(self._clients, sent.answers, strict=True):
            for answer in answers:
                checks.note_check(check, fault(answer, client))
        return counted_result(what, f"{what}/s", sent, checks, monitor)

    def insert(self, *, requests: int) -> RunResult:
        """Insert rows, each by a request."""
        share = -(-requests // CONNECTIONS)
        path = "/rest/v1/luminor_conversations"
        before = self._count()
        connections = [
            [
                self._write(client.token, "POST", path, self._row(client, f"{before} {number}"))
                for number in range(share)
            ]
            for client in self._clients
        ]
        with monitored(self._node, self._on) as monitor:
            sent = send_counted(monitor, self._node.url, connections)
        checks, made = Checks(), 0
        for answer in (each for of_one in sent.answers for each in of_one):
            made += answer.status == 201
            checks.note_check(INSERTED, None if answer.status == 201 else _shown(answer))
        there = self._count() - before
        checks.note_check(INSERTED, None if there == made else f"{there} of {made}")
        return counted_result("rest inserts", "rest inserts/s", sent, checks, monitor)

    def read_directly(self, *, seconds: float) -> RunResult:
        """Have the database do the reads alone."""
        return self._alone("single reads", SQL["single_read"], seconds)

    def insert_directly(self, *, seconds: float) -> RunResult:
        """Have the database do the inserts alone."""
        return self._alone("rest inserts", SQL["insert"], seconds)

    def _alone(self, what: str, statement: str, seconds: float) -> RunResult:
        user = self._clients[0].user_id
        claims = orjson.dumps({"sub": user, "role": "authenticated"}).decode()
        script = statement.replace("{claims}", claims).replace("{user}", user)
        # pgbench has variables that begin with a colon: JSON's must not look like one.
        script = script.replace('":', '" :').replace("{luminor}", self._luminor) + ";\n"
        with monitored(self._node, self._on) as monitor:
            monitor.sample()
            began_s = time.monotonic()
            rate = run_script(self._node, script, clients=CONNECTIONS, seconds=seconds)
            ended_s = time.monotonic()
            monitor.sample()
        checks = Checks()
        checks.note_check(ANSWERED, None if rate else "nothing was done")
        usage = monitor.usage_between(began_s, ended_s)
        return RunResult(f"{what} by SQL alone", {f"{what}/s": rate}, checks, usage)

    def _count(self) -> int:
        with psycopg.connect(self._node.dsn(OWNER)) as database:
            found = database.execute(SQL["count_conversations"].encode()).fetchone()
        assert found is not None
        return int(found[0])


def _rows(answer: Answer) -> list[dict[str, Any]]:
    return answer.data if answer.status == 200 else []


def _shown(answer: Answer) -> str:
    return f"{answer.status}: {answer.body[:200]!r}"
