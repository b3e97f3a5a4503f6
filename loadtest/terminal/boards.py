"""The screens of reversi, and of rock, paper, scissors."""

import time
from collections.abc import Mapping
from typing import ClassVar, Final

from rich.console import RenderableType
from rich.text import Text

from loadtest.terminal.screens import Screen, UnclearInput
from playhall import Json

SIDE: Final = 8
COLUMNS: Final = "abcdefgh"
_DISCS: Final = (("●", "bold blue"), ("○", "bold yellow"))


def cell_name(cell: int) -> str:
    """Write a cell as players do: `d3` is the fourth of the third row from the top."""
    return f"{COLUMNS[cell % SIDE]}{cell // SIDE + 1}"


def time_left(ms: float) -> str:
    """Write how much time is left: 4:07."""
    seconds = max(0, int(ms / 1000))
    return f"{seconds // 60}:{seconds % 60:02}"


class ReversiScreen(Screen):
    """The board with columns a to h and rows 1 to 8, and both clocks."""

    title = "Reversi"
    input_help: ClassVar[str] = "Type a cell: d3."
    moves: ClassVar[frozenset[str]] = frozenset({"disc_placed"})

    def describe_move(self, event: str, payload: Json) -> str:
        """Say where a disc was placed."""
        return f"placed a disc on {cell_name(payload['cell'])}"

    def describe_event(self, event: str, payload: Json) -> Text | None:
        """Describe a disc, a pass, or how it ended."""
        if event == "board_finished":
            return Text("Nobody can play any more.")
        player = self.player_name(payload.get("player_id", ""))
        is_you = player == "You"
        if event == "disc_placed":
            turned = len(payload["turned"])
            where = cell_name(payload["cell"])
            return Text(f"{player} {'play' if is_you else 'plays'} {where} and {turned} turn over.")
        if event == "turn_passed":
            return Text(f"{player} {'have' if is_you else 'has'} no cell and must pass.")
        if event == "time_ran_out":
            return Text(f"{player} ran out of time.")
        return None

    def show_view(self, view: Json) -> RenderableType:
        """Show the board, with the cells that can be played, and the clocks."""
        open_cells = {move["cell"] for move in view["legal_moves"]}
        board = Text("   " + " ".join(COLUMNS) + "\n", style="dim")
        for row in range(SIDE):
            board.append(f" {row + 1} ", style="dim")
            for cell in range(row * SIDE, (row + 1) * SIDE):
                seat = view["board"][cell]
                disc, style = (
                    ("·" if cell in open_cells else " ", "") if seat is None else (_DISCS[seat])
                )
                board.append(f"{disc} ", style=style)
            board.append("\n")
        for seat, (disc, style) in enumerate(_DISCS):
            who = "you" if seat == view["seat"] else "they"
            board.append(f" {disc} ", style=style)
            board.append(f"{who} {view['discs'][seat]}  {_clock_of(view['clock'], seat)}   ")
        return board

    def prompt_text(self, view: Json) -> str:
        """Ask for a cell."""
        disc, _ = _DISCS[view["seat"]]
        return f"You play {disc}. Which cell? (for example {_example(view)}) "

    def read_move(self, line: str, view: Json) -> Json:
        """Read a cell: d3."""
        text = line.strip().lower()
        for move in view["legal_moves"]:
            if cell_name(move["cell"]) == text:
                found: Json = move
                return found
        cells = ", ".join(cell_name(move["cell"]) for move in view["legal_moves"])
        raise UnclearInput(f"Type one of these cells: {cells}.")


def _example(view: Json) -> str:
    return cell_name(view["legal_moves"][0]["cell"]) if view["legal_moves"] else "d3"


def _clock_of(clock: Json, seat: int) -> str:
    left_ms = clock["seats"][seat]["main_ms"]
    if clock["running"] == seat and clock["flag_at_ms"] is not None:
        left_ms = clock["flag_at_ms"] - time.time() * 1000
    return time_left(left_ms)


_THROWS: Final = ("rock", "paper", "scissors")


class RockPaperScissorsScreen(Screen):
    """The score, and three throws; typed as words, or by their first letters."""

    title = "Rock, paper, scissors"
    input_help: ClassVar[str] = "Type rock, paper or scissors, or r, p, s."
    moves: ClassVar[frozenset[str]] = frozenset({"thrown"})

    def __init__(self, me: str, names: Mapping[str, str]) -> None:
        super().__init__(me, names)
        self._players: list[str] = []

    def describe_move(self, event: str, payload: Json) -> str:
        """Say what was thrown."""
        return f"threw {payload.get('throw', 'something')}"

    def describe_event(self, event: str, payload: Json) -> Text | None:
        """Say that somebody has thrown, and what, once both have."""
        if event == "thrown" and payload["player_id"] != self.me:
            return Text(f"{self.player_name(payload['player_id'])} has thrown.", style="dim")
        if event == "round_revealed":
            threw = ", ".join(
                f"{self.player_name(player)} {throw}"
                for player, throw in sorted(
                    payload["throws"].items(), key=lambda item: (item[0] != self.me, item)
                )
            )
            if payload["winner"] is None:
                return Text(f"{threw}: a tie.")
            winner = self.player_name(payload["winner"])
            return Text(f"{threw}: {winner} {'win' if winner == 'You' else 'wins'} the round.")
        return None

    def show_view(self, view: Json) -> RenderableType:
        """Show the score."""
        own, other = view["wins"][view["seat"]], view["wins"][1 - view["seat"]]
        return Text(f"Round {view['round']}: you {own}, they {other}; {view['wins_needed']} win.")

    def prompt_text(self, view: Json) -> str:
        """Ask for a throw."""
        return "Rock, paper or scissors? "

    def read_move(self, line: str, view: Json) -> Json:
        """Read a throw, or its first letter."""
        text = line.strip().lower()
        for throw in _THROWS:
            if text and throw.startswith(text):
                return {"type": "throw", "throw": throw}
        raise UnclearInput("Type rock, paper or scissors, or r, p, s.")
