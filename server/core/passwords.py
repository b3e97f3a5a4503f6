"""Passwords of accounts and of lobbies: argon2id, in processes of low priority.

Accounts that come from another service may bring a hash of bcrypt, which is checked and replaced.

A hash takes 64 MiB and a core for 50 to 150 ms. Hashing beside the event loop would take that
core, and its cache, from every move that is played meanwhile. So a few worker processes do it,
which get what the server leaves over (`hash_worker.py`), and requests wait for them in turn: first
between the purposes, so that guesses at lobbies cannot keep people from signing in, and within a
purpose between networks. Whoever calls has checked the rate limits already.
"""

import asyncio
import logging
import os
import sys
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal, NamedTuple

import orjson

from protocol.errors import Overloaded
from protocol.text import prepare_password
from server.core.rate_limits import client_network

log = logging.getLogger(__name__)

WORKERS_MAX: Final = 4
WAITING_MAX: Final = 64  # of each purpose
HASH_TIMEOUT_S: Final = 30.0
RETRY_AFTER_S: Final = 5.0


class HashCost(NamedTuple):
    """What one hash takes."""

    passes: int
    memory_kib: int


# The second recommendation of RFC 9106, section 4: the one for servers that cannot spare 2 GiB.
COST = HashCost(passes=3, memory_kib=65_536)


def is_foreign(stored: str | None) -> bool:
    """Say whether a hash was made elsewhere, and is to be replaced once its password is known."""
    return stored is not None and not stored.startswith("$argon2id$")


Purpose = Literal["sign-in", "account", "lobby"]


class HashRequester(NamedTuple):
    """What a password is hashed for, and the network that asks."""

    purpose: Purpose
    network: str

    @classmethod
    def at(cls, purpose: Purpose, remote: str) -> "HashRequester":
        """Make one of a client's address."""
        return cls(purpose, client_network(remote))


class PasswordHasher:
    """Hashes and checks the passwords of one node. `run` keeps the worker processes."""

    def __init__(self) -> None:
        self._turns = _FairTurns(worker_count(os.cpu_count() or 1))
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    async def run(self) -> None:
        """Wait until cancelled, then end the workers; they start when they are first needed."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.close()

    async def close(self) -> None:
        """End the workers."""
        for worker in list(self._all):
            await self._end(worker)

    async def hash(self, password: str, asker: HashRequester) -> str:
        """Hash a password with a salt of its own; raise `Overloaded`."""
        reply = await self._ask({"hash": prepare_password(password)}, asker)
        return str(reply["hash"])

    async def matches(self, stored: str | None, password: str, asker: HashRequester) -> bool:
        """Say whether a password is the stored one; raise `Overloaded`.

        Without a stored one this takes as long and says no. Old hashes were made of the password as
        it was typed, so that is tried as well, where it differs.
        """
        for tried in dict.fromkeys((prepare_password(password), password)):
            if stored is None:
                await self._ask({"hash": tried}, asker)
            elif (await self._ask({"verify": [stored, tried]}, asker))["fits"]:
                return True
        return False

    async def _ask(self, request: dict[str, object], asker: HashRequester) -> dict[str, object]:
        async with self._turns.turn(asker), self._worker() as worker:
            return await worker.ask(request)

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator["_Worker"]:
        """Lend a worker; one that fails, or whose reply is not awaited, is ended."""
        worker = await self._lent()
        try:
            yield worker
        except WorkerFailed as error:
            log.warning("a password-hashing process failed: %s", error)
            await self._end(worker)
            raise Overloaded(retry_after_s=RETRY_AFTER_S) from error
        except BaseException:
            await self._end(worker)
            raise
        self._idle.append(worker)

    async def _lent(self) -> "_Worker":
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            await self._end(worker)
        worker = await _Worker.start()
        self._all.add(worker)
        return worker

    async def _end(self, worker: "_Worker") -> None:
        self._all.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        await worker.end()


def worker_count(cores: int) -> int:
    """Say how many passwords are hashed at once: on half of the cores at most."""
    return min(WORKERS_MAX, max(1, cores // 2))


class WorkerFailed(Exception):
    """A worker process ended, or did not answer in time."""


class _Worker:
    """One process that hashes, and its pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> "_Worker":
        """Start a process; raise `Overloaded` if the machine has none left."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "server.core.hash_worker",
                *map(str, COST),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            log.warning("no password-hashing process could be started: %s", error)
            raise Overloaded(retry_after_s=RETRY_AFTER_S) from error
        return cls(process)

    @property
    def is_alive(self) -> bool:
        """Whether the process runs, as far as is known."""
        return self._process.returncode is None

    async def ask(self, request: dict[str, object]) -> dict[str, object]:
        """Have a request answered; raise `WorkerFailed`."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            async with asyncio.timeout(HASH_TIMEOUT_S):
                stdin.write(orjson.dumps(request) + b"\n")
                await stdin.drain()
                line = await stdout.readline()
        except (OSError, TimeoutError, RuntimeError) as error:  # uvloop: the pipe is closed
            raise WorkerFailed(type(error).__name__) from error
        if not line:
            raise WorkerFailed("it ended")
        reply: dict[str, object] = orjson.loads(line)
        return reply

    async def end(self) -> None:
        """End the process and wait until it is gone."""
        if self._process.returncode is None:
            self._process.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


class _FairTurns:
    """Hands out `free` turns: in turn between purposes, and in each between networks.

    Where a purpose has `WAITING_MAX` waiting, whoever came last from the network that has the most
    of them is refused.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        # Both are ordered by whose turn it is next; nothing empty is kept.
        self._waiting: OrderedDict[Purpose, OrderedDict[str, deque[asyncio.Future[None]]]] = (
            OrderedDict()
        )

    @asynccontextmanager
    async def turn(self, asker: HashRequester) -> AsyncIterator[None]:
        """Wait for a turn and hold it; raise `Overloaded` where too many wait."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(asker)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, asker: HashRequester) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        networks = self._waiting.setdefault(asker.purpose, OrderedDict())
        networks.setdefault(asker.network, deque()).append(granted)
        if sum(map(len, networks.values())) > WAITING_MAX:
            busiest = max(networks, key=lambda network: len(networks[network]))
            last = self._taken(asker.purpose, busiest, first=False)
            if not last.done():
                last.set_exception(Overloaded(retry_after_s=RETRY_AFTER_S))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._pass_on()  # it had been granted in the same moment
            else:
                self._forget(asker, granted)
            raise

    def _pass_on(self) -> None:
        """Give a turn that is over to the next who waits."""
        while self._waiting:
            purpose, networks = next(iter(self._waiting.items()))
            network = next(iter(networks))
            granted = self._taken(purpose, network, first=True)
            if purpose in self._waiting:
                self._waiting.move_to_end(purpose)
            if network in networks:
                networks.move_to_end(network)
            if not granted.done():  # whoever was cancelled in this moment has no use for it
                granted.set_result(None)
                return
        self._free += 1

    def _taken(self, purpose: Purpose, network: str, *, first: bool) -> asyncio.Future[None]:
        waiting = self._waiting[purpose][network]
        taken = waiting.popleft() if first else waiting.pop()
        self._tidy(purpose, network)
        return taken

    def _forget(self, asker: HashRequester, granted: asyncio.Future[None]) -> None:
        networks = self._waiting.get(asker.purpose)
        if networks is not None and granted in networks.get(asker.network, ()):
            networks[asker.network].remove(granted)
            self._tidy(asker.purpose, asker.network)

    def _tidy(self, purpose: Purpose, network: str) -> None:
        networks = self._waiting[purpose]
        if not networks[network]:
            del networks[network]
        if not networks:
            del self._waiting[purpose]
