"""Real-time games: the contract of a ruleset, with time that passes in ticks.

A tick takes the inputs that arrived since the last one and calls `step` once. `step` is
deterministic, so the log needs only the ticks that had inputs: folding it lets the empty ticks
between them pass again. Every other event says after which tick it happened, as `_tick`.

The server owns the rest: pace, the order of inputs, numbers and replies, bots, what each viewer is
sent and how often, recovery.
"""

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from server.gamekit.contract import Event, Move, Payload, Ruleset, State, Viewer
from server.gamekit.table import TICK

TICK_HZ_MAX: Final = 60
# An event follows the last one after so many seconds at most, because the server logs an empty
# tick when nothing else happens. A log with longer gaps is not one that it wrote.
SILENCE_S_MAX: Final = 120
# A real-time game that is longer does not end.
GAME_S_MAX: Final = 4 * 3600


class PlayerInput(NamedTuple):
    """What a seat did in a tick: its move, as `parse` gave it."""

    seat: int
    move: Any


class RealtimeRuleset(Ruleset[State, Move]):
    """The rules of a real-time game.

    As in any ruleset, `parse` reads what players send, `evolve` folds the table's events
    (`player_left`, …), `view` draws and `outcome` ends the game. `step` takes the place of
    `decide`: an input is not refused for what the state is, it just has no effect.

    - `view` gives fresh values each time, as the server compares them with the next ones. An
      object without a key means the same as one that has None there.
    - `view` needs no `legal_moves`.
    - Bots are asked at `patch_hz`, and give a raw move or None.
    """

    # How often `step` is called, and how often viewers are sent what has changed.
    tick_hz: ClassVar[int] = 20
    patch_hz: ClassVar[int] = 10

    @abstractmethod
    def step(self, state: State, inputs: Sequence[PlayerInput]) -> None:
        """Let one tick pass: the only mutator beside `evolve`.

        The inputs are in the order in which they arrived; a seat may have several, or none.
        """

    def viewpoint(self, state: State, viewer: Viewer) -> Hashable:
        """Say from where a viewer looks: those with equal viewpoints have the same view.

        Their view is drawn, compared and encoded once. Return None for everybody if nothing is
        hidden.
        """
        return viewer

    def setup(self, state: State) -> list[Event]:
        """Begin with the first tick; nothing else happens."""
        return []

    def decide(self, state: State, seat: int, move: Move) -> list[Event]:
        """Refuse to be called: inputs are folded by `step`."""
        raise NotImplementedError(f"{self.name} is played in real time; its moves are inputs")

    def redact(self, event: Event, viewer: Viewer) -> Payload | None:
        """Show a viewer only their own inputs while the game runs."""
        if event.type != TICK:
            return event.payload
        own = [each for each in event.payload["inputs"] if each[0] == viewer]
        return {**event.payload, "inputs": own}


def tick_event(inputs: Sequence[tuple[int, int | None, Payload]]) -> Event:
    """Make the event of a tick: for each input its seat, its command number, and the move."""
    return Event(TICK, {"inputs": [list(each) for each in inputs], "_v": 1})
