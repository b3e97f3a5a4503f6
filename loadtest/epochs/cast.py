"""Bots that claim and people that vote, at a rate, each with one act under way at most."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from loadtest.epochs.acts import Act
from loadtest.line.account import Account
from loadtest.line.errors import ClientError, Refused
from loadtest.line.link import Link
from loadtest.line.web import Web
from loadtest.line.wires import dial_picows
from loadtest.measure.tally import Tally
from protocol.game import Json

ACKNOWLEDGED_MAX: Final = 100_000
SKIPPED: Final = "acts skipped, for all still waited"


class Acknowledged(NamedTuple):
    """An act that the server said is done: when it was sent and when the answer came (monotonic).

    The answer comes after the commit.
    """

    version: int
    act: Act
    sent_s: float
    heard_s: float


class Actor:
    """Somebody who acts: one connection."""

    def __init__(self, web: Web, token: str) -> None:
        self.link = Link(
            web.socket_url,
            Account(web, token),
            dial=dial_picows,
            on_update=_ignore,
            on_frame=self._hear,
        )
        self.is_busy = False
        self._heard_s = 0.0

    async def do(self, act: Act, epoch_id: str) -> Acknowledged:
        """Do it; raise `Refused` or `Lost`."""
        self.is_busy, sent_s = True, time.monotonic()
        try:
            reply = await self.link.call(act.command, epoch_id=epoch_id, **act.fields)
        finally:
            self.is_busy = False
        return Acknowledged(reply["version"], act, sent_s, self._heard_s)

    def _hear(self, frame: bytes) -> None:
        self._heard_s = time.monotonic()  # before anything else is done with it
        self.link.receive(frame)


class Cast:
    """Everybody of one kind, and what was acknowledged to them."""

    def __init__(self, actors: Sequence[Actor], epoch_id: str, tally: Tally) -> None:
        self.acknowledged: list[Acknowledged] = []
        self._actors = actors
        self._epoch_id = epoch_id
        self._tally = tally
        self._turn = 0

    async def perform(self, acts: Iterator[Act], *, per_s: float, duration_s: float) -> None:
        """Act at a rate, whoever is free, and wait for the last answers."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(per_s * duration_s)):
                await asyncio.sleep(began + number / per_s - time.monotonic())
                actor = self._free()
                if actor is None or len(self.acknowledged) >= ACKNOWLEDGED_MAX:
                    self._tally.counts[SKIPPED] += 1
                else:
                    tasks.create_task(self._do(actor, next(acts)))

    def _free(self) -> Actor | None:
        for _ in self._actors:
            self._turn = (self._turn + 1) % len(self._actors)
            if not self._actors[self._turn].is_busy:
                return self._actors[self._turn]
        return None

    async def _do(self, actor: Actor, act: Act) -> None:
        try:
            done = await actor.do(act, self._epoch_id)
        except Refused as refused:
            self._tally.refusals[refused.code] += 1
        except ClientError:
            self._tally.counts["acts without an answer"] += 1
        else:
            self.acknowledged.append(done)
            self._tally.counts["moves"] += 1
            self._tally.latency.record(done.heard_s - done.sent_s)


@asynccontextmanager
async def on_stage(web: Web, tokens: Sequence[str]) -> AsyncIterator[list[Actor]]:
    """Connect everybody whose token is given, for a block."""
    actors = [Actor(web, token) for token in tokens]
    async with asyncio.TaskGroup() as tasks:
        try:
            for actor in actors:
                tasks.create_task(actor.link.run())
            for actor in actors:
                await actor.link.up()
            yield actors
        finally:
            for actor in actors:
                actor.link.close()


def _ignore(_: Json) -> None:
    """Let go what is neither a reply nor asked for."""
