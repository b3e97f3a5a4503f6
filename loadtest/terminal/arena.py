"""The arena in a terminal: its field as characters, and keys as moves. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from playhall import Json

# A cell of a terminal is about twice as high as it is wide.
CELL_WIDTHS: Final = 2
ROWS_BESIDE: Final = 6  # the frame, the scores, the help, and a spare one
ROWS_MIN: Final = 6
COLUMNS_MIN: Final = 20
_STYLES: Final = ("cyan", "magenta", "yellow", "blue", "red", "green", "bright_cyan", "white")

_DIRECTIONS: Final[Mapping[str, tuple[int, int]]] = {
    **dict.fromkeys(("up", "w"), (0, -1)),
    **dict.fromkeys(("down", "s"), (0, 1)),
    **dict.fromkeys(("left", "a"), (-1, 0)),
    **dict.fromkeys(("right", "d"), (1, 0)),
    "q": (-1, -1),
    "e": (1, -1),
    "z": (-1, 1),
    "c": (1, 1),
    "x": (0, 0),
}


_HELP: Final = Text(
    "Arrows or WASD steer, QEZC diagonally, X stops, space dashes, ? rules, Ctrl+D leaves.",
    "dim",
    no_wrap=True,
    overflow="ellipsis",
)


class ArenaScreen:
    """The field as one player sees it, `@`; the others are numbered by their seats, from 1."""

    def __init__(self, seat: int, names: Sequence[str]) -> None:
        self._seat = seat
        self._names = names

    def read_key(self, key: str) -> Json | None:
        """Read a key as a move; None for a key that means nothing."""
        if key == " ":
            return {"type": "dash"}
        direction = _DIRECTIONS.get(key.lower())
        return None if direction is None else _steer(direction)

    def choose_move(self, view: Json) -> Json | None:
        """Choose a move for a player who lets the program play: to the nearest gem."""
        own = view["runners"].get(str(self._seat))
        if own is None or not view["gems"]:
            return None
        here = (own["x"], own["y"])
        gem = min(view["gems"].values(), key=lambda at: _distance(at, here))
        return _steer((_sign(gem[0] - here[0]), _sign(gem[1] - here[1])))

    def draw(self, view: Json, *, columns: int, rows: int) -> RenderableType:
        """Draw the field as large as it fits, with the scores above and the keys below."""
        height = max(ROWS_MIN, min(rows - ROWS_BESIDE, (columns - 2) // CELL_WIDTHS))
        width = max(COLUMNS_MIN, min(columns - 2, height * CELL_WIDTHS))
        cells: dict[tuple[int, int], tuple[str, str]] = {}
        for gem in view["gems"].values():
            cells[_cell(gem, view["field"], width, height)] = ("*", "bold yellow")
        for seat, runner in sorted(view["runners"].items(), key=lambda item: item[0] == self._key):
            spot = _cell((runner["x"], runner["y"]), view["field"], width, height)
            cells[spot] = (self._mark(seat), self._style(seat, runner))
        return Group(self._scores(view), *_framed(cells, width, height), _HELP)

    @property
    def _key(self) -> str:
        return str(self._seat)

    def _mark(self, seat: str) -> str:
        return "@" if seat == self._key else str(int(seat) + 1)

    def _style(self, seat: str, runner: Json) -> str:
        colour = "bold green" if seat == self._key else _STYLES[int(seat) % len(_STYLES)]
        state = "reverse" if runner["dashing"] else "dim strike" if runner["stunned"] else ""
        return f"{colour} {state}".strip()

    def _scores(self, view: Json) -> Text:
        left = view["left_s"]
        line = Text(f"{left // 60}:{left % 60:02}", "bold", no_wrap=True, overflow="ellipsis")
        for seat, runner in sorted(view["runners"].items()):
            name = "You" if seat == self._key else self._names[int(seat)]
            line.append("  ").append(f"{self._mark(seat)} {name} ", self._style(seat, runner))
            line.append(str(runner["gems"]))
        return line


def _framed(
    cells: Mapping[tuple[int, int], tuple[str, str]], width: int, height: int
) -> list[Text]:
    edge = Text(f"+{'-' * width}+", "dim")
    lines = [edge]
    for row in range(height):
        line = Text("|", "dim")
        for column in range(width):
            line.append(*cells.get((column, row), (" ", "")))
        lines.append(line.append("|", "dim"))
    return [*lines, edge]


def _cell(at: Sequence[int], field: int, width: int, height: int) -> tuple[int, int]:
    """Say in which cell a spot of the field is drawn."""
    return at[0] * (width - 1) // field, at[1] * (height - 1) // field


def _steer(direction: tuple[int, int]) -> Json:
    return {"type": "steer", "x": direction[0], "y": direction[1]}


def _distance(one: Sequence[int], other: Sequence[int]) -> int:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
