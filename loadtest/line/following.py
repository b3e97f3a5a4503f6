"""One game as one player follows it: which index comes next, and which moves are under way."""

from collections.abc import Callable
from typing import Final

from loadtest.line.errors import ClientError, OutOfOrder
from loadtest.line.moves import Moves
from protocol.game import Json

GAME_COMPLETED: Final = "game_completed"
INVALID_ACTION: Final = "invalid_action"
# The key, in an event's payload, of the command that caused it: [seat, cmd_no].
_CMD: Final = "_cmd"


class Following:
    """A game's stream at one index.

    `on_event` gets every event once, in order; `on_failure` gets the error that ended it.
    """

    __slots__ = (
        "as_player",
        "completed",
        "failure",
        "game_id",
        "moves",
        "next_index",
        "on_event",
        "on_failure",
        "paused",
        "seat",
    )

    def __init__(
        self,
        game_id: str,
        moves: Moves,
        *,
        on_event: Callable[[Json], None],
        on_failure: Callable[[ClientError], None],
        as_player: bool = True,
    ) -> None:
        self.game_id = game_id
        self.moves = moves
        self.as_player = as_player
        self.next_index = 0
        self.seat: int | None = None
        self.completed = False
        self.paused = False  # what arrives is dropped, until the stream is taken up again
        self.failure: ClientError | None = None
        self.on_event = on_event
        self.on_failure = on_failure

    def take(self, message: Json) -> None:
        """Take the next event; anything else ends the following."""
        if self.paused or self.failure is not None:
            return
        index = message["event_index"]
        if index != self.next_index:
            what = "repeated" if index < self.next_index else "missing"
            self.fail(
                OutOfOrder(
                    f"game {self.game_id}: event {self.next_index} was due, {index} came ({what})"
                )
            )
            return
        self.advance(message["event"], message["payload"], index)
        self.on_event(message)

    def advance(self, event: str, payload: Json | None, index: int) -> None:
        """Count one event in; notes what it says about this player's own moves."""
        self.next_index = index + 1
        if event == GAME_COMPLETED:
            self.completed = True
        if payload is None or not self.moves.under_way:
            return
        cause = payload.get(_CMD)
        if cause is not None and cause[0] == self.seat:
            refusal = None
            if event == INVALID_ACTION:
                refusal = {"code": payload["code"], "message": payload["message"], "retry": False}
            self.moves.logged(cause[1], index, refusal)

    def fail(self, error: ClientError) -> None:
        """End the following; nothing more is taken."""
        if self.failure is None:
            self.failure = error
            self.moves.give_up(error)
            self.on_failure(error)
