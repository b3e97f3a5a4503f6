"""Simulated players: each has a connection, and a seat in the game that it plays."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from loadtest.measure import Counters
from loadtest.players.kind import Behaviour, GenericBehaviour, RulesetPlayer
from loadtest.simulation.trace import LEGAL, GameTrace
from loadtest.transport import open_picows
from playhall import Json
from playhall.account import Account
from playhall.connection import Connection
from playhall.errors import ClientError, RequestRefused
from playhall.game import GAME_COMPLETED, GameStream
from playhall.http import HttpClient

# Fewer than the server writes into a game's log for one player.
ILLEGAL_MOVES_MAX: Final = 50

# A player's trace is told of its progress at the end, and each time that it has so many more.
PROGRESS_EVERY: Final = 64

ASK_AGAIN_S: Final = 0.2
UNLISTED: Final = (
    "The ruleset does not list legal moves, so it needs a player of its own in loadtest/players."
)

# The game ended before the move arrived: nobody's fault.
_TOO_LATE: Final = "game_over"


@dataclass(frozen=True, slots=True)
class PlayerHabits:
    """How a player plays.

    `think_s` is the most time it takes over a move, `misplays` the share of moves that it
    gets wrong first, `window` how many moves it has under way at once.
    """

    think_s: float = 0.0
    misplays: float = 0.0
    window: int = 1


class SimulatedPlayer:
    """A simulated player on a connection of its own."""

    def __init__(self, url: str, account: Account, *, counters: Counters, chance: Random) -> None:
        self.account = account
        self.counters = counters
        self.chance = chance
        self.seat: SimulatedSeat | None = None
        self.connection = Connection(
            url, account, open_transport=open_picows, on_update=_ignore, on_frame=self._take_frame
        )

    @property
    def player_id(self) -> str:
        """Who this is, once the connection is up."""
        return str(self.connection.welcome["player_id"])

    async def run(self) -> None:
        """Keep the connection up."""
        await self.connection.run()

    async def take_seat(
        self, trace: GameTrace, kind: RulesetPlayer, habits: PlayerHabits
    ) -> "SimulatedSeat":
        """Follow a game from its first event on, and play in it."""
        behaviour = kind.behaviour(self.player_id, self.chance)
        seat = LegalMovesSeat if kind.asks_for_moves else SimulatedSeat
        self.seat = seat(self, trace, behaviour, habits)
        await self.connection.follow(self.seat.stream)
        return self.seat

    def leave_seat(self) -> None:
        """Stop following the game."""
        if self.seat is not None:
            self.connection.unfollow(self.seat.stream.game_id)
            self.seat = None

    def _take_frame(self, frame: bytes) -> None:
        seat = self.seat
        if seat is None or not seat.take_known_frame(frame):
            self.connection.handle_frame(frame)


class SimulatedSeat:
    """One player in one game."""

    __slots__ = (
        "_behaviour",
        "_counters",
        "_counts",
        "_frame",
        "_habits",
        "_illegal_moves",
        "_me",
        "_noted",
        "_played_turn",
        "_player",
        "_thinking",
        "_trace",
        "paused",
        "stream",
    )

    def __init__(
        self, player: SimulatedPlayer, trace: GameTrace, behaviour: Behaviour, habits: PlayerHabits
    ) -> None:
        self._player = player
        self._counters = player.counters
        self._counts = player.counters.counts
        self._me = player.player_id
        self._trace = trace
        self._behaviour = behaviour
        self._habits = habits
        self._frame = b""  # the last one that was not known
        self._played_turn = -1
        self._illegal_moves = 0
        self._noted = 0  # the index up to which the trace was told of our progress
        self._thinking = 0
        self.paused = True
        self.stream = GameStream(
            trace.game_id,
            player.connection.track_moves(trace.game_id),
            on_event=self._take,
            on_failure=lambda error: trace.note_failure(self._me, error),
        )

    def take_known_frame(self, frame: bytes) -> bool:
        """Take a frame that another player of this game got already, unparsed.

        The bytes have all that is checked of an event: game, index, type, payload and time. So a
        frame that equals the first copy of the event that is due here is that event.
        """
        stream, trace = self.stream, self._trace
        index = stream.next_index
        place = index - trace.base
        frames = trace.frames
        if place >= len(frames) or frames[place] != frame or stream.failure is not None:
            self._frame = frame
            return False
        seen = trace.events[place]
        if seen.concerns is not None and seen.concerns != stream.seat:
            stream.next_index = index + 1
            self._counts["deliveries"] += 1
        else:
            stream.count_event(seen.event, seen.payload, index)
            self._see(seen.event, seen.payload, index)
        return True

    def make_move(self, move: Json, done: Callable[[Json | ClientError, float], None]) -> None:
        """Make a move that is not the behaviour's."""
        self.stream.moves.send_move(move, done)

    def begin_playing(self) -> None:
        """Play from now on."""
        self.paused = False
        self.play_due()

    def play_due(self) -> None:
        """Play what there is to play now."""
        habits, behaviour, moves = self._habits, self._behaviour, self.stream.moves
        while behaviour.turn != self._played_turn:
            busy = len(moves.under_way) + self._thinking >= habits.window
            if busy or self.paused or self.stream.completed:
                return
            turn = behaviour.turn
            move = behaviour.choose_move()
            if move is None:
                return
            self._played_turn = turn
            if habits.think_s:
                self._think(move, habits.think_s)
            else:
                self._play(move)

    def _take(self, message: Json) -> None:
        seen = self._trace.take_event(self._me, message, self._frame)
        self._see(seen.event, seen.payload, message["event_index"])

    def _see(self, event: str, payload: Json, index: int) -> None:
        self._counts["deliveries"] += 1
        self._behaviour.on_event(event, payload)
        if event == GAME_COMPLETED:
            self._trace.note_progress(self._me, index)
            return
        if index >= self._noted + PROGRESS_EVERY:
            self._noted = index
            self._trace.note_progress(self._me, index)
        self.play_due()

    def _think(self, move: Json, think_s: float) -> None:
        self._thinking += 1
        pause_s = self._player.chance.uniform(0, think_s)
        asyncio.get_running_loop().call_later(pause_s, self._thought, move)

    def _thought(self, move: Json) -> None:
        self._thinking -= 1
        self._play(move)

    def _play(self, move: Json) -> None:
        misplays = self._habits.misplays
        if (
            misplays
            and self._illegal_moves < ILLEGAL_MOVES_MAX
            and self._player.chance.random() < misplays
        ):
            self._illegal_moves += 1
            self.make_move(
                self._behaviour.make_illegal_move(), partial(self._illegal_move_answered, move)
            )
        else:
            self.stream.moves.send_move(move, self._answered)

    def _answered(self, reply: Json | ClientError, waited_s: float) -> None:
        if isinstance(reply, ClientError):
            return  # the following has failed, and said so
        if reply["type"] == "ok":
            self._counts["moves"] += 1
            self._counters.latency.record(waited_s)
        else:
            self._counters.refusals[reply["code"]] += 1
            if reply["code"] != _TOO_LATE:
                self._trace.note_fault(
                    LEGAL, f"game {self._trace.game_id}: {self._me}: {reply['message']}"
                )
        self.play_due()

    def _illegal_move_answered(self, move: Json, reply: Json | ClientError, _: float) -> None:
        if isinstance(reply, ClientError):
            return
        if reply["type"] == "ok":
            self._trace.note_fault(
                LEGAL, f"game {self._trace.game_id}: took a move that is not legal"
            )
            return
        self._counters.refusals[reply["code"]] += 1
        self._trace.checks.note_check(LEGAL, None)
        self.make_move(move, self._answered)


class LegalMovesSeat(SimulatedSeat):
    """One player in one game whose rules it does not know: it asks for its legal moves."""

    __slots__ = ("_asking",)

    _behaviour: GenericBehaviour

    def __init__(
        self, player: SimulatedPlayer, trace: GameTrace, behaviour: Behaviour, habits: PlayerHabits
    ) -> None:
        super().__init__(player, trace, behaviour, habits)
        self._asking = False

    def play_due(self) -> None:
        """Ask once nothing else is under way, then play."""
        if self._behaviour.moves is not None:
            super().play_due()
        elif not (self._asking or self.paused or self.stream.completed):
            self._asking = True
            self._player.connection.request_snapshot(self.stream.game_id, self._shown)

    def _shown(self, reply: Json | ClientError) -> None:
        self._asking = False
        if isinstance(reply, ClientError):  # asked again once the connection is back
            asyncio.get_running_loop().call_later(ASK_AGAIN_S, self.play_due)
        elif reply["type"] == "error":
            self._trace.note_fault(LEGAL, f"game {self._trace.game_id}: {reply['message']}")
        elif reply["view"]["legal_moves"] is None and reply["status"] != "completed":
            self._trace.note_fault(LEGAL, UNLISTED)
        elif reply["head"] < self.stream.next_index:
            self._take_moves(reply)
        # Else events are on their way, and asking again is up to the next of them.

    def _take_moves(self, reply: Json) -> None:
        if reply["head"] == self.stream.next_index - 1:
            self._behaviour.moves = reply["view"]["legal_moves"] or []
        self.play_due()

    def _answered(self, reply: Json | ClientError, waited_s: float) -> None:
        # What was legal when it was asked for may not be when it arrives, if others move too.
        was_overtaken = self._behaviour.turn != self._played_turn
        if was_overtaken and not isinstance(reply, ClientError) and reply["type"] != "ok":
            self._counters.refusals[reply["code"]] += 1
            self.play_due()
        else:
            super()._answered(reply, waited_s)


def _ignore(_: Json) -> None:
    """Drop updates: a group knows its lobby from the replies."""


# ---------------------------------------------------------------------- many players


AT_ONCE: Final = 16


async def hide_from_boards(http: HttpClient, account: Account) -> None:
    """Keep a simulated player off the server's leaderboards; older servers have no such address."""
    try:
        await http.request(
            "PUT", "/v1/me/board-listing", token=account.token, body={"is_listed": False}
        )
    except RequestRefused as refused:
        if refused.code != "not_found":
            raise


async def sign_in_guests(
    http: HttpClient, count: int, *, on_count: Callable[[int], None]
) -> list[Account]:
    """Make guests, some at once; `came` is called with how many there are."""
    turnstile = asyncio.Semaphore(AT_ONCE)
    accounts: list[Account] = []

    async def one(number: int) -> None:
        async with turnstile:
            account = await Account.sign_in_as_guest(http, f"Player {number}")
            await hide_from_boards(http, account)
            accounts.append(account)
            on_count(len(accounts))

    async with asyncio.TaskGroup() as tasks:
        for number in range(1, count + 1):
            tasks.create_task(one(number))
    return accounts


@asynccontextmanager
async def connected_players(
    http: HttpClient, accounts: list[Account], *, counters: Counters, chance: Random
) -> AsyncIterator[list[SimulatedPlayer]]:
    """Connect players for a block; when it ends, all have gone."""
    players = [
        SimulatedPlayer(http.socket_url, account, counters=counters, chance=Random(chance.random()))  # noqa: S311 - play
        for account in accounts
    ]
    try:
        async with asyncio.TaskGroup() as tasks:
            for start in range(0, len(players), AT_ONCE):
                group = players[start : start + AT_ONCE]
                for player in group:
                    tasks.create_task(player.run())
                for player in group:
                    await player.connection.wait_until_ready()
            try:
                yield players
            finally:
                for player in players:
                    player.connection.close()
    finally:
        counters.counts["reconnects"] += sum(player.connection.reconnects for player in players)
