"""The rules of four in a row.

disc_dropped    player_id, column, row
four_connected  player_id, cells [[column, row], …]
board_filled    the draw
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import Field

from protocol.ids import PlayerId
from server.gamekit.achievements import won
from server.gamekit.chance import Chance
from server.gamekit.contract import (
    WINS,
    Achievement,
    Bot,
    CompletedGame,
    Event,
    IllegalMove,
    Outcome,
    Payload,
    Ruleset,
    RulesetConfig,
    SeatMove,
    Setup,
    Standing,
    Statistic,
    Turn,
    Viewer,
)

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


def find_line_through(board: Board, column: int, seat: int) -> list[Cell]:
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


def random_move(view: Payload, chance: Chance) -> Payload:
    """Drop anywhere."""
    move: Payload = chance.choice(view["legal_moves"])
    return move


def win_block_centre(view: Payload, chance: Chance) -> Payload:
    """Win if that is possible, else stop the other from winning, else stay near the centre."""
    board, seat = view["board"], view["seat"]
    columns = open_columns(board)
    for player in (seat, 1 - seat):
        for column in columns:
            if find_line_through(board, column, player):
                return _drop(column)
    calm = [column for column in columns if not _opens_a_win(board, column, seat)]
    return _drop(min(chance.shuffled(calm or columns), key=_from_centre))


BOTS: Final[Mapping[str, Bot]] = {"random": random_move, "win_block_centre": win_block_centre}


def _opens_a_win(board: Board, column: int, seat: int) -> bool:
    """Say whether the other wins on top of a disc dropped here."""
    after = [[*discs, seat] if x == column else discs for x, discs in enumerate(board)]
    return column in open_columns(after) and bool(find_line_through(after, column, 1 - seat))


def _from_centre(column: int) -> int:
    return abs(column - COLUMNS // 2)


def _drop(column: int) -> Payload:
    return {"type": "drop", "column": column}


class Config(RulesetConfig):
    """How long a turn may take."""

    turn_timeout_s: Annotated[float, Field(ge=1.0, le=86_400.0)] = 60.0


@dataclass(slots=True)
class State:
    """The board, and the winner once there is one."""

    config: Config
    players: tuple[PlayerId, ...]
    board: list[list[int]] = field(default_factory=lambda: [[] for _ in range(COLUMNS)])
    drops: int = 0
    over: bool = False
    winner: int | None = None
    line: list[Cell] = field(default_factory=list)


QUICK_DISCS: Final = 6


def won_quickly(game: CompletedGame, seat: int) -> int:
    """Count a win with few discs of one's own."""
    discs = [
        event
        for event in game.events
        if event.type == "disc_dropped" and event.payload["player_id"] == game.players[seat]
    ]
    is_full = any(event.type == "four_connected" for event in game.events)
    return int(bool(won(game, seat)) and is_full and len(discs) <= QUICK_DISCS)


ACHIEVEMENTS: Final = (
    Achievement("first_win", "Four!", "Win a game.", won),
    Achievement("ten_wins", "Regular", "Win ten games.", won, points=30, steps=10),
    Achievement(
        "quick_win", "In a hurry", "Win with six discs or fewer.", won_quickly, 20, hidden=True
    ),
)


class FourInARow(Ruleset[State, int]):
    """Drop discs in turn; a move is the number of a column."""

    name = "four_in_a_row"
    title = "Four in a row"
    rules = (
        "Drop discs into columns in turn. Four of yours in a row, upright, level or diagonal, win."
    )
    seats: ClassVar[range] = range(2, 3)
    statistics = (Statistic(WINS, "sum", board=True),)
    rated = True
    config = Config
    bots = BOTS
    achievements = ACHIEVEMENTS

    def initial(self, setup: Setup) -> State:
        """Make the empty board."""
        assert isinstance(setup.config, Config)
        return State(setup.config, tuple(setup.players))

    def setup(self, state: State) -> list[Event]:
        """Begin with seat 0 to move; nothing else happens."""
        return []

    def parse(self, raw: Payload) -> int:
        """Parse `{"type": "drop", "column": 3}`."""
        match raw:
            # A bool is an int to `isinstance`, but not a column.
            case {"type": "drop", "column": int(column)} if (
                len(raw) == 2 and type(column) is int and 0 <= column < COLUMNS
            ):
                return column
        raise IllegalMove("unknown_move", 'Send {"type": "drop", "column": 3}; columns are 0 to 6.')

    def decide(self, state: State, seat: int, move: int) -> list[Event]:
        """Drop a disc; four in a line win, a full board is a draw."""
        _check(state, seat, move)
        player, row = state.players[seat], len(state.board[move])
        dropped = {"player_id": player, "column": move, "row": row, "_v": 1}
        events = [Event("disc_dropped", dropped)]
        if line := find_line_through(state.board, move, seat):
            cells = [list(cell) for cell in line]
            events.append(Event("four_connected", {"player_id": player, "cells": cells, "_v": 1}))
        elif state.drops + 1 == COLUMNS * ROWS:
            events.append(Event("board_filled", {"_v": 1}))
        return events

    def evolve(self, state: State, event: Event) -> None:
        """Fold one event."""
        payload = event.payload
        match event.type:
            case "disc_dropped":
                state.board[payload["column"]].append(state.players.index(payload["player_id"]))
                state.drops += 1
            case "four_connected":
                state.over, state.winner = True, state.players.index(payload["player_id"])
                state.line = [(column, row) for column, row in payload["cells"]]
            case "board_filled":
                state.over = True
            case "player_left" if not state.over:
                state.over, state.winner = True, 1 - payload["seat"]

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        """Read a drop back."""
        if event.type != "disc_dropped":
            return None
        move = {"type": "drop", "column": event.payload["column"]}
        return SeatMove(state.players.index(event.payload["player_id"]), move)

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Draw the board: columns from the left, each from the bottom up, seats in them."""
        turn = self.to_act(state)
        to_move = turn.seats[0] if turn else None
        columns = open_columns(state.board) if viewer is not None and viewer == to_move else []
        return {
            "seat": viewer,
            "board": [list(column) for column in state.board],
            "turn": to_move,
            "over": state.over,
            "winner": state.winner,
            "line": [list(cell) for cell in state.line],
            "legal_moves": [{"type": "drop", "column": column} for column in columns],
        }

    def to_act(self, state: State) -> Turn | None:
        """Alternate, beginning with seat 0."""
        if state.over:
            return None
        return Turn((state.drops % 2,), state.drops, state.config.turn_timeout_s)

    def timeout_move(self, state: State, seat: int) -> Payload:
        """Drop into the leftmost column that is not full."""
        return {"type": "drop", "column": open_columns(state.board)[0]}

    def outcome(self, state: State) -> Outcome | None:
        """Score 1 for the winner; a draw has none."""
        if not state.over:
            return None
        return Outcome(
            tuple(
                Standing(seat, int(seat == state.winner), is_winner=seat == state.winner)
                for seat in range(len(state.players))
            )
        )


def _check(state: State, seat: int, column: int) -> None:
    if state.over:
        raise IllegalMove("invalid_phase", "The game has ended.")
    if seat != state.drops % 2:
        raise IllegalMove("not_your_turn", "It is the other player's turn.")
    if len(state.board[column]) == ROWS:
        raise IllegalMove("column_full", f"Column {column} is full; drop into another.")
