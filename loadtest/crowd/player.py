"""One simulated player: a connection, and the game that it plays on it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

from loadtest.crowd.record import LEGAL, Record
from loadtest.line.account import Account
from loadtest.line.errors import ClientError
from loadtest.line.following import GAME_COMPLETED, Following
from loadtest.line.link import Link
from loadtest.line.wires import dial_picows
from loadtest.measure.tally import Tally
from loadtest.players.anything import AnyBehaviour
from loadtest.players.kind import Behaviour, Kind
from protocol.game import Json

# Fewer than the server writes into a game's log for one player.
MISPLAYS_MAX: Final = 50

ASK_AGAIN_S: Final = 0.2
UNLISTED: Final = (
    "The ruleset does not list legal moves, so it needs a player of its own in loadtest/players."
)

# The game ended before the move arrived: nobody's fault.
_TOO_LATE: Final = "game_over"


@dataclass(frozen=True, slots=True)
class Habits:
    """How a player plays.

    `think_s` is the most time it takes over a move, `misplays` the share of moves that it
    gets wrong first, `window` how many moves it has under way at once.
    """

    think_s: float = 0.0
    misplays: float = 0.0
    window: int = 1


class Player:
    """A simulated player on a connection of its own."""

    def __init__(self, url: str, account: Account, *, tally: Tally, chance: Random) -> None:
        self.account = account
        self.tally = tally
        self.chance = chance
        self.sitting: Sitting | None = None
        self.link = Link(
            url, account, dial=dial_picows, on_update=_ignore, on_frame=self._take_frame
        )

    @property
    def player_id(self) -> str:
        """Who this is, once the link is up."""
        return str(self.link.welcome["player_id"])

    async def run(self) -> None:
        """Keep the connection up."""
        await self.link.run()

    async def sit(self, record: Record, kind: Kind, habits: Habits) -> "Sitting":
        """Follow a game from its first event on, and play in it."""
        behaviour = kind.behaviour(self.player_id, self.chance)
        sitting = AskingSitting if kind.asks else Sitting
        self.sitting = sitting(self, record, behaviour, habits)
        await self.link.follow(self.sitting.following)
        return self.sitting

    def rise(self) -> None:
        """Leave the game be."""
        if self.sitting is not None:
            self.link.unfollow(self.sitting.following.game_id)
            self.sitting = None

    def _take_frame(self, frame: bytes) -> None:
        sitting = self.sitting
        if sitting is None or not sitting.recognise(frame):
            self.link.receive(frame)


class Sitting:
    """One player in one game."""

    __slots__ = (
        "_behaviour",
        "_frame",
        "_habits",
        "_me",
        "_misplayed",
        "_played_turn",
        "_player",
        "_record",
        "_tally",
        "_thinking",
        "following",
        "resting",
    )

    def __init__(
        self, player: Player, record: Record, behaviour: Behaviour, habits: Habits
    ) -> None:
        self._player = player
        self._tally = player.tally
        self._me = player.player_id
        self._record = record
        self._behaviour = behaviour
        self._habits = habits
        self._frame = b""
        self._played_turn = -1
        self._misplayed = 0
        self._thinking = 0
        self.resting = True
        self.following = Following(
            record.game_id,
            player.link.moves_of(record.game_id),
            on_event=self._take,
            on_failure=lambda error: record.fail(self._me, error),
        )

    def recognise(self, frame: bytes) -> bool:
        """Take a frame that another player of this game got already, unparsed."""
        following = self.following
        index = following.next_index
        seen = self._record.known(index, frame)
        if seen is None or following.failure is not None:
            self._frame = frame
            return False
        following.advance(seen.event, seen.payload, index)
        self._see(seen.event, seen.payload, index)
        return True

    def make(self, move: Json, done: Callable[[Json | ClientError, float], None]) -> None:
        """Make a move that is not the behaviour's."""
        self.following.moves.make(move, done)

    def begin(self) -> None:
        """Play from now on."""
        self.resting = False
        self.go_on()

    def go_on(self) -> None:
        """Play what there is to play now."""
        habits, behaviour, moves = self._habits, self._behaviour, self.following.moves
        while behaviour.turn != self._played_turn:
            busy = len(moves.under_way) + self._thinking >= habits.window
            if busy or self.resting or self.following.completed:
                return
            turn = behaviour.turn
            move = behaviour.choose()
            if move is None:
                return
            self._played_turn = turn
            self._think(move)

    def _take(self, message: Json) -> None:
        seen = self._record.take(self._me, message, self._frame)
        self._see(seen.event, seen.payload, message["event_index"])

    def _see(self, event: str, payload: Json, index: int) -> None:
        self._tally.counts["deliveries"] += 1
        self._behaviour.see(event, payload)
        self._record.reached(self._me, index)
        if event != GAME_COMPLETED:
            self.go_on()

    def _think(self, move: Json) -> None:
        wait_s = self._habits.think_s
        if wait_s:
            self._thinking += 1
            pause_s = self._player.chance.uniform(0, wait_s)
            asyncio.get_running_loop().call_later(pause_s, self._thought, move)
        else:
            self._play(move)

    def _thought(self, move: Json) -> None:
        self._thinking -= 1
        self._play(move)

    def _play(self, move: Json) -> None:
        if self._misplayed < MISPLAYS_MAX and self._player.chance.random() < self._habits.misplays:
            self._misplayed += 1
            self.make(self._behaviour.misplay(), partial(self._misplay_answered, move))
        else:
            self.make(move, self._answered)

    def _answered(self, reply: Json | ClientError, waited_s: float) -> None:
        if isinstance(reply, ClientError):
            return  # the following has failed, and said so
        if reply["type"] == "ok":
            self._tally.counts["moves"] += 1
            self._tally.latency.record(waited_s)
        else:
            self._tally.refusals[reply["code"]] += 1
            if reply["code"] != _TOO_LATE:
                self._record.wrong(
                    LEGAL, f"game {self._record.game_id}: {self._me}: {reply['message']}"
                )
        self.go_on()

    def _misplay_answered(self, move: Json, reply: Json | ClientError, _: float) -> None:
        if isinstance(reply, ClientError):
            return
        if reply["type"] == "ok":
            self._record.wrong(LEGAL, f"game {self._record.game_id}: took a move that is not legal")
            return
        self._tally.refusals[reply["code"]] += 1
        self._record.checks.note(LEGAL, None)
        self.make(move, self._answered)


class AskingSitting(Sitting):
    """One player in one game whose rules it does not know: it asks for its legal moves."""

    __slots__ = ("_asking",)

    _behaviour: AnyBehaviour

    def __init__(
        self, player: Player, record: Record, behaviour: Behaviour, habits: Habits
    ) -> None:
        super().__init__(player, record, behaviour, habits)
        self._asking = False

    def go_on(self) -> None:
        """Ask once nothing else is under way, then play."""
        if self._behaviour.moves is not None:
            super().go_on()
        elif not (self._asking or self.resting or self.following.completed):
            self._asking = True
            self._player.link.look(self.following.game_id, self._shown)

    def _shown(self, reply: Json | ClientError) -> None:
        self._asking = False
        if isinstance(reply, ClientError):  # asked again once the connection is back
            asyncio.get_running_loop().call_later(ASK_AGAIN_S, self.go_on)
        elif reply["type"] == "error":
            self._record.wrong(LEGAL, f"game {self._record.game_id}: {reply['message']}")
        elif reply["view"]["legal_moves"] is None and reply["status"] != "completed":
            self._record.wrong(LEGAL, UNLISTED)
        elif reply["head"] < self.following.next_index:
            self._take_moves(reply)
        # Else events are on their way, and asking again is up to the next of them.

    def _take_moves(self, reply: Json) -> None:
        if reply["head"] == self.following.next_index - 1:
            self._behaviour.moves = reply["view"]["legal_moves"] or []
        self.go_on()

    def _answered(self, reply: Json | ClientError, waited_s: float) -> None:
        # What was legal when it was asked for may not be when it arrives, if others move too.
        was_overtaken = self._behaviour.turn != self._played_turn
        if was_overtaken and not isinstance(reply, ClientError) and reply["type"] != "ok":
            self._tally.refusals[reply["code"]] += 1
            self.go_on()
        else:
            super()._answered(reply, waited_s)


def _ignore(_: Json) -> None:
    """Let updates go: a room knows its lobby from the replies."""
