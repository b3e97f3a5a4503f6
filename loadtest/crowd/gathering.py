"""Bringing a crowd together: accounts first, then connections."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random
from typing import Final

from loadtest.crowd.player import Player
from loadtest.line.account import Account
from loadtest.line.web import Web
from loadtest.measure.tally import Tally

AT_ONCE: Final = 16


async def sign_in(web: Web, count: int, *, came: Callable[[int], None]) -> list[Account]:
    """Make guests, some at once; `came` is told how many there are."""
    turnstile = asyncio.Semaphore(AT_ONCE)
    accounts: list[Account] = []

    async def one(number: int) -> None:
        async with turnstile:
            accounts.append(await Account.guest(web, f"Player {number}"))
            came(len(accounts))

    async with asyncio.TaskGroup() as tasks:
        for number in range(1, count + 1):
            tasks.create_task(one(number))
    return accounts


@asynccontextmanager
async def connected(
    web: Web, accounts: list[Account], *, tally: Tally, chance: Random
) -> AsyncIterator[list[Player]]:
    """Connect players for a block; when it ends, all have gone."""
    players = [
        Player(web.socket_url, account, tally=tally, chance=Random(chance.random()))  # noqa: S311 - play
        for account in accounts
    ]
    try:
        async with asyncio.TaskGroup() as tasks:
            for start in range(0, len(players), AT_ONCE):
                group = players[start : start + AT_ONCE]
                for player in group:
                    tasks.create_task(player.run())
                for player in group:
                    await player.link.up()
            try:
                yield players
            finally:
                for player in players:
                    player.link.close()
    finally:
        tally.counts["reconnects"] += sum(player.link.reconnects for player in players)
