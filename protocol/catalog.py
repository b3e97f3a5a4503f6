"""Everything that can travel over the websocket, collected from the domains' files."""

from protocol import (  # noqa: F401 - some only for their error classes
    bots,
    chat,
    content_errors,
    epochs,
    games,
    lobbies,
    peer_lobbies,
    session,
    signaling,
)
from protocol.envelope import Command, Update, type_of
from protocol.errors import PlayhallError

_DOMAINS = (session, lobbies, peer_lobbies, games, chat, epochs)

COMMANDS: dict[str, type[Command]] = {
    type_of(command): command for domain in _DOMAINS for command in domain.COMMANDS
}
UPDATES: dict[str, type[Update]] = {
    type_of(update): update for domain in _DOMAINS for update in domain.UPDATES
}


def all_errors() -> list[type[PlayhallError]]:
    """Every error class that has a code of its own, by code."""
    return sorted(PlayhallError.__subclasses__(), key=lambda error: error.code)
