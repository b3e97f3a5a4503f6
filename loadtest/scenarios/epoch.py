"""A day of competition: bots claim, people vote, and thousands watch."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from loadtest.epochs.actors import (
    AcknowledgedCommand,
    ActorGroup,
    connected_actors,
    generate_slot_claims,
    generate_votes,
)
from loadtest.epochs.audit import (
    check_acknowledged,
    check_log,
    check_streams,
    read_final_day,
    wait_until_caught_up,
)
from loadtest.epochs.latency import CommandTiming, EpochMeasurements
from loadtest.epochs.stream_check import DayStream
from loadtest.epochs.watchers import OnCount, Watcher, connected_watchers
from loadtest.measure import Meter, OnProgress
from loadtest.scenarios.scenario import Barrier, Shard, sample_while
from loadtest.simulation.player import sign_in_guests
from playhall import Json
from playhall.errors import ClientError, RequestRefused
from playhall.http import HttpClient

CURRENT: Final = "current"
LIVE_WAIT_S: Final = 10.0
LOOK_EVERY_S: Final = 0.2
HIDDEN: Final = {"shown": False}  # secrets, and what no report needs


@dataclass(frozen=True, slots=True)
class EpochScenario:
    """One share of: `watchers` of a day in which others act for `duration_s`.

    The first process has everybody who acts, and one watcher if there are more processes: so
    its stamps do not wait behind thousands of frames.
    """

    shard: Shard
    watchers: int
    epoch: str
    claims_per_s: float
    votes_per_s: float
    duration_s: float
    bots: tuple[str, ...] = field(default=(), metadata=HIDDEN, repr=False)
    voters: tuple[str, ...] = field(default=(), metadata=HIDDEN, repr=False)
    barrier: Barrier = field(default_factory=Barrier, metadata=HIDDEN, repr=False)

    @property
    def acts(self) -> bool:
        """Whether those who act are in this share."""
        return self.shard.index == 0

    @property
    def watchers_here(self) -> int:
        """How many of the watchers are in this share."""
        if self.shard.of == 1:
            return self.watchers
        if self.acts:
            return 1
        return Shard("", self.shard.index - 1, self.shard.of - 1).share_of(self.watchers - 1)

    async def run(self, on_progress: OnProgress) -> EpochMeasurements:
        """Watch, and act."""
        async with HttpClient(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.acts)
            day = await self._day(http)
            stream = DayStream(meter.counters.counts)
            accounts = await sign_in_guests(
                http, self.watchers_here, on_count=_at(meter, "signing in")
            )
            async with connected_watchers(
                http.socket_url,
                accounts,
                day["epoch_id"],
                stream=stream,
                on_count=_at(meter, "connecting"),
            ) as watchers:
                done = await self._measure(http, meter, day)
                await self._check(http, meter, day["epoch_id"], stream, watchers, done)
            return _result(meter, stream, done)

    async def _day(self, http: HttpClient) -> Json:
        """Find the day; for those who act it must be live, which it may be about to be."""
        until = time.monotonic() + (LIVE_WAIT_S if self.epoch == CURRENT else 0)
        while True:
            try:
                day = await http.get(f"/v1/epochs/{self.epoch}")
                if day["phase"] == "live" or not (self.bots or self.voters):
                    return day
                problem = f"The day is in phase {day['phase']}, so nobody can claim or vote."
            except RequestRefused as refused:
                problem = str(refused)
            if time.monotonic() > until:
                raise ClientError(problem)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _measure(
        self, http: HttpClient, meter: Meter, day: Json
    ) -> list[AcknowledgedCommand]:
        tokens = (self.bots, self.voters) if self.acts else ((), ())
        async with (
            connected_actors(http, tokens[0]) as bots,
            connected_actors(http, tokens[1]) as voters,
        ):
            await self.barrier.wait()
            meter.stage, meter.done = "playing", self.watchers_here
            await meter.begin()
            groups = [ActorGroup(each, day["epoch_id"], meter.counters) for each in (bots, voters)]
            async with sample_while(meter) as tasks:
                tasks.create_task(asyncio.sleep(self.duration_s))
                await self._perform(http, day["epoch_id"], groups, tasks)
            await meter.close_window()
            await self.barrier.wait()
        return [each for group in groups for each in group.acknowledged]

    async def _perform(
        self, http: HttpClient, epoch_id: str, groups: list[ActorGroup], tasks: asyncio.TaskGroup
    ) -> None:
        bots, voters = groups
        if self.acts and self.bots:
            slots = (await http.get(f"/v1/epochs/{epoch_id}/slots"))["slots"]
            script = generate_slot_claims(slots)
            performing = bots.perform_commands(
                script, per_s=self.claims_per_s, duration_s=self.duration_s
            )
            tasks.create_task(performing)
        if self.acts and self.voters:
            rules = (await http.get(f"/v1/epochs/{epoch_id}/profile"))["config"]
            script = generate_votes(rules["governance"])
            performing = voters.perform_commands(
                script, per_s=self.votes_per_s, duration_s=self.duration_s
            )
            tasks.create_task(performing)

    async def _check(
        self,
        http: HttpClient,
        meter: Meter,
        epoch_id: str,
        stream: DayStream,
        watchers: list[Watcher],
        done: list[AcknowledgedCommand],
    ) -> None:
        meter.stage = "checking"
        stream_checks = [watcher.stream_check for watcher in watchers]
        end = await read_final_day(http, epoch_id)
        await wait_until_caught_up(stream_checks, end.version)
        check_streams(stream_checks, stream, end, meter.checks)
        after = min(stream_check.start for stream_check in stream_checks)
        await check_log(http, epoch_id, stream, meter.checks, after=after, end=end)
        check_acknowledged(done, stream, meter.checks)


def _result(meter: Meter, stream: DayStream, done: list[AcknowledgedCommand]) -> EpochMeasurements:
    measured = meter.result()
    return EpochMeasurements(
        window=measured.window,
        busy=measured.busy,
        total=measured.total,
        samples=measured.samples,
        checks=measured.checks,
        server=measured.server,
        numbers=measured.numbers,
        arrivals=stream.arrivals,
        stamps={each.version: CommandTiming(each.sent_s, each.heard_s) for each in done},
    )


def _at(meter: Meter, stage: str) -> OnCount:
    def on_count(count: int) -> None:
        meter.stage, meter.done = stage, count
        meter.report_progress()

    return on_count
