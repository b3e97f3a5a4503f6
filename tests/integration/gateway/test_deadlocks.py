"""Requests that wait for each other in the database: both are answered, and one never for ever."""

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from persistence.database import Database
from server.gateway.http.endpoints import DEADLOCK_RETRIES, Endpoint, HttpRequest, RawResponse
from tests.fixtures.http import served

DONE = RawResponse(b"done", "text/plain")
LOCK = "SELECT FROM nodes WHERE id = $1 FOR UPDATE"


async def test_requests_that_deadlock_are_both_carried_out(database: Database) -> None:
    attempts: list[str] = []
    both_hold_one = asyncio.Barrier(2)

    async def lock_both(request: HttpRequest) -> RawResponse:
        first, second = request.path["first"], request.path["second"]
        attempts.append(first)
        async with database.transaction() as connection:
            await connection.fetch(LOCK, first)
            if len(attempts) <= 2:
                await both_hold_one.wait()
            await connection.fetch(LOCK, second)
        return DONE

    async with database.acquire() as connection:
        for name in "ab":
            await connection.execute("INSERT INTO nodes (id, lease_until) VALUES ($1, now())", name)
    async with served([_post("/{first}/{second}", lock_both)]) as client:
        statuses = await asyncio.gather(_ask(client, "/a/b"), _ask(client, "/b/a"))
    assert statuses == [200, 200]
    assert len(attempts) >= 3


async def test_endless_deadlock_is_given_up_with_a_retry(database: Database) -> None:
    attempts = 0

    async def deadlock(_: HttpRequest) -> RawResponse:
        nonlocal attempts
        attempts += 1
        async with database.transaction() as connection:
            await connection.execute(
                "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$"
            )
        return DONE

    async with served([_post("/", deadlock)]) as client, client.post("/") as answer:
        assert answer.status == 503
        assert (await answer.json())["code"] == "overloaded"
        assert "Retry-After" in answer.headers
    assert attempts == 1 + DEADLOCK_RETRIES


def _post(path: str, handler: Callable[[HttpRequest], Awaitable[RawResponse]]) -> Endpoint:
    return Endpoint("POST", path, "Lock.", handler, auth="none")


async def _ask(client: aiohttp.ClientSession, path: str) -> int:
    async with client.post(path) as answer:
        return answer.status
