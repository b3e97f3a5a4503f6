"""The terminal player's parts: screens, the keyboard, and games to come back to.

For: `loadtest.play`. A screen is found by its ruleset's name in `SCREENS`; a ruleset that has none
there is shown as it is (`any_game`).

Promises: screens are pure; a line that makes no sense is answered with a sentence that says
what does.

Must not know: sockets, commands.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loadtest.terminal.any_game import GenericScreen
from loadtest.terminal.boards import ReversiScreen, RockPaperScissorsScreen
from loadtest.terminal.screens import (
    ElDoradoScreen,
    FourInARowScreen,
    LamplighterScreen,
    Screen,
)

SCREENS: Final[Mapping[str, type[Screen]]] = MappingProxyType(
    {
        "el_dorado": ElDoradoScreen,
        "four_in_a_row": FourInARowScreen,
        "lamplighter": LamplighterScreen,
        "reversi": ReversiScreen,
        "rock_paper_scissors": RockPaperScissorsScreen,
    }
)


def make_screen(ruleset: str, me: str, names: Mapping[str, str]) -> Screen:
    """Make the screen of a ruleset for one player."""
    screen = SCREENS.get(ruleset)
    return GenericScreen(me, names, title=ruleset) if screen is None else screen(me, names)
