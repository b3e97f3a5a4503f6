"""Players of four in a row."""

from collections.abc import Mapping
from typing import Final

from server.gamekit.chance import Chance
from server.gamekit.contract import Bot, Payload
from server.rulesets.four_in_a_row.board import COLUMNS, Board, line_through, open_columns


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
            if line_through(board, column, player):
                return _drop(column)
    calm = [column for column in columns if not _opens_a_win(board, column, seat)]
    return _drop(min(chance.shuffled(calm or columns), key=_from_centre))


BOTS: Final[Mapping[str, Bot]] = {"random": random_move, "win_block_centre": win_block_centre}


def _opens_a_win(board: Board, column: int, seat: int) -> bool:
    """Say whether the other wins on top of a disc dropped here."""
    after = [[*discs, seat] if x == column else discs for x, discs in enumerate(board)]
    return column in open_columns(after) and bool(line_through(after, column, 1 - seat))


def _from_centre(column: int) -> int:
    return abs(column - COLUMNS // 2)


def _drop(column: int) -> Payload:
    return {"type": "drop", "column": column}
