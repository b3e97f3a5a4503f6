"""The clock of one process of a load test: samples each second, and the window of full load."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from loadtest.line.web import Web
from loadtest.measure.checks import Checks
from loadtest.measure.scrape import Scrape, scrape
from loadtest.measure.tally import Tally, Window

SAMPLE_EVERY_S: Final = 1.0
SAMPLES_MAX: Final = 24 * 3600


class Sample(NamedTuple):
    """Totals `at_s` seconds after the start."""

    at_s: float
    games: int
    moves: int
    deliveries: int


class Progress(NamedTuple):
    """How far a process is; `stage` says what it is doing."""

    stage: str
    done: int
    moves: int
    deliveries: int


class _Moment(NamedTuple):
    at_s: float
    cpu_s: float
    tally: Tally


def _now(tally: Tally) -> _Moment:
    return _Moment(time.monotonic(), time.process_time(), tally.copy())


Tell = Callable[[Progress], None]


@dataclass(slots=True)
class Measured:
    """What one process of a load test brings home.

    `busy` is the share of the window in which it had the processor: near 1, it is the load
    test that was measured, and not the server.
    """

    window: Window
    busy: float
    total: Tally
    samples: list[Sample]
    checks: Checks
    server: tuple[Scrape, Scrape] | None = None
    numbers: dict[str, float] = field(default_factory=dict)


class Meter:
    """Counts for one process. `asks` makes it ask the server for its own numbers as well."""

    def __init__(self, web: Web, *, tell: Tell, asks: bool) -> None:
        self.tally = Tally()
        self.checks = Checks()
        self.numbers: dict[str, float] = {}
        self.done = 0  # what the progress bar counts
        self.stage = ""
        self._web = web
        self._tell = tell
        self._asks = asks
        self._began = time.monotonic()
        self._samples: list[Sample] = []
        self._opened = _Moment(self._began, 0.0, Tally())
        self._closed: _Moment | None = None
        self._scrapes: list[Scrape] = []

    async def sample(self) -> None:
        """Take a sample each second, for as long as it runs."""
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            counts = self.tally.counts
            now_s = time.monotonic() - self._began
            sample = Sample(now_s, counts["games"], counts["moves"], counts["deliveries"])
            if len(self._samples) < SAMPLES_MAX:
                self._samples.append(sample)
            self.say()

    def say(self) -> None:
        """Tell how far it is."""
        counts = self.tally.counts
        self._tell(Progress(self.stage, self.done, counts["moves"], counts["deliveries"]))

    async def begin(self) -> None:
        """Start the time: everybody is there."""
        self._began = time.monotonic()
        await self.open_window()

    async def open_window(self) -> None:
        """Begin (again) to measure: the load is full."""
        if self._closed is None:
            self._scrapes = await self._ask()
            self._opened = _now(self.tally)

    async def close_window(self) -> None:
        """Measure no more: from now on the load falls. Later calls change nothing."""
        if self._closed is None:
            self._closed = _now(self.tally)
            self._scrapes += await self._ask()

    def result(self) -> Measured:
        """Give what was measured, once the window is closed."""
        assert self._closed is not None
        opened, closed = self._opened, self._closed
        seconds = closed.at_s - opened.at_s
        return Measured(
            window=Window(seconds, closed.tally.since(opened.tally)),
            busy=(closed.cpu_s - opened.cpu_s) / seconds if seconds else 0.0,
            total=self.tally,
            samples=self._samples,
            checks=self.checks,
            server=(self._scrapes[0], self._scrapes[1]) if len(self._scrapes) == 2 else None,
            numbers=self.numbers,
        )

    async def _ask(self) -> list[Scrape]:
        if not self._asks:
            return []
        answer = await scrape(self._web.url)
        return [] if answer is None else [answer]
