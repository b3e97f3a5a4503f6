"""Players who play together: through a lobby into a game, to its end, and again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtest.measure import Checks
from loadtest.players.kind import RulesetPlayer
from loadtest.simulation.player import PlayerHabits, SimulatedPlayer, SimulatedSeat
from loadtest.simulation.trace import ORDER, FinishedGame, GameTrace
from playhall import Json
from playhall.errors import ConnectionLost, RequestRefused
from playhall.http import full_jitter_pause_s

# A game in which nothing happens for so long is given up, and counts as a failed check.
STALL_S: Final = 60.0
TRIES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class MatchSetup:
    """What is played, and how."""

    kind: RulesetPlayer
    habits: PlayerHabits = field(default_factory=PlayerHabits)
    config: Json = field(default_factory=dict)


class PlayerGroup:
    """Some players and the games that they play, one after the other; the first is the host."""

    def __init__(
        self, players: Sequence[SimulatedPlayer], setup: MatchSetup, checks: Checks
    ) -> None:
        self.players = players
        self.seats: list[SimulatedSeat] = []
        self._setup = setup
        self._checks = checks

    async def play_game(self) -> FinishedGame | None:
        """Play one game to its end; None if it went wrong, which the checks then say."""
        trace = await self.start_game()
        self.begin_playing()
        return await self.wait_for_end(trace)

    async def start_game(self, *, is_audited: bool = True) -> GameTrace:
        """Open a lobby, start the game, and let everybody follow it; nobody moves yet.

        A game that is not to be audited when it is over costs less to watch.
        """
        game_id = await self._start()
        players = [player.player_id for player in self.players]
        kind, checks = self._setup.kind, self._checks
        trace = GameTrace(kind, game_id, players, checks, is_audited=is_audited)
        self.seats = [
            await player.take_seat(trace, kind, self._setup.habits) for player in self.players
        ]
        return trace

    def begin_playing(self) -> None:
        """Let everybody play."""
        for seat in self.seats:
            seat.begin_playing()

    def pause_playing(self) -> None:
        """Let nobody move any more."""
        for seat in self.seats:
            seat.paused = True

    async def wait_for_end(self, trace: GameTrace) -> FinishedGame | None:
        """Wait for the game's end, and check its result."""
        try:
            await wait_until_done(trace)
        finally:
            for player in self.players:
                player.leave_seat()
        if trace.went_wrong:
            return None
        self.players[0].counters.counts["games"] += 1
        return trace.finish(self.players[0].account.token)

    async def stop_game(self) -> None:
        """End a game that does not end by itself: once all have paused, the host ends it."""
        for seat in self.seats:
            await _until_answered(seat)
        self.seats[0].make_move({"type": "end"}, lambda _, __: None)

    async def _start(self) -> str:
        """Give the game's id; a lobby that came to nothing is followed by another."""
        for attempt in range(TRIES_MAX - 1):
            try:
                return await self._start_once()
            except ConnectionLost:
                await self.players[0].connection.wait_until_ready()
            except RequestRefused as refused:
                if not refused.retry:
                    raise
            await asyncio.sleep(full_jitter_pause_s(attempt))
        return await self._start_once()

    async def _start_once(self) -> str:
        host, *others = [player.connection for player in self.players]
        setup = self._setup
        opened = await host.call(
            "lobby.create",
            ruleset=setup.kind.ruleset,
            seats=len(self.players),
            config=setup.config,
            is_public=False,
        )
        lobby = opened["lobby"]
        for connection in others:
            await connection.call("lobby.join", code=lobby["join_code"])
            await connection.call("lobby.ready", lobby_id=lobby["lobby_id"])
        started = await host.call("lobby.start", lobby_id=lobby["lobby_id"])
        return str(started["lobby"]["game_id"])


async def wait_until_done(trace: GameTrace) -> None:
    """Wait until everybody saw the end of a game, or nothing has come for a long time."""
    while not trace.done.is_set():
        head = trace.head
        try:
            await asyncio.wait_for(trace.done.wait(), STALL_S)
        except TimeoutError:
            if trace.head == head:
                trace.note_fault(
                    ORDER, f"game {trace.game_id}: nothing came after event {head} for {STALL_S} s"
                )


async def _until_answered(seat: SimulatedSeat) -> None:
    async with asyncio.timeout(STALL_S):
        while seat.stream.moves.under_way:  # noqa: ASYNC110 - the answers have no event
            await asyncio.sleep(0.01)
