"""A whole node that games send telemetry to, and the database behind it."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import aiohttp
import pytest

from persistence.database import Database
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.tasks import Tasks
from server.domains.services import Services
from tests.fixtures.http import bearer, listening

Json: TypeAlias = Any


class MovableClock(Clock):
    """A clock that tests set forward; what is measured in seconds goes on as ever."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead // timedelta(milliseconds=1)


@dataclass(frozen=True)
class Person:
    user_id: str
    token: str


@dataclass
class Node:
    app: App
    http: aiohttp.ClientSession
    database: Database
    clock: MovableClock

    async def person(self, role: str | None = None) -> Person:
        """A guest, who may be given a role."""
        async with self.http.post("/v1/auth/guest", json={}) as reply:
            answer = await reply.json()
        if role is not None:
            await self.run(
                "INSERT INTO account_roles (user_id, role) VALUES ($1, $2)", answer["user_id"], role
            )
            again = {"refresh_token": answer["refresh_token"]}
            async with self.http.post("/v1/auth/refresh", json=again) as reply:
                answer |= await reply.json()
        return Person(answer["user_id"], answer["access_token"])

    async def ask(
        self,
        who: Person | None,
        method: str,
        path: str,
        body: object = None,
        **headers: str,
    ) -> tuple[int, Json]:
        """Ask for something as somebody."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {**(bearer(who.token) if who else {}), **named}
        data = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.http.request(
            method, path, headers=sent, **(data if body is not None else {})
        ) as reply:
            is_json = reply.content_type == "application/json"
            return reply.status, await (reply.json() if is_json else reply.text())

    async def send(self, who: Person, *events: Json, **headers: str) -> Json:
        """Send a batch."""
        status, answer = await self.ask(
            who, "POST", "/v1/telemetry", {"events": list(events)}, **headers
        )
        assert status == 200, answer
        return answer

    async def send_raw(self, who: Person, *events: Json) -> tuple[int, Json]:
        """Send a batch that may be refused whole."""
        return await self.ask(who, "POST", "/v1/telemetry", {"events": list(events)})

    async def run(self, statement: str, *values: object) -> list[dict[str, Any]]:
        async with self.database.acquire() as connection:
            return [dict(row) for row in await connection.fetch(statement, *values)]

    async def stored(self, who: Person) -> list[str]:
        """The ids of somebody's events."""
        rows = await self.run(
            "SELECT event_id FROM telemetry_events WHERE account_id = $1 ORDER BY 1", who.user_id
        )
        return [row["event_id"] for row in rows]

    def event_id(self, *, ago: timedelta = timedelta()) -> str:
        """Make a UUIDv7."""
        return uuid7(self.clock.now() - ago)

    def step(self, *, ago: timedelta = timedelta(), **fields: Json) -> Json:
        """Make an event of a built-in type."""
        payload = {"quest": "heist", "step": "plan", "order": 1}
        return {
            "event_id": self.event_id(ago=ago),
            "event_type": "quest_step",
            "payload": payload,
            **fields,
        }


def uuid7(at: datetime) -> str:
    ms = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    value = bytearray(ms.to_bytes(6, "big") + os.urandom(10))
    value[6] = 0x70 | value[6] & 0x0F
    value[8] = 0x80 | value[8] & 0x3F
    return str(UUID(bytes=bytes(value)))


Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[Node]]


@pytest.fixture
def serve(fresh_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Serve a node with some settings of telemetry; several share the database."""

    @asynccontextmanager
    async def serve(config: Json = None, **settings: object) -> AsyncIterator[Node]:
        for name, value in settings.items():
            monkeypatch.setenv(f"PLAYHALL_TELEMETRY_{name.upper()}", str(value))
        database = await Database.open(fresh_dsn, embedded=True)
        anonymous = await Database.open(fresh_dsn, embedded=True, role=ANONYMOUS_ROLE)
        made = Config(data_dir=tmp_path, guests_per_minute=100_000, epochs=False, **(config or {}))
        clock = MovableClock()
        try:
            async with Tasks() as tasks:
                services = Services(made, database, RlsDatabase(anonymous), "n1", clock, tasks, {})
                app = App(services)
                async with (
                    listening(app) as port,
                    aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
                ):
                    yield Node(app, http, database, clock)
        finally:
            await anonymous.close()
            await database.close()

    return serve


@pytest.fixture
async def node(serve: Serve) -> AsyncIterator[Node]:
    async with serve() as node:
        yield node
