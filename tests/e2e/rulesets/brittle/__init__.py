"""A ruleset that fails wherever it is asked to: a move names the method that fails after it.

Never served but by tests, from a scratch folder.
"""

import asyncio
import sys
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from server.gamekit.chance import Chance
from server.gamekit.contract import (
    Event,
    IllegalMove,
    Outcome,
    Payload,
    Ruleset,
    RulesetConfig,
    Setup,
    Standing,
    Turn,
    Viewer,
)

EXITS: Final[dict[str, BaseException]] = {
    "exit": SystemExit(3),
    "interrupt": KeyboardInterrupt(),
    "cancel": asyncio.CancelledError(),
}


class Config(RulesetConfig):
    """`fails_in` is a method that fails from the start; without a time-out there are no turns."""

    fails_in: str = ""
    turn_timeout_s: float | None = None


@dataclass
class State:
    """What was moved last, and by how many moves."""

    config: Config
    players: tuple[str, ...]
    last: str = ""
    moves: int = 0


def broken(_: Payload, __: Chance) -> Payload:
    """Fail, as a bot."""
    raise RuntimeError("this bot is broken")


def leaving(_: Payload, __: Chance) -> Payload:
    """Exit, as a bot."""
    sys.exit(3)


class Brittle(Ruleset[State, Payload]):
    """Fails in the method that the last move named."""

    name, title, config = "brittle", "Brittle", Config
    seats: ClassVar[range] = range(1, 4)
    bots: ClassVar[dict[str, Any]] = {"broken": broken, "leaving": leaving}

    def initial(self, setup: Setup) -> State:
        """Begin."""
        assert isinstance(setup.config, Config)
        _fail_in("initial", setup.config.fails_in)
        return State(setup.config, tuple(setup.players))

    def setup(self, state: State) -> list[Event]:
        """Give no event."""
        _fail_in("setup", state.config.fails_in)
        return []

    def parse(self, raw: Payload) -> Payload:
        """Take any object with a type."""
        _fail_in("parse", raw.get("type"))
        if "type" not in raw:
            raise IllegalMove("unknown_move", "Send a type.")
        return raw

    def decide(self, state: State, seat: int, move: Payload) -> list[Event]:
        """Log what was moved, or give something else than events."""
        kind = move["type"]
        _fail_in("decide", kind)
        if kind == "no event":
            return []
        if kind == "no list":
            return None  # type: ignore[return-value]  # on purpose
        if kind == "no JSON":
            return [Event("moved", {"what": {1, 2}, "_v": 1})]
        if kind == "no number":
            return [Event("moved", {"what": [float("nan")], "_v": 1})]
        if kind == "event of the table":
            return [Event("game_completed", {"_v": 1})]
        if kind in EXITS:
            raise EXITS[kind]
        return [Event("moved", {"player_id": state.players[seat], "what": kind, "_v": 1})]

    def evolve(self, state: State, event: Event) -> None:
        """Fold a move."""
        if event.type == "moved":
            state.last = event.payload["what"]
            state.moves += 1
            _fail_in("evolve", state.last)

    def redact(self, event: Event, viewer: Viewer) -> Payload | None:
        """Hide nothing, or fail for everybody but seat 0."""
        what = event.payload.get("what")
        if viewer != 0:
            _fail_in("redact", what)
            if what == "redact into no JSON":
                return {"what": {1, 2}}
        return event.payload

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Show how many moves there were."""
        _fail_in("view", state.last)
        moves: Any = {1, 2} if state.last == "view of no JSON" else state.moves
        return {"seat": viewer, "moves": moves, "legal_moves": None}

    def to_act(self, state: State) -> Turn | None:
        """Let seat 0 act, or one that there is not."""
        _fail_in("to_act", state.last)
        if state.last == "turn of nobody":
            return Turn((99,), state.moves, 1.0)
        timeout_s = state.config.turn_timeout_s
        return None if timeout_s is None else Turn((0,), state.moves, timeout_s)

    def timeout_move(self, state: State, seat: int) -> Payload:
        """Move, or fail."""
        _fail_in("timeout_move", state.config.fails_in)
        if state.config.fails_in == "timeout move that is illegal":
            return {}
        return {"type": "end" if state.moves == 3 else "timed out"}

    def outcome(self, state: State) -> Outcome | None:
        """End the game, perhaps with a result that cannot be stored."""
        _fail_in("outcome", state.last)
        seats = range(len(state.players))
        if state.last == "outcome that is too large":
            return Outcome(tuple(Standing(seat, 2**40, is_winner=False) for seat in seats))
        if state.last == "outcome of no JSON":
            standings = tuple(Standing(seat, 0, is_winner=False) for seat in seats)
            return Outcome(standings, [{"round": {1, 2}}])
        if state.last == "outcome without a seat":
            return Outcome(())
        if state.last != "end":
            return None
        return Outcome(tuple(Standing(seat, 0, is_winner=False) for seat in seats))


def _fail_in(method: str, asked: object) -> None:
    if asked == method:
        raise ZeroDivisionError("brittle as ever \0 \ud800")
    if asked == f"exit in {method}":
        sys.exit(3)


RULESET = Brittle()
