"""Everything that can travel over the websocket, collected from the domains' files."""

from collections.abc import Iterable

from protocol import (  # noqa: F401 - some only for their error classes
    blueprints,
    bots,
    chat,
    collaborations,
    companions,
    creations,
    epochs,
    feed,
    files,
    follows,
    games,
    inventory,
    leaderboards,
    lobbies,
    matchmaking,
    notifications,
    packages,
    peer_lobbies,
    ratings,
    reactions,
    reports,
    saves,
    series,
    session,
    signaling,
    storage,
    tournaments,
)
from protocol.envelope import Command, Update, type_of
from protocol.errors import PlayhallError

_DOMAINS = (
    session,
    lobbies,
    peer_lobbies,
    games,
    chat,
    matchmaking,
    series,
    epochs,
    saves,
    companions,
    notifications,
    collaborations,
    feed,
    tournaments,
)

COMMANDS: dict[str, type[Command]] = {
    type_of(command): command for domain in _DOMAINS for command in domain.COMMANDS
}
UPDATES: dict[str, type[Update]] = {
    type_of(update): update for domain in _DOMAINS for update in domain.UPDATES
}


def register(commands: Iterable[type[Command]], updates: Iterable[type[Update]]) -> None:
    """Add what a title package sends and is sent; raise `ValueError` for a name that is taken."""
    for command in commands:
        if COMMANDS.setdefault(type_of(command), command) is not command:
            raise ValueError(f"there is a command {type_of(command)} already")
    for update in updates:
        if UPDATES.setdefault(type_of(update), update) is not update:
            raise ValueError(f"there is an update {type_of(update)} already")


def all_errors() -> list[type[PlayhallError]]:
    """Every error class that has a code of its own, by code."""
    return sorted(PlayhallError.__subclasses__(), key=lambda error: error.code)
