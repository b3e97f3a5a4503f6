"""Whole games without a server: the real rules, played by the simulated players."""

from random import Random
from typing import Any, NamedTuple

import orjson

from loadtest.players import KINDS
from loadtest.players.kind import Behaviour
from protocol.ids import new_id
from server.gamekit.contract import Event, Setup
from server.gamekit.fold import GameFold, GameOrigin
from server.gamekit.table import SeatedPlayer, game_completed_event, game_created_event
from server.rulesets import find_rulesets

AT = "2026-11-20T12:00:00.000Z"


class Played(NamedTuple):
    """A finished game: its events, and as frames what each player was sent."""

    game_id: str
    players: list[str]
    events: list[Event]
    frames: dict[str, list[bytes]]


class Hall:
    """One game of the real rules, with the players that move in it."""

    def __init__(
        self, name: str, *, seed: int = 1, seats: int | None = None, **config: Any
    ) -> None:
        self.kind = KINDS[name]
        self.ruleset = find_rulesets()[name]
        self.players = [new_id() for _ in range(seats or self.kind.seats)]
        self.game_id = new_id()
        self.events: list[Event] = []
        chance = Random(seed)
        self.behaviours: list[Behaviour] = [
            self.kind.behaviour(player, Random(chance.random())) for player in self.players
        ]
        seated = [SeatedPlayer(player) for player in self.players]
        parsed = self.ruleset.config.model_validate(config)
        self._seed = f"seed {seed}"
        self.fold = GameFold(GameOrigin(self.ruleset, tuple(seated), parsed, self._seed))
        rule = self.ruleset.leavers_rank_last
        created = game_created_event(name, 1, seated, config, self._seed, leavers_rank_last=rule)
        self.take([created])
        setup = Setup(parsed, self.players, self._seed)
        self.take(self.ruleset.setup(self.ruleset.initial(setup)))

    def take(self, events: list[Event]) -> None:
        """Fold events, and show each to every player as that player may see it."""
        for event in events:
            self.events.append(event)
            self.fold.apply(event)
            for seat, behaviour in enumerate(self.behaviours):
                behaviour.on_event(event.type, self.ruleset.redact(event, seat) or {})

    def move(self, seat: int, move: dict[str, Any]) -> None:
        """Make a move; the rules raise where they refuse it."""
        events = self.ruleset.decide(self.fold.state, seat, self.ruleset.parse(move))
        self.take(events)
        outcome = self.fold.outcome()
        if outcome is not None:
            self.take([game_completed_event(self.fold.table, outcome, self._seed)])

    def play_out(self) -> Played:
        """Let the players play to the end."""
        while not self.fold.table.completed:
            moves = [(seat, each.choose_move()) for seat, each in enumerate(self.behaviours)]
            ((seat, move),) = [(seat, move) for seat, move in moves if move is not None]
            self.move(seat, move)
        frames = {
            player: [self._frame(index, event, seat) for index, event in enumerate(self.events)]
            for seat, player in enumerate(self.players)
        }
        return Played(self.game_id, self.players, self.events, frames)

    def _frame(self, index: int, event: Event, seat: int) -> bytes:
        return orjson.dumps(
            {
                "type": "game.event",
                "game_id": self.game_id,
                "event_index": index,
                "event": event.type,
                "payload": self.ruleset.redact(event, seat),
                "at": AT,
            }
        )
