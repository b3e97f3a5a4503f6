"""What a screen is asked for."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text

from protocol.game import Json


class Unclear(Exception):
    """A typed line that makes no sense; the message says what does."""


class Screen(ABC):
    """One game, as one person at a terminal sees it. `names` gives everybody's by player id."""

    title: ClassVar[str]
    # The events that a move begins with; without a command's number the server has moved.
    moves: ClassVar[frozenset[str]]

    def __init__(self, me: str, names: Mapping[str, str]) -> None:
        self.me = me
        self._names = names

    def name(self, player_id: str) -> str:
        """Say who somebody is."""
        return "You" if player_id == self.me else self._names.get(player_id, player_id[:8])

    def tell(self, event: str, payload: Json) -> Text | None:
        """Tell an event in a line; None for those that need no words."""
        if event == "game_created":
            seated = ", ".join(self.name(seat["player_id"]) for seat in payload["players"])
            return Text(f"{self.title}: {seated}.", style="bold")
        if event in _PRESENCE:
            return Text(f"{self.name(payload['player_id'])} {_PRESENCE[event]}.", style="dim")
        if event == "game_completed":
            return self._result(payload)
        told = self.tell_move(event, payload)
        is_mine = event in self.moves and payload["player_id"] == self.me
        if is_mine and "_cmd" not in payload:
            did = self.describe_move(event, payload)
            return Text(f"Your turn timed out; the server {did}.", style="bold yellow")
        return told

    @abstractmethod
    def describe_move(self, event: str, payload: Json) -> str:
        """Say what was done by one of the `moves`: `played A♠`."""

    @abstractmethod
    def tell_move(self, event: str, payload: Json) -> Text | None:
        """Tell one of the ruleset's own events."""

    @abstractmethod
    def show(self, view: Json) -> RenderableType:
        """Show the table before this player's move."""

    @abstractmethod
    def prompt(self, view: Json) -> str:
        """Ask for a move."""

    @abstractmethod
    def read(self, line: str, view: Json) -> Json:
        """Read a typed line as a move; raise `Unclear`."""

    def _result(self, payload: Json) -> Text:
        scores = sorted(payload["final_scores"].items(), key=lambda item: -item[1])
        listed = ", ".join(f"{self.name(player)} {score}" for player, score in scores)
        winners = [self.name(player) for player in payload["winners"]]
        verdict = f"{' and '.join(winners)} won" if winners else "Nobody won"
        return Text(f"{verdict}. Final score: {listed}.", style="bold green")


_PRESENCE = {
    "player_left": "left the table",
    "player_joined": "came back to the table",
    "player_disconnected": "lost the connection",
    "player_reconnected": "is back",
    "player_became_spectator": "looks on",
    "player_marked_absent": "sits this round out",
}


def choice(line: str, *, low: int, high: int, what: str) -> int:
    """Read a number within bounds; raise `Unclear`."""
    text = line.strip()
    if text.isascii() and text.isdigit() and low <= int(text) <= high:
        return int(text)
    raise Unclear(f"Type {what}: a number from {low} to {high}.")
