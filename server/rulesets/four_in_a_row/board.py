"""The board: seven columns of up to six discs, each the number of the seat it belongs to."""

from collections.abc import Sequence
from typing import Final, TypeAlias

COLUMNS: Final = 7
ROWS: Final = 6
IN_A_ROW: Final = 4

# Columns from left to right, each from the bottom up.
Board: TypeAlias = Sequence[Sequence[int]]
Cell: TypeAlias = tuple[int, int]  # column, row

_DIRECTIONS: Final = ((1, 0), (0, 1), (1, 1), (1, -1))


def open_columns(board: Board) -> list[int]:
    """List the columns that are not full, from the left."""
    return [column for column in range(COLUMNS) if len(board[column]) < ROWS]


def line_through(board: Board, column: int, seat: int) -> list[Cell]:
    """Give the cells in line, four or more, if this seat dropped a disc here; else none."""
    cell = (column, len(board[column]))
    for dx, dy in _DIRECTIONS:
        back = _run(board, cell, seat, step=(-dx, -dy))
        line = [*reversed(back), cell, *_run(board, cell, seat, step=(dx, dy))]
        if len(line) >= IN_A_ROW:
            return line
    return []


def _run(board: Board, start: Cell, seat: int, *, step: Cell) -> list[Cell]:
    """Follow this seat's discs from a cell, without the cell itself."""
    cells: list[Cell] = []
    x, y = start[0] + step[0], start[1] + step[1]
    while 0 <= x < COLUMNS and 0 <= y < len(board[x]) and board[x][y] == seat:
        cells.append((x, y))
        x, y = x + step[0], y + step[1]
    return cells
