"""Hashing passwords: in processes of its own, in fair turns, bounded."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol.errors import Overloaded
from server.core.passwords import WAITING_MAX, HashRequester, PasswordHasher

ANN = HashRequester.at("sign-in", "192.0.2.1")
EVE = HashRequester.at("lobby", "198.51.100.1")
ALL_AT_ONCE = WAITING_MAX + os.cpu_count()  # type: ignore[operator]  # known here


@pytest.fixture
async def passwords() -> AsyncIterator[PasswordHasher]:
    passwords = PasswordHasher()
    yield passwords
    await passwords.close()


def children() -> set[int]:
    """The processes that this one started and that still run."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return {int(pid) for pid in listed.split()}


async def test_only_the_right_password_fits(passwords: PasswordHasher) -> None:
    stored = await passwords.hash("open sesame", ANN)
    assert stored.startswith("$argon2id$")
    assert await passwords.matches(stored, "open sesame", ANN)
    assert not await passwords.matches(stored, "Open sesame", ANN)
    assert not await passwords.matches(None, "open sesame", ANN)


async def test_flood_of_one_purpose_does_not_hold_up_another(passwords: PasswordHasher) -> None:
    flood = [asyncio.create_task(passwords.hash(str(n), EVE)) for n in range(20)]
    await asyncio.sleep(0)
    await passwords.hash("open sesame", ANN)
    assert sum(not guess.done() for guess in flood) >= 10
    for guess in flood:
        guess.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
    assert await passwords.hash("the turns of those who gave up are free again", ANN)


async def test_flood_of_one_network_does_not_hold_up_another(passwords: PasswordHasher) -> None:
    flood = [asyncio.create_task(passwords.hash(str(n), EVE)) for n in range(20)]
    await asyncio.sleep(0)
    await passwords.hash("open sesame", HashRequester.at("lobby", "203.0.113.9"))
    assert sum(not guess.done() for guess in flood) >= 10
    for guess in flood:
        guess.cancel()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_where_too_many_wait_the_busiest_network_is_refused(
    passwords: PasswordHasher,
) -> None:
    flood = [asyncio.create_task(passwords.hash(str(n), EVE)) for n in range(ALL_AT_ONCE)]
    await asyncio.sleep(0)
    other = asyncio.create_task(passwords.hash("open", HashRequester.at("lobby", "203.0.113.9")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    refused = [guess for guess in flood if guess.done()]
    assert refused
    assert all(isinstance(guess.exception(), Overloaded) for guess in refused)
    assert (await other).startswith("$argon2id$")
    for guess in flood:
        guess.cancel()
    await asyncio.gather(*flood, return_exceptions=True)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux's /proc")
async def test_killed_process_is_replaced_and_none_is_left_behind(
    passwords: PasswordHasher,
) -> None:
    before = children()
    await passwords.hash("open sesame", ANN)
    (worker,) = children() - before
    under_way = asyncio.create_task(passwords.hash("open sesame", ANN))
    await asyncio.sleep(0)
    os.kill(worker, signal.SIGKILL)
    await asyncio.gather(under_way, return_exceptions=True)
    assert (await passwords.hash("open sesame", ANN)).startswith("$argon2id$")
    assert os.getpriority(os.PRIO_PROCESS, (children() - before).pop()) > 0
    await passwords.close()
    assert children() - before == set()


async def test_a_hash_takes_what_is_recommended(passwords: PasswordHasher) -> None:
    assert "m=65536,t=3,p=4" in await passwords.hash("open sesame", ANN)
