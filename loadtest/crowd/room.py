"""Players who play together: through a lobby into a game, to its end, and again."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from loadtest.crowd.player import Habits, Player, Sitting
from loadtest.crowd.record import ORDER, Finished, Record
from loadtest.line.backoff import full_jitter_s
from loadtest.line.errors import Lost, Refused
from loadtest.measure.checks import Checks
from loadtest.players.kind import Kind
from protocol.game import Json

# A game in which nothing happens for so long is given up, and counts as a failed check.
STALL_S: Final = 60.0
TRIES_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Table:
    """What is played, and how."""

    kind: Kind
    habits: Habits = field(default_factory=Habits)
    config: Json = field(default_factory=dict)


class Room:
    """Some players and the games that they play, one after the other; the first is the host."""

    def __init__(self, players: Sequence[Player], table: Table, checks: Checks) -> None:
        self.players = players
        self.sittings: list[Sitting] = []
        self._table = table
        self._checks = checks

    async def play(self) -> Finished | None:
        """Play one game to its end; None if it went wrong, which the checks then say."""
        record = await self.sit_down()
        self.begin()
        return await self.end(record)

    async def sit_down(self) -> Record:
        """Open a lobby, start the game, and let everybody follow it; nobody moves yet."""
        game_id = await self._start()
        players = [player.player_id for player in self.players]
        record = Record(self._table.kind, game_id, players, self._checks)
        self.sittings = [
            await player.sit(record, self._table.kind, self._table.habits)
            for player in self.players
        ]
        return record

    def begin(self) -> None:
        """Let everybody play."""
        for sitting in self.sittings:
            sitting.begin()

    def rest(self) -> None:
        """Let nobody move any more."""
        for sitting in self.sittings:
            sitting.resting = True

    async def end(self, record: Record) -> Finished | None:
        """Wait for the game's end, and check its result."""
        try:
            await _until_done(record)
        finally:
            for player in self.players:
                player.rise()
        if record.went_wrong:
            return None
        self.players[0].tally.counts["games"] += 1
        return record.finish(self.players[0].account.token)

    async def stop(self) -> None:
        """End a game that does not end by itself: once all rest, the host ends it."""
        for sitting in self.sittings:
            await _until_answered(sitting)
        self.sittings[0].make({"type": "end"}, lambda _, __: None)

    async def _start(self) -> str:
        """Give the game's id; a lobby that came to nothing is followed by another."""
        for attempt in range(TRIES_MAX - 1):
            try:
                return await self._start_once()
            except Lost:
                await self.players[0].link.up()
            except Refused as refused:
                if not refused.retry:
                    raise
            await asyncio.sleep(full_jitter_s(attempt))
        return await self._start_once()

    async def _start_once(self) -> str:
        host, *others = [player.link for player in self.players]
        table = self._table
        opened = await host.call(
            "lobby.create",
            ruleset=table.kind.ruleset,
            seats=len(self.players),
            config=table.config,
            is_public=False,
        )
        lobby = opened["lobby"]
        for link in others:
            await link.call("lobby.join", code=lobby["join_code"])
            await link.call("lobby.ready", lobby_id=lobby["lobby_id"])
        started = await host.call("lobby.start", lobby_id=lobby["lobby_id"])
        return str(started["lobby"]["game_id"])


async def _until_done(record: Record) -> None:
    while not record.done.is_set():
        head = record.head
        try:
            await asyncio.wait_for(record.done.wait(), STALL_S)
        except TimeoutError:
            if record.head == head:
                record.wrong(
                    ORDER, f"game {record.game_id}: nothing came after event {head} for {STALL_S} s"
                )


async def _until_answered(sitting: Sitting) -> None:
    async with asyncio.timeout(STALL_S):
        while sitting.following.moves.under_way:  # noqa: ASYNC110 - the answers have no event
            await asyncio.sleep(0.01)
