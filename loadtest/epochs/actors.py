"""Bots that claim and people that vote, at a rate, each with one act under way at most.

No two acts are the same, so that each can be found again in the stream.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count, cycle
from typing import Final, NamedTuple

from loadtest.measure import Counters
from loadtest.transport import open_picows
from playhall import Json
from playhall.account import Account
from playhall.connection import Connection
from playhall.errors import ClientError, RequestRefused
from playhall.http import HttpClient

# A word that the slots of a kind take, and how large the number behind it may be.
_WORDS: Final = {"drums": "bd", "notes": "c4", "chords": "Am"}
_BASE: Final = 60


class ActorCommand(NamedTuple):
    """A command, and what of it the event shows in its payload (and as its slot)."""

    command: str
    fields: Json
    shows: Json


def generate_slot_claims(slots: Sequence[Json]) -> Iterator[ActorCommand]:
    """Claim the slots in turns, each time with code that was never written before."""
    for number, slot in zip(count(1), cycle(slots)):
        code = make_slot_code(slot["constraints_id"], number)
        fields = {"slot_index": slot["slot_index"], "code": code}
        yield ActorCommand("epoch.claim", fields, {"code": code})


def generate_votes(governance: Json) -> Iterator[ActorCommand]:
    """Vote for the options that a day's profile names, now high, now low."""
    targets = [target for target in governance["targets"] if target.get("options")]
    if not targets:
        raise ClientError("The day's profile names no options to vote for; leave out --voters.")
    for number, target in zip(count(), cycle(targets)):
        option = target["options"][number // len(targets) % len(target["options"])]
        low, high = float(target["score_min"]), float(target["score_max"])
        score = round(low + (high - low) * (number % 100) / 100, 4)
        vote = {"target_type": target["type"], "target_id": option, "score": score}
        yield ActorCommand("epoch.vote", vote, vote)


def make_slot_code(constraints_id: str, number: int) -> str:
    """Write a number as code that a kind of slot takes; free text where it is not known."""
    word = _WORDS.get(constraints_id)
    if word is None:
        return f"load test {number}"
    digits = []
    while number:
        number, digit = divmod(number, _BASE)
        digits.append(f"{word}:{digit}")
    return " ".join(digits)


def find_event_fault(act: ActorCommand, event: Json) -> str | None:
    """Say how an event is not what an act did; None if it is."""
    found = {name: event["payload"].get(name) for name in act.shows}
    if isinstance(score := found.get("score"), str):
        found["score"] = float(score)  # exact numbers are text in events
    if found == act.shows and event["slot_index"] == act.fields.get("slot_index"):
        return None
    return f"{act.command} was acknowledged for {act.fields}, but the event is {event}"


# ---------------------------------------------------------------------- who does it


ACKNOWLEDGED_MAX: Final = 100_000
SKIPPED: Final = "acts skipped, for all still waited"


class AcknowledgedCommand(NamedTuple):
    """An act that the server said is done: when it was sent and when the answer came (monotonic).

    The answer comes after the commit.
    """

    version: int
    act: ActorCommand
    sent_s: float
    heard_s: float


class Actor:
    """Somebody who acts: one connection."""

    def __init__(self, http: HttpClient, token: str) -> None:
        self.connection = Connection(
            http.socket_url,
            Account(http, token),
            open_transport=open_picows,
            on_update=_ignore,
            on_frame=self._hear,
        )
        self.is_busy = False
        self._heard_s = 0.0

    async def send_command(self, act: ActorCommand, epoch_id: str) -> AcknowledgedCommand:
        """Do it; raise `RequestRefused` or `ConnectionLost`."""
        self.is_busy, sent_s = True, time.monotonic()
        try:
            reply = await self.connection.call(act.command, epoch_id=epoch_id, **act.fields)
        finally:
            self.is_busy = False
        return AcknowledgedCommand(reply["version"], act, sent_s, self._heard_s)

    def _hear(self, frame: bytes) -> None:
        self._heard_s = time.monotonic()  # before anything else is done with it
        self.connection.handle_frame(frame)


class ActorGroup:
    """Everybody of one kind, and what was acknowledged to them."""

    def __init__(self, actors: Sequence[Actor], epoch_id: str, counters: Counters) -> None:
        self.acknowledged: list[AcknowledgedCommand] = []
        self._actors = actors
        self._epoch_id = epoch_id
        self._counters = counters
        self._turn = 0

    async def perform_commands(
        self, acts: Iterator[ActorCommand], *, per_s: float, duration_s: float
    ) -> None:
        """Have free actors act at a given rate, then wait for the last answers."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(per_s * duration_s)):
                await asyncio.sleep(began + number / per_s - time.monotonic())
                actor = self._free()
                if actor is None or len(self.acknowledged) >= ACKNOWLEDGED_MAX:
                    self._counters.counts[SKIPPED] += 1
                else:
                    tasks.create_task(self._do(actor, next(acts)))

    def _free(self) -> Actor | None:
        for _ in self._actors:
            self._turn = (self._turn + 1) % len(self._actors)
            if not self._actors[self._turn].is_busy:
                return self._actors[self._turn]
        return None

    async def _do(self, actor: Actor, act: ActorCommand) -> None:
        try:
            done = await actor.send_command(act, self._epoch_id)
        except RequestRefused as refused:
            self._counters.refusals[refused.code] += 1
        except ClientError:
            self._counters.counts["acts without an answer"] += 1
        else:
            self.acknowledged.append(done)
            self._counters.counts["moves"] += 1
            self._counters.latency.record(done.heard_s - done.sent_s)


@asynccontextmanager
async def connected_actors(http: HttpClient, tokens: Sequence[str]) -> AsyncIterator[list[Actor]]:
    """Connect everybody whose token is given, for a block."""
    actors = [Actor(http, token) for token in tokens]
    async with asyncio.TaskGroup() as tasks:
        try:
            for actor in actors:
                tasks.create_task(actor.connection.run())
            for actor in actors:
                await actor.connection.wait_until_ready()
            yield actors
        finally:
            for actor in actors:
                actor.connection.close()


def _ignore(_: Json) -> None:
    """Drop what is neither a reply nor asked for."""
