"""People of a social platform, all at once; what each is shown and told is checked."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

from loadtest.measure import Histogram, Measurements, Meter, OnProgress
from loadtest.processes import merge_measurements
from loadtest.progression.recording import Latencies
from loadtest.report import QUANTILES
from loadtest.scenarios.scenario import Shard, sample_while
from loadtest.simulation.player import sign_in_guests
from loadtest.social.audit import note_society
from loadtest.social.people import KINDS, SocialPerson
from loadtest.social.record import SocialRecord
from playhall.http import HttpClient

CONNECTED_AT_ONCE: Final = 16


def _latencies() -> Latencies:
    return Latencies({kind: Histogram() for kind in KINDS})


@dataclass(slots=True)
class SocialMeasured(Measurements):
    """What one process brings home, with how long each kind of request took."""

    latencies: Latencies = field(default_factory=_latencies)


def gather(parts: Sequence[Measurements]) -> Measurements:
    """Add up what the processes measured, kind by kind."""
    latencies = _latencies()
    for part in parts:
        assert isinstance(part, SocialMeasured)
        latencies.add(part.latencies)
    whole = merge_measurements(parts)
    for kind, histogram in latencies.by_kind.items():
        if histogram.count:
            for name, q in QUANTILES:
                whole.numbers[f"{kind} {name} ms"] = histogram.quantile_s(q) * 1000
    return whole


@dataclass(frozen=True, slots=True)
class SocialScenario:
    """One share of `people`, who do things for `duration_s`, with pauses of up to `think_s`.

    The people of a process have to do with each other alone; they see what others publish as well.
    """

    shard: Shard
    people: int
    duration_s: float
    think_s: float
    patience_s: float = 10.0  # for what the server sends by itself

    async def run(self, on_progress: OnProgress) -> SocialMeasured:
        """Live, then check."""
        latencies, record = _latencies(), SocialRecord()
        async with HttpClient(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.shard.index == 0)
            async with self._people(http, meter, latencies, record) as people:
                await self._live(meter, people)
                meter.stage = "checking"
                await note_society(people, record, meter.checks, patience_s=self.patience_s)
        return _result(meter, latencies)

    @asynccontextmanager
    async def _people(
        self, http: HttpClient, meter: Meter, latencies: Latencies, record: SocialRecord
    ) -> AsyncIterator[list[SocialPerson]]:
        meter.stage = "signing in"
        count = max(2, self.shard.share_of(self.people))
        accounts = await sign_in_guests(http, count, on_count=lambda _: None)
        chance = self.shard.random
        people = [
            SocialPerson(
                http,
                account,
                record,
                counters=meter.counters,
                checks=meter.checks,
                latencies=latencies,
                chance=Random(chance.random()),  # noqa: S311 - play
            )
            for account in accounts
        ]
        async with asyncio.TaskGroup() as tasks:
            try:
                for start in range(0, len(people), CONNECTED_AT_ONCE):
                    group = people[start : start + CONNECTED_AT_ONCE]
                    for person in group:
                        tasks.create_task(person.connection.run())
                    for person in group:
                        await person.connection.wait_until_ready()
                        await person.begin()
                for person in people:
                    person.others = [each for each in people if each is not person]
                yield people
            finally:
                for person in people:
                    person.connection.close()

    async def _live(self, meter: Meter, people: list[SocialPerson]) -> None:
        meter.stage, meter.done = "living", len(people)
        await meter.begin()
        until_s = time.monotonic() + self.duration_s
        async with sample_while(meter) as tasks:
            for person in people:
                tasks.create_task(person.live(until_s, self.think_s))
            await asyncio.sleep(self.duration_s)
            await meter.close_window()


def _result(meter: Meter, latencies: Latencies) -> SocialMeasured:
    measured = meter.result()
    return SocialMeasured(
        window=measured.window,
        busy=measured.busy,
        total=measured.total,
        samples=measured.samples,
        checks=measured.checks,
        server=measured.server,
        numbers=measured.numbers,
        latencies=latencies,
    )
