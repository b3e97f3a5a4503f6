"""One device of a player, and the player: what they do, and what they were told.

A device plays offline for a while, then syncs. Sometimes it is cut off in the middle of that and
starts again from its file; sometimes it sends a batch of telemetry again, as after an answer that
was lost; sometimes it writes what another device writes as well, and the player decides.
"""

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final
from urllib.parse import urlencode
from uuid import UUID, uuid4

from loadtest.measure import Counters
from loadtest.progression.recording import BATCH, MANIFEST, RecordingHttp
from loadtest.progression.rollout import Question
from playhall import ContentFolder, OfflineSaves
from playhall.account import Account
from playhall.content import InstalledPackage
from playhall.errors import Json, RequestRefused, ServerUnreachable
from playhall.http import full_jitter_pause_s

TITLE: Final = "loadtest"
QUESTION: Final = Question("99.0.0", "en-GB", ("stable", "beta"))
# Shares of the rounds of a device.
CUT: Final = 0.1
REPEATED: Final = 0.1
CONTRADICTS: Final = 0.15
STRETCH_MAX: Final = 4  # writes of a round, made offline
CUT_WITHIN_S: Final = 0.02
SETTLE_S: Final = 120.0  # for what still waits in the end, at the pace that the server allows


@dataclass(frozen=True, slots=True)
class Habits:
    """How devices play; `think_s` is how long they pause at most between two rounds."""

    state_bytes: int
    events: int
    think_s: float
    writes_max: int  # of a device: servers forget a slot's oldest revisions beyond a thousand


@dataclass(slots=True)
class Sent:
    """What a device knows of its telemetry: what was accepted, and answers that were wrong."""

    accepted: dict[str, Json] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    last: list[Json] = field(default_factory=list)


class Device:
    """A device: its saves in a file, its telemetry, its content in a folder."""

    def __init__(
        self,
        http: RecordingHttp,
        account: Account,
        folder: Path,
        *,
        name: str,
        counters: Counters,
        habits: Habits,
        chance: Random,
    ) -> None:
        self.name = name
        self.http = http
        self.sent = Sent()
        self.number = 0  # of its last write
        self.refused: RequestRefused | None = None
        self._account = account
        self._folder = folder
        self._counters = counters
        self._habits = habits
        self._chance = chance
        self.saves = self._opened()

    def _opened(self) -> OfflineSaves:
        path = self._folder / f"{self.name}.json"
        return OfflineSaves(self.http, self._account, path, device=self.name)

    # ------------------------------------------------------------------ saves

    async def create(self) -> str:
        """Make the player's slot."""
        state = {"devices": {}, "last": "", "pad": "x" * self._habits.state_bytes}
        return await self.saves.create(TITLE, state)

    async def play(self, slot_id: str, until: float) -> None:
        """Play until a monotonic time, or until something is refused that may not be."""
        try:
            while time.monotonic() < until:
                await self._round(slot_id)
        except RequestRefused as refused:
            self.refused = refused

    async def _round(self, slot_id: str) -> None:
        for _ in range(self._chance.randint(1, STRETCH_MAX)):
            if self.number < self._habits.writes_max:
                self._write(slot_id)
        if self._chance.random() < CUT:
            await self._sync_and_break()
        await self.sync()
        await self._decide(slot_id)
        await self.report()
        await self.look_at_content()
        await asyncio.sleep(self._chance.uniform(0, self._habits.think_s))

    def _write(self, slot_id: str) -> None:
        self.number += 1
        state = self.saves.state(slot_id)
        mine = {"number": self.number, "scene": self._chance.randrange(20)}
        state = {**state, "devices": {**state["devices"], self.name: mine}}
        if self._chance.random() < CONTRADICTS:
            state["last"] = f"{self.name} {self.number}"
        self.saves.write(slot_id, state)

    async def _sync_and_break(self) -> None:
        """Begin to sync, and go on from the file as a program does that was killed."""
        with suppress(TimeoutError, RequestRefused):
            async with asyncio.timeout(self._chance.uniform(0, CUT_WITHIN_S)):
                await self.saves.sync()
        self._counters.counts["cuts"] += 1
        self.saves = self._opened()

    async def sync(self, *, timeout_s: float = SETTLE_S) -> bool:
        """Send what waits, at the pace that the server allows; False if that took too long."""
        until, attempt = time.monotonic() + timeout_s, 0
        while not await self._synced():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(full_jitter_pause_s(attempt))
            attempt += 1
        return True

    async def _synced(self) -> bool:
        if self._account.needs_renewal:
            await self._account.renew()
        try:
            return await self.saves.sync()
        except RequestRefused as refused:
            if refused.code != "too_many_save_conflicts":
                raise
            for slot_id in self.saves.queue.list_slots():
                await self._resolve(slot_id)
            return False

    async def _decide(self, slot_id: str) -> None:
        """Resolve what could not be merged, as a player who keeps what the slot has."""
        if self.saves.queue.conflicts:
            self.saves.queue.conflicts.clear()
            await self._resolve(slot_id)

    async def _resolve(self, slot_id: str) -> None:
        path, token = f"/v1/saves/{slot_id}", self._account.token
        listed = await self.http.get(f"{path}/conflicts", token=token)
        for conflict in listed["conflicts"]:
            if conflict["status"] != "open":
                continue
            slot = await self.http.get(path, token=token)
            body = {
                "conflict_id": conflict["conflict_id"],
                "mutation_id": str(uuid4()),
                "choose": "current",
                "device": self.name,
            }
            # Another device may have written or decided meanwhile; then the next round does it.
            with suppress(RequestRefused, ServerUnreachable):
                await self.http.request(
                    "POST",
                    f"{path}/resolve",
                    token=token,
                    body=body,
                    headers={"If-Match": f'"{slot["revision"]}"'},
                )
                self._counters.counts["conflicts resolved"] += 1

    # ------------------------------------------------------------------ telemetry

    async def report(self) -> None:
        """Send a batch of events, some batches twice."""
        batch = [self._event(place) for place in range(self._habits.events)]
        if not batch or not await self._send(batch, known=False):
            return
        self.sent.last = batch
        if self._chance.random() < REPEATED:
            await self._send(batch, known=True)

    async def report_again(self) -> None:
        """Send the last batch again: nothing of it may be new."""
        if self.sent.last:
            await self._send(self.sent.last, known=True)

    def _event(self, place: int) -> Json:
        return {
            "event_id": uuid7(),
            "event_type": "quest_step",
            "payload": {"quest": TITLE, "step": f"{self.name} {self.number}", "order": place},
            "session": self.name,
        }

    async def _send(self, batch: list[Json], *, known: bool) -> bool:
        """Send a batch until it is answered; an answer that was lost may have been a yes."""
        ids = {event["event_id"] for event in batch}
        for attempt in range(20):
            began_s = time.perf_counter()
            try:
                answer = await self.http.request(
                    "POST", "/v1/telemetry", token=self._account.token, body={"events": batch}
                )
            except ServerUnreachable:
                known = True
            except RequestRefused as refused:
                if not refused.retry:
                    raise
            else:
                self.http.took(BATCH, began_s)
                self._take(batch, ids, answer, known=known)
                return True
            await asyncio.sleep(full_jitter_pause_s(attempt))
        return False

    def _take(self, batch: list[Json], ids: set[str], answer: Json, *, known: bool) -> None:
        duplicates = set(answer["duplicates"])
        if answer["refused"]:
            self.sent.faults.append(f"refused: {answer['refused'][0]}")
        if not known and (answer["accepted"] != len(batch) or duplicates):
            self.sent.faults.append(f"{answer['accepted']} of {len(batch)} new events accepted")
        if known and answer["accepted"] + len(duplicates) != len(batch):
            self.sent.faults.append("events that were sent again are neither new nor duplicates")
        if known and ids <= self.sent.accepted.keys() and answer["accepted"]:
            self.sent.faults.append(f"{answer['accepted']} events were accepted twice")
        self.sent.accepted |= {event["event_id"]: event for event in batch}
        self._counters.counts["telemetry events"] += answer["accepted"]
        self._counters.counts["telemetry batches"] += 1

    # ------------------------------------------------------------------ content

    @property
    def content(self) -> ContentFolder:
        """Its packages."""
        return ContentFolder(
            self.http,
            self._folder / f"{self.name}-content",
            client=QUESTION.client,
            locale=QUESTION.locale,
            channels=QUESTION.channels,
            token=self._account.token,
        )

    async def look_at_content(self, have: tuple[str, ...] = ()) -> Json:
        """Ask for the manifest, and give it."""
        question = {
            "client": QUESTION.client,
            "locale": QUESTION.locale,
            "channel": ",".join(QUESTION.channels),
            "have": ",".join(have),
        }
        began_s = time.perf_counter()
        manifest = await self.http.get(
            f"/v1/content/manifest?{urlencode(question)}", token=self._account.token
        )
        self.http.took(MANIFEST, began_s)
        self._counters.counts["manifests"] += 1
        return manifest

    async def fetch_content(self) -> list[InstalledPackage]:
        """Fetch the packages."""
        installed = await self.content.update()
        self._counters.counts["packages fetched"] += len(installed)
        return installed

    async def fetch_the_rest(self, package: InstalledPackage) -> int:
        """Break a download off in its middle, and go on; gives how many bytes were fetched then."""
        half = package.size // 2
        await asyncio.to_thread(_break_off, package, half)
        content = self.content
        await content.update()
        self._counters.counts["downloads resumed"] += 1
        return content.bytes_fetched


def _break_off(package: InstalledPackage, half: int) -> None:
    """Leave a package as a download that broke off leaves it."""
    package.path.with_suffix(".part").write_bytes(package.path.read_bytes()[:half])
    package.path.unlink()


def uuid7() -> str:
    """Make an id of now."""
    value = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    value[6] = 0x70 | value[6] & 0x0F
    value[8] = 0x80 | value[8] & 0x3F
    return str(UUID(bytes=bytes(value)))
