"""The terminal player's face: what is shown of a game, and what a typed line means.

For: `loadtest.play`. One small file a ruleset, found by its name in `SCREENS`.

Promises: pure; a line that makes no sense is answered with a sentence that says what does.

Must not know: sockets, commands, the keyboard.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loadtest.terminal.el_dorado import ElDoradoScreen
from loadtest.terminal.four_in_a_row import FourInARowScreen
from loadtest.terminal.screen import Screen

SCREENS: Final[Mapping[str, type[Screen]]] = MappingProxyType(
    {"el_dorado": ElDoradoScreen, "four_in_a_row": FourInARowScreen}
)
