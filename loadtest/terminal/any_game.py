"""The screen of a game of which nothing is known here: its view as it is, and a list of moves."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from loadtest.terminal.screens import Screen, UnclearInput
from playhall import Json
from playhall.game import INVALID_ACTION

LINE_CHARS_MAX: Final = 400
RULES_CHARS_MAX: Final = 4000
MOVES_SHOWN_MAX: Final = 30
# A value that fits on a line of this length is written in one; others are laid out, so deep.
INLINE_CHARS_MAX: Final = 60
DEPTH_MAX: Final = 3
ROWS_MAX: Final = 24


class GenericScreen(Screen):
    """Every field of the view in a line; a move is typed as its number, or as JSON."""

    moves: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, me: str, names: Mapping[str, str], *, title: str) -> None:
        super().__init__(me, names)
        self.title = title

    def describe_move(self, event: str, payload: Json) -> str:
        """Say which event a move was."""
        return event

    def describe_event(self, event: str, payload: Json) -> Text | None:
        """Show an event's fields."""
        if event == INVALID_ACTION:
            return None
        fields = {key: value for key, value in payload.items() if not key.startswith("_")}
        return Text(f"{strip_control_characters(event)}  ", "dim").append_text(
            self._written(fields)
        )

    def show_view(self, view: Json) -> RenderableType:
        """Show every field but the moves, and then the moves with their numbers."""
        fields, moves = Table.grid(padding=(0, 2)), Table.grid(padding=(0, 2))
        for key, value in view.items():
            if key != "legal_moves":
                fields.add_row(Text(strip_control_characters(key), "cyan"), self._laid_out(value))
        for number, move in enumerate(view["legal_moves"][:MOVES_SHOWN_MAX], 1):
            moves.add_row(Text(str(number), "bold"), self._written(move))
        return Group(fields, moves)

    def prompt_text(self, view: Json) -> str:
        """Ask for a move."""
        return f"Your move? (1 to {len(view['legal_moves'])}, or JSON) "

    def read_move(self, line: str, view: Json) -> Json:
        """Read the number of a move, or a move as JSON."""
        moves: list[Json] = view["legal_moves"]
        try:
            typed = json.loads(line)
        except ValueError:
            typed = None
        if isinstance(typed, dict):
            return typed
        if type(typed) is int and 1 <= typed <= len(moves):
            return moves[typed - 1]
        raise UnclearInput(f"Type a move: its number, from 1 to {len(moves)}, or a JSON object.")

    def _laid_out(self, value: Any, depth: int = 0) -> RenderableType:
        """Show an object as rows, a list of lists or objects one below the other."""
        text = self._written(value)
        is_nested = isinstance(value, dict | list) and depth < DEPTH_MAX
        if not is_nested or not value or len(text) <= INLINE_CHARS_MAX:
            return text
        items = value.items() if isinstance(value, dict) else enumerate(value)
        rows = Table.grid(padding=(0, 1))
        for number, (key, each) in enumerate(items):
            if number == ROWS_MAX:
                rows.add_row("…", Text(f"{len(value) - ROWS_MAX} more", "dim"))
                break
            name = strip_control_characters(str(self._named(key)))
            rows.add_row(Text(name, "dim"), self._laid_out(each, depth + 1))
        return rows

    def _written(self, value: Any) -> Text:
        return Text(strip_control_characters(json.dumps(self._named(value), ensure_ascii=False)))

    def _named(self, value: Any) -> Any:
        """Put the names of players for their ids."""
        if isinstance(value, dict):
            return {self._named(key): self._named(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._named(each) for each in value]
        is_player = isinstance(value, str) and (value == self.me or value in self._names)
        return self.player_name(value) if is_player else value


def strip_control_characters(text: str, *, chars_max: int = LINE_CHARS_MAX) -> str:
    """Write what others wrote so that nothing moves the cursor, and that it has an end."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= chars_max else f"{shown[: chars_max - 1]}…"
