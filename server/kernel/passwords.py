"""Passwords of accounts and of lobbies: argon2id, off the event loop, a few at a time."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from protocol.errors import Overloaded

# One hash takes 64 MiB and a core for some 50 ms.
AT_ONCE: Final = 2
WAITING_MAX: Final = 50

T = TypeVar("T")


class Passwords:
    """Hashes and checks the passwords of one room."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._free = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Hash a password with a salt of its own."""
        return await self._off_loop(lambda: self._hasher.hash(password))

    async def fits(self, stored: str | None, password: str) -> bool:
        """Say whether a password is the stored one; without one, take as long to say no."""
        if stored is None:
            if self._nobodys is None:
                self._nobodys = await self.hash("nobody's")
            await self._verify(self._nobodys, password)
            return False
        return await self._verify(stored, password)

    async def _verify(self, stored: str, password: str) -> bool:
        try:
            return await self._off_loop(lambda: self._hasher.verify(stored, password))
        except VerifyMismatchError:
            return False

    async def _off_loop(self, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING_MAX:
            raise Overloaded
        self._waiting += 1
        try:
            async with self._free:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
