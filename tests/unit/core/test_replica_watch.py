"""Watching an optional standby: nothing that it does ends the node."""

import asyncio

import asyncpg
import pytest

from persistence.database import Database
from persistence.replica import ReplicaReads
from protocol.errors import Unavailable
from server.domains import services


async def test_failure_that_nobody_expected_does_not_end_the_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(services, "LOOK_EVERY_S", 0.01)
    tried, tried_again = 0, asyncio.Event()

    async def open_replica() -> Database:
        nonlocal tried
        tried += 1
        if tried == 3:
            tried_again.set()
        raise asyncpg.ClientConfigurationError("no such way to connect")

    loop = asyncio.get_running_loop()
    replica = ReplicaReads(Database.unopened(), open_replica=open_replica, now=loop.time)
    watch = asyncio.create_task(services.watch_replica(replica))
    async with asyncio.timeout(5):
        await tried_again.wait()
    assert not watch.done()
    assert not replica.is_fresh
    watch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watch


async def test_a_standby_that_is_away_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    async def open_replica() -> Database:
        raise Unavailable

    loop = asyncio.get_running_loop()
    replica = ReplicaReads(Database.unopened(), open_replica=open_replica, now=loop.time)
    for _ in range(3):
        await replica.look()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "the standby cannot be read" in caplog.text
