"""One node, its database and what uses both, as queues: rates and reply times from costs.

A move goes through three stations, each of which does one thing after the other::

    client -> server: decide -> writer: one batch at a time -> server: deliver, reply -> client
                                (database, one core)

A writer takes all that waits for it, so batches grow with the load and cost less for each event, as
on a real node. Costs vary by chance around their means. *Closed*: each client sends again once it
was answered, as the load tester does, so the rate is a result. *Open*: moves arrive by chance at a
rate, as from a multitude of players, so the time is a result.
"""

from collections import deque
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final

from loadtest.scaling.costs import US, Costs

WRITERS: Final = 2
BATCH_EVENTS_MAX: Final = 1000
# From asking the database to its answer, besides its processor time: the network, and the disk.
ROUND_TRIP_S: Final = 0.001
# Costs are drawn between this share of the mean and as much above it.
LEAST_SHARE: Final = 0.5
WARM_UP_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """What a node has to do.

    `server_speed` and `database_speed` are the shares of a core that are there for the server, and
    for the database with the load tester. Without `in_flight` moves arrive at `moves_per_s`.
    """

    recipients: int
    in_flight: int = 0
    moves_per_s: float = 0.0
    server_speed: float = 1.0
    database_speed: float = 1.0
    with_load: bool = False
    extra_us: float = 0.0
    seconds: float = 4.0


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What came out."""

    moves_per_s: float
    reply_p50_ms: float
    reply_p99_ms: float
    server_busy: float
    database_busy: float


@dataclass(slots=True)
class _Station:
    """Does one thing after the other."""

    speed: float
    free_at: float = 0.0
    busy_s: float = 0.0

    def work(self, now: float, cost_s: float) -> float:
        """Queue some work; gives when it will be done."""
        took = cost_s / self.speed
        self.free_at = max(now, self.free_at) + took
        self.busy_s += took
        return self.free_at


@dataclass(slots=True)
class _Writer:
    waiting: deque[float] = field(default_factory=deque)  # when each move was sent
    batch: list[float] = field(default_factory=list)


class NodeSimulation:
    """A run of one node."""

    def __init__(self, costs: Costs, load: NodeLoad, *, seed: int = 1) -> None:
        self._costs = costs
        self._load = load
        self._chance = Random(seed)  # noqa: S311 - a simulation
        self._server = _Station(load.server_speed)
        self._database = _Station(load.database_speed)
        self._writers = [_Writer() for _ in range(WRITERS)]
        self._events: list[tuple[float, int, str, object]] = []
        self._order = count()
        self._replies: list[tuple[float, float]] = []  # when, and how long it took

    def run(self) -> NodeResult:
        """Run it."""
        for _ in range(self._load.in_flight):
            self._plan(self._chance.uniform(0.0, 0.01), "sent", None)
        if not self._load.in_flight:
            self._plan_arrival(0.0)
        while self._events:
            now, _, what, subject = heappop(self._events)
            if now > self._load.seconds:
                break
            if what == "sent":
                self._take(now)
            elif what == "decided":
                assert isinstance(subject, float)
                self._queue(now, subject)
            elif what == "committed":
                assert isinstance(subject, _Writer)
                self._release(now, subject)
            else:
                assert isinstance(subject, float)
                self._replied(now, subject)
        return self._result()

    def _take(self, now: float) -> None:
        if self._load.with_load:  # the tester writes the message, and will read what comes of it
            self._database.work(now, self._draw(self._costs.load.at(self._load.recipients)))
        done = self._server.work(now, self._draw(self._costs.server.fixed_us + self._load.extra_us))
        self._plan(done, "decided", now)
        if not self._load.in_flight:
            self._plan_arrival(now)

    def _queue(self, now: float, sent_at: float) -> None:
        writer = self._chance.choice(self._writers)  # a game's own, and games are many
        writer.waiting.append(sent_at)
        if not writer.batch:
            self._write(now, writer)

    def _write(self, now: float, writer: _Writer) -> None:
        while writer.waiting and len(writer.batch) < BATCH_EVENTS_MAX:
            writer.batch.append(writer.waiting.popleft())
        if writer.batch:
            cost_s = self._draw(self._costs.database_event_us) * len(writer.batch)
            self._plan(self._database.work(now, cost_s) + ROUND_TRIP_S, "committed", writer)

    def _release(self, now: float, writer: _Writer) -> None:
        each_us = self._costs.server.each_us * self._load.recipients
        for sent_at in writer.batch:
            self._plan(self._server.work(now, self._draw(each_us)), "replied", sent_at)
        writer.batch = []
        self._write(now, writer)

    def _replied(self, now: float, sent_at: float) -> None:
        self._replies.append((now, now - sent_at))
        if self._load.in_flight:
            self._plan(now, "sent", None)

    def _draw(self, mean_us: float) -> float:
        return mean_us / US * self._chance.uniform(LEAST_SHARE, 2 - LEAST_SHARE)

    def _plan_arrival(self, now: float) -> None:
        self._plan(now + self._chance.expovariate(self._load.moves_per_s), "sent", None)

    def _plan(self, at: float, what: str, subject: object) -> None:
        heappush(self._events, (at, next(self._order), what, subject))

    def _result(self) -> NodeResult:
        begin = self._load.seconds * WARM_UP_SHARE
        took = sorted(took for at, took in self._replies if at >= begin)
        if not took:
            raise ValueError("nothing was answered: simulate for longer")
        return NodeResult(
            moves_per_s=len(took) / (self._load.seconds - begin),
            reply_p50_ms=took[len(took) // 2] * 1000,
            reply_p99_ms=took[int(len(took) * 0.99)] * 1000,
            server_busy=min(1.0, self._server.busy_s / self._load.seconds),
            database_busy=min(1.0, self._database.busy_s / self._load.seconds),
        )
