"""Real-time games: rooms whose players steer all the time, each seeing the same world.

The time from an input to its effect is taken where it is felt: from sending it to the patch that
acknowledges it, at the player who sent it.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final
from zlib import crc32

import orjson

from loadtest.measure import Checks, Measurements, Meter, OnProgress
from loadtest.scenarios.scenario import Shard, sample_while
from loadtest.simulation.player import sign_in_guests
from loadtest.transport import open_picows
from playhall import Json
from playhall.account import Account
from playhall.connection import Connection
from playhall.errors import ClientError
from playhall.game import GameStream
from playhall.http import HttpClient

RULESET: Final = "arena"
GAME_S: Final = 600
SAME_VIEW: Final = "players of a room see the same at the same tick"
NO_GAP: Final = "no patch is missing"
ONCE: Final = "every input is in the log once, in order"
# At which ticks what players see is compared: comparing all would load the load test.
COMPARED_EVERY: Final = 20
SETTLE_S: Final = 1.0
PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class RealtimeScenario:
    """One share of: `rooms` arenas of `players`, each of whom sends `inputs_per_s`.

    `sample` is how many rooms' logs are read over HTTP and compared.
    """

    shard: Shard
    rooms: int
    players: int
    inputs_per_s: float
    duration_s: float
    ramp_up_s: float
    sample: int

    async def run(self, on_progress: OnProgress) -> Measurements:
        """Play."""
        async with HttpClient(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=self.shard.index == 0)
            count, chance = self.shard.share_of(self.rooms), self.shard.random
            meter.stage = "signing in"
            accounts = await sign_in_guests(
                http, count * self.players, on_count=lambda number: _note(meter, number)
            )
            rooms = [
                _Room(http, accounts[first : first + self.players], meter, chance)
                for first in range(0, len(accounts), self.players)
            ]
            async with asyncio.TaskGroup() as connections:
                try:
                    for room in rooms:
                        room.connect(connections)
                    await self._measure(http, meter, rooms)
                finally:
                    for room in rooms:
                        room.close()
            return meter.result()

    async def _measure(self, http: HttpClient, meter: Meter, rooms: list["_Room"]) -> None:
        meter.stage = "sitting down"
        for room in rooms:
            await room.start()
            meter.done += 1
            meter.report_progress()
        meter.stage = "playing"
        await meter.begin()
        async with sample_while(meter) as tasks:
            steering = [
                tasks.create_task(player.steer(1 / self.inputs_per_s, number / self.players))
                for room in rooms
                for number, player in enumerate(room.players)
            ]
            await asyncio.sleep(self.ramp_up_s)
            await meter.open_window()
            await asyncio.sleep(self.duration_s)
            await meter.close_window()
            for task in steering:
                task.cancel()
        await asyncio.sleep(SETTLE_S)  # the last inputs are answered
        meter.stage, meter.done = "checking", 0
        for number, room in enumerate(rooms):
            await room.end()
            room.compare_views(meter.checks)
            if number < self.shard.share_of(self.sample):
                await room.compare_log(http, meter.checks)
            meter.done += 1


class _Player:
    """One player: an open connection, the inputs that were sent, and the view that is kept."""

    def __init__(self, http: HttpClient, account: Account, meter: Meter, chance: Random) -> None:
        self.account = account
        self.inputs: list[Json] = []  # in the order of their numbers
        self.answered = 0
        self.seen: dict[int, int] = {}  # tick to the checksum of the view
        self.stream: GameStream | None = None
        self.connection = Connection(
            http.socket_url, account, open_transport=open_picows, on_update=lambda _: None
        )
        self._meter = meter
        self._chance = chance
        self._sent: dict[int, float] = {}  # number to when, until its effect is seen
        self._tick = -1

    async def follow(self, game_id: str) -> None:
        """Take the seat."""
        self.stream = GameStream(
            game_id,
            self.connection.track_moves(game_id),
            on_event=lambda _: None,
            on_view=self._on_view,
            on_failure=lambda _: None,
        )
        await self.connection.follow(self.stream)

    async def steer(self, every_s: float, phase: float) -> None:
        """Send inputs at a steady rate, until cancelled."""
        assert self.stream is not None
        due = time.monotonic() + every_s * phase
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += every_s
            move = {
                "type": "steer",
                "x": self._chance.randint(-1, 1),
                "y": self._chance.randint(-1, 1),
            }
            self.inputs.append(move)
            self._sent[len(self.inputs)] = time.monotonic()
            try:
                self.stream.moves.send_move(move, self._on_answer)
            except ClientError:  # too many wait for the server: the load is more than it takes
                self.inputs.pop()
                del self._sent[len(self.inputs) + 1]
                self._meter.counters.counts["inputs not sent"] += 1

    def _on_answer(self, reply: Json | ClientError, _: float) -> None:
        if isinstance(reply, ClientError):
            return
        if reply["type"] == "ok":
            self.answered += 1
            self._meter.counters.counts["moves"] += 1
        else:
            self._meter.counters.refusals[reply["code"]] += 1

    def _on_view(self) -> None:
        stream = self.stream
        if stream is None or stream.live is None or stream.live.tick == self._tick:
            return
        live, now_s = stream.live, time.monotonic()
        self._tick = live.tick
        counters = self._meter.counters
        counters.counts["deliveries"] += 1
        for number in [number for number in self._sent if number <= live.ack]:
            counters.latency.record(now_s - self._sent.pop(number))
        if live.tick % COMPARED_EVERY == 0:
            self.seen[live.tick] = crc32(orjson.dumps(live.view, option=orjson.OPT_SORT_KEYS))


class _Room:
    """The players of one arena; the first is the host."""

    def __init__(
        self, http: HttpClient, accounts: list[Account], meter: Meter, chance: Random
    ) -> None:
        self.players = [
            _Player(http, account, meter, Random(chance.random()))  # noqa: S311 - play
            for account in accounts
        ]
        self._game_id = ""

    def connect(self, tasks: asyncio.TaskGroup) -> None:
        """Open the connections."""
        for player in self.players:
            tasks.create_task(player.connection.run())

    def close(self) -> None:
        """Close the connections."""
        for player in self.players:
            player.connection.close()

    async def start(self) -> None:
        """Open a lobby, start its game, and let everybody follow it."""
        host, *others = self.players
        lobby = (
            await host.connection.call(
                "lobby.create",
                ruleset=RULESET,
                seats=len(self.players),
                config={"duration_s": GAME_S},
            )
        )["lobby"]
        for player in others:
            await player.connection.call("lobby.join", lobby_id=lobby["lobby_id"])
            await player.connection.call("lobby.ready", lobby_id=lobby["lobby_id"], ready=True)
        started = await host.connection.call("lobby.start", lobby_id=lobby["lobby_id"])
        self._game_id = started["lobby"]["game_id"]
        for player in self.players:
            await player.follow(self._game_id)

    async def end(self) -> None:
        """Have everybody leave, which ends the game."""
        for player in self.players:
            await player.connection.call("game.leave", game_id=self._game_id)

    def compare_views(self, checks: Checks) -> None:
        """Compare what players saw at the same ticks, and look for patches that were missing."""
        for player in self.players:
            assert player.stream is not None
            is_whole = not player.stream.paused and player.stream.failure is None
            fault = None if is_whole else f"game {self._game_id}: a player's view stopped"
            checks.note_check(NO_GAP, fault)
        host, *others = self.players
        for player in others:
            for tick in host.seen.keys() & player.seen.keys():
                same = host.seen[tick] == player.seen[tick]
                fault = f"game {self._game_id}: two players see different worlds at tick {tick}"
                checks.note_check(SAME_VIEW, None if same else fault)

    async def compare_log(self, http: HttpClient, checks: Checks) -> None:
        """Read the finished game, and compare its inputs with those that were sent."""
        logged: dict[int, list[Json]] = {seat: [] for seat in range(len(self.players))}
        numbers: Counter[tuple[int, int]] = Counter()
        after = -1
        while True:
            page = await http.get(
                f"/v1/games/{self._game_id}/events?after={after}&limit={PAGE}",
                token=self.players[0].account.token,
            )
            for event in page["events"]:
                for seat, cmd_no, move in (event["payload"] or {}).get("inputs", ()):
                    numbers[seat, cmd_no] += 1
                    logged[seat].append(move)
            if len(page["events"]) < PAGE:
                break
            after = page["events"][-1]["event_index"]
        for seat, player in enumerate(self.players):
            inputs = logged[seat]
            is_right = inputs == player.inputs[: len(inputs)] and len(inputs) >= player.answered
            is_once = all(numbers[seat, number + 1] == 1 for number in range(len(inputs)))
            fault = (
                f"game {self._game_id}, seat {seat}: {len(inputs)} inputs in the log, "
                f"{player.answered} answered, {len(player.inputs)} sent"
            )
            checks.note_check(ONCE, None if is_right and is_once else fault)


def _note(meter: Meter, number: int) -> None:
    meter.done = number
    meter.report_progress()
