"""Join codes: what one can read out to a friend."""

from dataclasses import replace
from secrets import choice
from typing import Final

from persistence.lobbies.model import Lobby
from persistence.lobbies.store import LobbyWork
from protocol.errors import Overloaded

# Without 0 and O, 1 and I, which look alike.
ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_CHARS: Final = 6
DRAWS_MAX: Final = 8


def draw_code() -> str:
    """Draw a code that nobody can guess."""
    return "".join(choice(ALPHABET) for _ in range(CODE_CHARS))


async def add_with_code(work: LobbyWork, lobby: Lobby) -> Lobby:
    """Add a lobby under a code that no other lobby has until it is closed."""
    for _ in range(DRAWS_MAX):
        coded = replace(lobby, join_code=draw_code())
        if await work.add(coded):
            return coded
    raise Overloaded
