"""A day of competition: bots claim, people vote, and thousands watch."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

from loadtest.crowd.gathering import sign_in
from loadtest.epochs import acts
from loadtest.epochs.audit import (
    caught_up,
    note_acknowledged,
    note_log,
    note_sights,
    read_end,
)
from loadtest.epochs.cast import Acknowledged, Cast, on_stage
from loadtest.epochs.sight import Stream
from loadtest.epochs.spread import Stamp, Watched
from loadtest.epochs.watching import Came, Watcher, watching
from loadtest.line.errors import ClientError, Refused
from loadtest.line.web import Web
from loadtest.measure.meter import Meter, Tell
from loadtest.scenarios.meeting import Meeting
from loadtest.scenarios.share import Place, sampled
from protocol.game import Json

CURRENT: Final = "current"
LIVE_WAIT_S: Final = 10.0
LOOK_EVERY_S: Final = 0.2
HIDDEN: Final = {"shown": False}  # secrets, and what no report needs


@dataclass(frozen=True, slots=True)
class Epoch:
    """One share of: `watchers` of a day in which others act for `duration_s`.

    The first process has everybody who acts, and one watcher if there are more processes: so
    its stamps do not wait behind thousands of frames.
    """

    place: Place
    watchers: int
    epoch: str
    claims_per_s: float
    votes_per_s: float
    duration_s: float
    bots: tuple[str, ...] = field(default=(), metadata=HIDDEN, repr=False)
    voters: tuple[str, ...] = field(default=(), metadata=HIDDEN, repr=False)
    meeting: Meeting = field(default_factory=Meeting, metadata=HIDDEN, repr=False)

    @property
    def acts(self) -> bool:
        """Whether those who act are in this share."""
        return self.place.index == 0

    @property
    def watchers_here(self) -> int:
        """How many of the watchers are in this share."""
        if self.place.of == 1:
            return self.watchers
        if self.acts:
            return 1
        return Place("", self.place.index - 1, self.place.of - 1).part(self.watchers - 1)

    async def run(self, tell: Tell) -> Watched:
        """Watch, and act."""
        async with Web(self.place.url) as web:
            meter = Meter(web, tell=tell, asks=self.acts)
            day = await self._day(web)
            stream = Stream(meter.tally.counts)
            accounts = await sign_in(web, self.watchers_here, came=_at(meter, "signing in"))
            async with watching(
                web.socket_url,
                accounts,
                day["epoch_id"],
                stream=stream,
                came=_at(meter, "connecting"),
            ) as watchers:
                done = await self._measure(web, meter, day)
                await self._check(web, meter, day["epoch_id"], stream, watchers, done)
            return _result(meter, stream, done)

    async def _day(self, web: Web) -> Json:
        """Find the day; for those who act it must be live, which it may be about to be."""
        until = time.monotonic() + (LIVE_WAIT_S if self.epoch == CURRENT else 0)
        while True:
            try:
                day = await web.get(f"/v1/epochs/{self.epoch}")
                if day["phase"] == "live" or not (self.bots or self.voters):
                    return day
                problem = f"The day is in phase {day['phase']}, so nobody can claim or vote."
            except Refused as refused:
                problem = str(refused)
            if time.monotonic() > until:
                raise ClientError(problem)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _measure(self, web: Web, meter: Meter, day: Json) -> list[Acknowledged]:
        tokens = (self.bots, self.voters) if self.acts else ((), ())
        async with on_stage(web, tokens[0]) as bots, on_stage(web, tokens[1]) as voters:
            await self.meeting.all_here()
            meter.stage, meter.done = "playing", self.watchers_here
            await meter.begin()
            casts = [Cast(each, day["epoch_id"], meter.tally) for each in (bots, voters)]
            async with sampled(meter) as tasks:
                tasks.create_task(asyncio.sleep(self.duration_s))
                await self._perform(web, day["epoch_id"], casts, tasks)
            await meter.close_window()
            await self.meeting.all_here()
        return [each for cast in casts for each in cast.acknowledged]

    async def _perform(
        self, web: Web, epoch_id: str, casts: list[Cast], tasks: asyncio.TaskGroup
    ) -> None:
        bots, voters = casts
        if self.acts and self.bots:
            slots = (await web.get(f"/v1/epochs/{epoch_id}/slots"))["slots"]
            script = acts.claims(slots)
            performing = bots.perform(script, per_s=self.claims_per_s, duration_s=self.duration_s)
            tasks.create_task(performing)
        if self.acts and self.voters:
            rules = (await web.get(f"/v1/epochs/{epoch_id}/profile"))["config"]
            script = acts.votes(rules["governance"])
            performing = voters.perform(script, per_s=self.votes_per_s, duration_s=self.duration_s)
            tasks.create_task(performing)

    async def _check(
        self,
        web: Web,
        meter: Meter,
        epoch_id: str,
        stream: Stream,
        watchers: list[Watcher],
        done: list[Acknowledged],
    ) -> None:
        meter.stage = "checking"
        sights = [watcher.sight for watcher in watchers]
        end = await read_end(web, epoch_id)
        await caught_up(sights, end.version)
        note_sights(sights, stream, end, meter.checks)
        after = min(sight.start for sight in sights)
        await note_log(web, epoch_id, stream, meter.checks, after=after, end=end)
        note_acknowledged(done, stream, meter.checks)


def _result(meter: Meter, stream: Stream, done: list[Acknowledged]) -> Watched:
    measured = meter.result()
    return Watched(
        window=measured.window,
        busy=measured.busy,
        total=measured.total,
        samples=measured.samples,
        checks=measured.checks,
        server=measured.server,
        numbers=measured.numbers,
        arrivals=stream.arrivals,
        stamps={each.version: Stamp(each.sent_s, each.heard_s) for each in done},
    )


def _at(meter: Meter, stage: str) -> Came:
    def came(count: int) -> None:
        meter.stage, meter.done = stage, count
        meter.say()

    return came
