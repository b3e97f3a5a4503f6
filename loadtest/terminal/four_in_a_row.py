"""Four in a row on a terminal."""

from typing import ClassVar, Final

from rich.console import RenderableType
from rich.text import Text

from loadtest.players.four_in_a_row import COLUMNS, ROWS
from loadtest.terminal.screen import Screen, choice
from protocol.game import Json

_DISCS: Final = (("●", "red"), ("○", "yellow"))


class FourInARowScreen(Screen):
    """The board; columns are counted from 1."""

    title: ClassVar[str] = "Four in a row"
    moves: ClassVar[frozenset[str]] = frozenset({"disc_dropped"})

    def describe_move(self, event: str, payload: Json) -> str:
        """Say where a disc went."""
        return f"dropped into column {payload['column'] + 1}"

    def tell_move(self, event: str, payload: Json) -> Text | None:
        """Tell a drop, and how it ended."""
        if event == "disc_dropped":
            player = self.name(payload["player_id"])
            verb = "drop" if player == "You" else "drops"
            return Text(f"{player} {verb} into column {payload['column'] + 1}.")
        if event == "four_connected":
            player = self.name(payload["player_id"])
            return Text(f"{player} {'have' if player == 'You' else 'has'} four in a row.")
        if event == "board_filled":
            return Text("The board is full.")
        return None

    def show(self, view: Json) -> RenderableType:
        """Show the board."""
        picture = Text()
        for row in reversed(range(ROWS)):
            for column in view["board"]:
                if row < len(column):
                    disc, style = _DISCS[column[row]]
                    picture.append(f" {disc}", style=style)
                else:
                    picture.append(" ·", style="dim")
            picture.append("\n")
        return picture.append(" " + " ".join(str(number + 1) for number in range(COLUMNS)))

    def prompt(self, view: Json) -> str:
        """Ask for a column."""
        disc, _ = _DISCS[view["seat"]]
        return f"You play {disc}. Which column? (1 to {COLUMNS}) "

    def read(self, line: str, view: Json) -> Json:
        """Read a column."""
        return {
            "type": "drop",
            "column": choice(line, low=1, high=COLUMNS, what="a column") - 1,
        }
