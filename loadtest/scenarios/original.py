"""El Dorado on the original server, of which our ruleset keeps the rules.

Its players choose as ours do, from what their own connection was sent: a player has a websocket for
each game, gets every event, and after each change a whole view. A round is dealt only once somebody
bids in it, so the first bid of all rounds but the first is made without a hand.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

import orjson
import psycopg

from loadtest.measure import Checks, Counters, Measurements, Meter, OnProgress
from loadtest.players.el_dorado import KIND, ElDoradoBehaviour
from loadtest.players.kind import RulesetPlayer
from loadtest.scenarios.scenario import Shard, sample_while
from loadtest.simulation.group import STALL_S, wait_until_done
from loadtest.simulation.trace import (
    LEGAL,
    ORDER,
    FinishedGame,
    GameSample,
    GameTrace,
    SeenEvent,
    digest_event,
)
from loadtest.transport import open_picows
from playhall import Json
from playhall.errors import ServerUnreachable
from playhall.game import INVALID_ACTION
from playhall.http import HttpClient
from playhall.transport import Transport

PLAYERS: Final = 4
LOG: Final = "the log in its database is what clients got"
SUMMARY: Final = "the summary in its database is the score that clients counted"
READ_LOG: Final = Path(__file__).with_name("original_log.sql").read_text("utf-8")
READ_SUMMARY: Final = Path(__file__).with_name("original_summary.sql").read_text("utf-8")

_EVENT: Final = b'{"type":"GAME_EVENT"'
_STATE: Final = b'{"type":"STATE_FULL"'
# Its names for what ours has.
_OUR_KEYS: Final = {
    "playerId": "player_id",
    "winningPlayerId": "player_id",
    "finalScores": "final_scores",
}
_MOVES: Final = frozenset({"player_bid", "card_played"})
_MOVING: Final = frozenset({"BIDDING", "PLAYING", "SCORING"})


@dataclass(frozen=True, slots=True)
class OriginalScenario:
    """One share of: `rooms` of four who play game after game, for a time.

    `dsn` names the server's database, where `sample` finished games are read and compared.
    """

    shard: Shard
    dsn: str
    rooms: int
    rounds: int
    duration_s: float
    ramp_up_s: float
    sample: int = 20

    async def run(self, on_progress: OnProgress) -> Measurements:
        """Play."""
        async with HttpClient(self.shard.url) as http:
            meter = Meter(http, on_progress=on_progress, asks=False)
            meter.stage = "playing"
            finished = GameSample(self.shard.share_of(self.sample), self.shard.random)
            over = asyncio.Event()
            await meter.begin()
            async with sample_while(meter) as tasks:
                for number in range(self.shard.share_of(self.rooms)):
                    room = OriginalRoom(http, meter, f"{self.shard.index}-{number}", self.rounds)
                    tasks.create_task(self._play_games(room, finished, over))
                tasks.create_task(self._run_clock(meter, over))
            await asyncio.to_thread(audit_stored_games, self.dsn, finished.kept, meter.checks)
            return meter.result()

    async def _play_games(
        self, room: "OriginalRoom", finished: GameSample, over: asyncio.Event
    ) -> None:
        """Play game after game; rooms begin one after the other, so that games end so too."""
        await asyncio.sleep(room.chance.random() * self.ramp_up_s)
        while not over.is_set():
            game = await room.play_game()
            if game is not None:
                finished.offer_game(game)

    async def _run_clock(self, meter: Meter, over: asyncio.Event) -> None:
        await meter.run_window(ramp_up_s=self.ramp_up_s, duration_s=self.duration_s)
        over.set()


class OriginalRoom:
    """Four people and the games that they play, one after the other; the first is the host."""

    def __init__(self, http: HttpClient, meter: Meter, name: str, rounds: int) -> None:
        self.chance = Random(name)  # noqa: S311 - play
        self._http = http
        self._meter = meter
        self._profiles = [
            {
                "userId": f"{name}-{seat}",
                "displayName": f"Player {seat}",
                "avatarSeed": "seed",
                "color": "#000000",
            }
            for seat in range(PLAYERS)
        ]
        self._settings: Json = {
            "minPlayers": PLAYERS,
            "maxPlayers": PLAYERS,
            "roundCount": rounds,
            "isPublic": False,
        }

    async def play_game(self) -> FinishedGame | None:
        """Play one game to its end; None if it went wrong, which the checks then say."""
        host, *others = self._profiles
        room = await self._http.post("/api/create-room", {**host, **self._settings})
        tokens = [room["playerToken"]]
        for profile in others:
            body = {**profile, "joinCode": room["joinCode"]}
            tokens.append((await self._http.post("/api/join-by-code", body))["playerToken"])
        seats = [OriginalSeat(self._meter.counters, self.chance) for _ in tokens]
        async with asyncio.TaskGroup() as tasks:
            try:
                async with _no_stall(room["gameId"]):
                    for seat, token in zip(seats, tokens, strict=True):
                        query = urlencode({"gameId": room["gameId"], "token": token})
                        await seat.open(f"{self._http.socket_url}?{query}")
                        tasks.create_task(seat.run())
                        await seat.welcome.wait()
                return await self._play(room["gameId"], seats)
            finally:
                for seat in seats:
                    seat.close()

    async def _play(self, game_id: str, seats: Sequence["OriginalSeat"]) -> FinishedGame | None:
        trace = OriginalTrace(KIND, game_id, [seat.me for seat in seats], self._meter.checks)
        for seat in seats:
            seat.follow(trace)
        async with _no_stall(game_id):
            for seat in seats:  # in turn, as it may mix up the order of what is sent at once
                seat.send({"type": "SET_READY", "ready": True})
                await seat.ready.wait()
        seats[0].send({"type": "START_GAME"})
        await wait_until_done(trace)
        if trace.went_wrong:
            return None
        self._meter.counters.counts["games"] += 1
        return trace.finish(token="")


@asynccontextmanager
async def _no_stall(game_id: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(STALL_S):
            yield
    except TimeoutError:
        raise ServerUnreachable(f"Game {game_id} of the original server does not begin.") from None


class OriginalTrace(GameTrace):
    """A game as its four clients see it; the server does not commit to its seed.

    `turn` is the event that is due, and whose move it waits for, as soon as a client read that from
    its view: the others need not read theirs to know that it is not them.
    """

    def __init__(
        self, kind: RulesetPlayer, game_id: str, players: list[str], checks: Checks
    ) -> None:
        super().__init__(kind, game_id, players, checks)
        self.turn: tuple[int, str | None] = (-1, None)

    def find_known(self, index: int, frame: bytes) -> SeenEvent | None:
        """Give the event of an index if it came in the same bytes before."""
        place = index - self.base
        if place < len(self.frames) and self.frames[place] == frame:
            return self.events[place]
        return None

    def fault_of_result(self, last: dict[str, Any], totals: dict[str, int]) -> str | None:
        """Say what is wrong with the result that the last event states."""
        if last["final_scores"] != totals:
            return f"game {self.game_id}: counted {totals}, the result is {last['final_scores']}"
        return None


class OriginalSeat:
    """One player in one game, with a websocket of their own.

    `welcome` is set once the server has said who this is, and `ready` once it said that they are.
    """

    def __init__(self, counters: Counters, chance: Random) -> None:
        self.me = ""
        self.welcome = asyncio.Event()
        self.ready = asyncio.Event()
        self._counters = counters
        self._chance = chance
        self._behaviour = ElDoradoBehaviour("", chance)
        self._trace: OriginalTrace | None = None
        self._transport: Transport | None = None
        self._next = 0  # the event that is due
        self._moved_at = -1  # the event that was due at the last move
        self._sent_s = 0.0
        self._is_closing = False

    async def open(self, url: str) -> None:
        """Connect."""
        self._transport = await open_picows(url, self.take_frame)

    async def run(self) -> None:
        """Carry messages until it is closed here."""
        assert self._transport is not None
        closed = await self._transport.run()
        if not self._is_closing:
            self._note_fault(ORDER, f"was closed: {closed.code} {closed.reason}")

    def close(self) -> None:
        """Close the connection."""
        self._is_closing = True
        if self._transport is not None:
            self._transport.close()

    def follow(self, trace: OriginalTrace) -> None:
        """Play in this game once it begins."""
        self._trace = trace

    def send(self, message: Json) -> None:
        """Send a message."""
        assert self._transport is not None
        self._transport.send(orjson.dumps(message))

    def take_frame(self, frame: bytes) -> None:
        """Take what the server sends."""
        if self._is_closing:
            return
        if frame.startswith(_EVENT):
            self._take_event(frame)
        elif frame.startswith(_STATE):
            self._take_view(frame)
        elif (message := orjson.loads(frame))["type"] == "WELCOME":
            self.me = message["playerId"]
            self._behaviour = ElDoradoBehaviour(self.me, self._chance)
            self.welcome.set()

    def _take_event(self, frame: bytes) -> None:
        """Take an event; what another player of this game got already is not parsed again."""
        assert self._trace is not None
        self._counters.counts["deliveries"] += 1
        index = self._next
        seen = self._trace.find_known(index, frame)
        if seen is None:
            message = as_ours(orjson.loads(frame)["event"])
            if message["event_index"] != index:
                self._note_fault(ORDER, f"got event {message['event_index']}, not {index}")
                return
            seen = self._trace.take_event(self.me, message, frame)
        self._next += 1
        if seen.payload.get("player_id") == self.me:
            self._take_own(seen.event, seen.payload)
        self._trace.note_progress(self.me, index)

    def _take_own(self, event: str, payload: Json) -> None:
        if event in _MOVES:
            self._counters.counts["moves"] += 1
            self._counters.latency.record(time.monotonic() - self._sent_s)
        elif event == "player_ready":
            self.ready.set()
        elif event == INVALID_ACTION:
            self._note_fault(LEGAL, f"{payload['action']}: {payload['reason']}")

    def _take_view(self, frame: bytes) -> None:
        """Look at the table, and move if it is one's turn."""
        if self._trace is None or self._next == self._moved_at:
            return  # one's own last move is not on it yet
        at, mover = self._trace.turn
        if at == self._next and mover != self.me:
            return
        view = orjson.loads(frame)["state"]
        if view["phase"] not in _MOVING:
            return
        look_at(view, self._behaviour)
        self._trace.turn = (self._next, self._behaviour.turn_of)
        move = self._behaviour.choose_move()
        if move is not None:
            self._moved_at = self._next
            self._sent_s = time.monotonic()
            self.send(as_theirs(move))

    def _note_fault(self, name: str, fault: str) -> None:
        if self._trace is not None:
            self._trace.note_fault(name, f"game {self._trace.game_id}: {self.me} {fault}")


# ---------------------------------------------------------------------- its words, and ours


def as_ours(event: Json) -> Json:
    """Write one of its events as ours, whose times are not compared: it stores others."""
    payload = {_OUR_KEYS.get(key, key): value for key, value in event["payload"].items()}
    kind = event["type"].lower()
    return {"event_index": event["eventIndex"], "event": kind, "payload": payload, "at": ""}


def as_theirs(move: Json) -> Json:
    """Write a move as it reads them."""
    if move["type"] == "bid":
        return {"type": "BID", "value": move["bid"]}
    return {"type": "PLAY_CARD", "cardId": move["card"]}


def look_at(view: Json, behaviour: ElDoradoBehaviour) -> None:
    """Let a player know what it sees: the hand, the table, and whose turn it is."""
    seated = sorted(view["players"], key=lambda player: player["seatIndex"])
    order = [player["playerId"] for player in seated]
    behaviour.hand = [card["id"] for card in view["hand"]]
    table = view["round"]
    if table is None:  # the next round's first bidder sits after its dealer
        behaviour.bidding = True
        behaviour.turn_of = order[(len(view["roundSummaries"]) + 1) % len(order)]
        return
    behaviour.trump, behaviour.broken = table["trumpSuit"], table["trumpBroken"]
    bids = sum(bid is not None for bid in table["bids"].values())
    behaviour.bidding = bids < len(order)
    if behaviour.bidding:
        first, acted = table["startingPlayerId"], bids
    else:
        trick = table["trickInProgress"] or {"plays": [], "ledSuit": None}
        behaviour.led, acted = trick["ledSuit"], len(trick["plays"])
        first = trick.get("leaderPlayerId") or _leader(table)
    behaviour.turn_of = order[(order.index(first) + acted) % len(order)]


def _leader(table: Json) -> str:
    """Name who leads the next trick."""
    tricks = table["completedTricks"]
    return str(tricks[-1]["winningPlayerId"] if tricks else table["startingPlayerId"])


# ---------------------------------------------------------------------- what it stored


def audit_stored_games(dsn: str, games: Sequence[FinishedGame], checks: Checks) -> None:
    """Compare the log and the summary in the database with what was seen."""
    with psycopg.connect(dsn) as database:
        for game in games:
            digest = blake2b(digest_size=16)
            stored = database.execute(READ_LOG.encode(), [game.game_id])
            for index, kind, payload in stored:
                event = as_ours({"eventIndex": index, "type": kind, "payload": payload})
                seen = SeenEvent(event["event"], event["payload"], event["at"])
                digest_event(digest, index, seen, game.hides)
            checks.note_check(
                LOG,
                None
                if digest.digest() == game.digest
                else f"game {game.game_id}: {stored.rowcount} events are not what clients got",
            )
            found = database.execute(READ_SUMMARY.encode(), [game.game_id]).fetchone()
            checks.note_check(
                SUMMARY,
                None
                if found == ("completed", game.totals)
                else f"game {game.game_id}: counted {game.totals}, the database has {found}",
            )
