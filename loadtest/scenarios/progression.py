"""A single-player game on several devices: offline saves, telemetry, content; all checked."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from loadtest.measure import Measurements, Meter, OnProgress
from loadtest.processes import merge_measurements
from loadtest.progression.audit import (
    ALLOWED,
    note_content,
    note_saves,
    note_stored,
    note_telemetry,
    released,
)
from loadtest.progression.devices import Device, Habits
from loadtest.progression.recording import Latencies, RecordingHttp
from loadtest.report import QUANTILES
from loadtest.scenarios.scenario import Shard, sample_while
from loadtest.simulation.player import sign_in_guests
from playhall.account import Account
from playhall.errors import RequestRefused
from playhall.http import HttpClient

WRITES_MAX: Final = 400  # of a slot; with merges, less than the thousand revisions that are listed
CHECKED_AT_ONCE: Final = 8
OPERATIONS: Final = ("save writes", "telemetry batches", "manifests")


@dataclass(slots=True)
class ProgressionMeasured(Measurements):
    """What one process brings home, with how long each kind of request took."""

    latencies: Latencies = field(default_factory=Latencies)


def gather(parts: Sequence[Measurements]) -> Measurements:
    """Add up what the processes measured, kind by kind."""
    latencies = Latencies()
    for part in parts:
        assert isinstance(part, ProgressionMeasured)
        latencies.add(part.latencies)
    whole = merge_measurements(parts)
    for kind, histogram in latencies.by_kind.items():
        if histogram.count:
            for name, q in QUANTILES:
                whole.numbers[f"{kind} {name} ms"] = histogram.quantile_s(q) * 1000
    whole.numbers |= _cost(whole)
    return whole


def _cost(whole: Measurements) -> dict[str, float]:
    """Give the server's processor time for a request, where it says how long it had it."""
    count = sum(whole.window.counters.counts[name] for name in OPERATIONS)
    if whole.server is None or not count:
        return {}
    before, after = whole.server
    return {"server: µs for a write, batch or manifest": (after.cpu_s - before.cpu_s) / count * 1e6}


class _Party:
    """A player with several devices."""

    def __init__(self, account: Account, devices: list[Device]) -> None:
        self.account = account
        self.devices = devices
        self.slot_id = ""

    async def begin(self) -> None:
        """Make the slot on the first device, and open it on the others."""
        self.slot_id = await self.devices[0].create()
        for device in self.devices[1:]:
            await device.saves.open(self.slot_id)


@dataclass(frozen=True, slots=True)
class Progression:
    """One share of: `players` with `devices` each, who play for `duration_s`."""

    shard: Shard
    players: int
    devices: int
    duration_s: float
    state_bytes: int
    events: int
    think_s: float
    sample: int

    async def run(self, on_progress: OnProgress) -> ProgressionMeasured:
        """Play, then check."""
        latencies = Latencies()
        with TemporaryDirectory(prefix="playhall-loadtest-") as folder:
            async with HttpClient(self.shard.url) as http:
                meter = Meter(http, on_progress=on_progress, asks=self.shard.index == 0)
                async with self._parties(http, meter, latencies, Path(folder)) as parties:
                    await self._play(meter, parties)
                    await self._check(http, meter, parties)
        return _result(meter, latencies)

    @asynccontextmanager
    async def _parties(
        self, http: HttpClient, meter: Meter, latencies: Latencies, folder: Path
    ) -> AsyncIterator[list[_Party]]:
        meter.stage = "signing in"
        accounts = await sign_in_guests(
            http, self.shard.share_of(self.players), on_count=lambda _: None
        )
        chance = self.shard.random
        habits = Habits(self.state_bytes, self.events, self.think_s, WRITES_MAX // self.devices)
        async with AsyncExitStack() as stack:
            parties = []
            for number, account in enumerate(accounts):
                own = folder / str(number)
                own.mkdir()
                devices = []
                for place in range(self.devices):
                    through = RecordingHttp(
                        self.shard.url, counters=meter.counters, latencies=latencies
                    )
                    await stack.enter_async_context(through)
                    devices.append(
                        Device(
                            through,
                            account,
                            own,
                            name=f"device-{place}",
                            counters=meter.counters,
                            habits=habits,
                            chance=Random(chance.random()),  # noqa: S311 - play
                        )
                    )
                parties.append(_Party(account, devices))
            yield parties

    async def _play(self, meter: Meter, parties: list[_Party]) -> None:
        for party in parties:
            await party.begin()
        meter.stage, meter.done = "playing", len(parties)
        await meter.begin()
        until = time.monotonic() + self.duration_s
        async with sample_while(meter) as tasks:
            for party in parties:
                for device in party.devices:
                    tasks.create_task(device.play(party.slot_id, until))
            await asyncio.sleep(self.duration_s)
            await meter.close_window()

    async def _check(self, http: HttpClient, meter: Meter, parties: list[_Party]) -> None:
        meter.stage, meter.done = "checking", 0
        turnstile, exporting = asyncio.Semaphore(CHECKED_AT_ONCE), asyncio.Lock()
        exported = self.sample if self.shard.index == 0 else 0

        async def check(number: int, party: _Party) -> None:
            try:
                async with turnstile:
                    await _check_party(http, meter, party)
                if number < exported:
                    async with exporting:  # servers do one or two at a time
                        token = party.account.token
                        await note_stored(http, token, party.devices, meter.checks)
            except RequestRefused as refused:
                meter.checks.note_check(ALLOWED, f"slot {party.slot_id}: {refused}")
            meter.done += 1
            meter.report_progress()

        async with asyncio.TaskGroup() as tasks:
            for number, party in enumerate(parties):
                tasks.create_task(check(number, party))


async def _check_party(http: HttpClient, meter: Meter, party: _Party) -> None:
    token, checks = party.account.token, meter.checks
    for device in party.devices:
        refused = device.refused
        checks.note_check(ALLOWED, None if refused is None else f"slot {party.slot_id}: {refused}")
    await note_saves(http, token, party.slot_id, party.devices, checks)
    await note_telemetry(party.devices, checks)
    me = await http.get("/v1/me", token=token)
    packages = await released(http, token)
    await note_content(packages, me["user_id"], party.devices[0], checks)


def _result(meter: Meter, latencies: Latencies) -> ProgressionMeasured:
    measured = meter.result()
    return ProgressionMeasured(
        window=measured.window,
        busy=measured.busy,
        total=measured.total,
        samples=measured.samples,
        checks=measured.checks,
        server=measured.server,
        numbers=measured.numbers,
        latencies=latencies,
    )
