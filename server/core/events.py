"""Local events: what one domain tells the others on this node, in process and in order.

A local event is lost with its node, and other nodes do not hear of it. What must not be lost, or
concerns them, is a durable event (`protocol/domain_events.py`, `server/core/event_delivery.py`), or
is found by reading what is stored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from protocol.ids import GameId, LobbyId, PlayerId
from server.core.containment import contained

Listener: TypeAlias = Callable[[Any], None]
Listeners: TypeAlias = Mapping[type, Listener]


@dataclass(frozen=True, slots=True)
class PlayerConnected:
    """A player's first connection to this node was opened."""

    player_id: PlayerId


@dataclass(frozen=True, slots=True)
class PlayerDisconnected:
    """A player's last connection to this node was closed."""

    player_id: PlayerId


@dataclass(frozen=True, slots=True)
class LobbyGameCompleted:
    """A game of a lobby was completed here, and the lobby was closed in the same transaction."""

    lobby_id: LobbyId


@dataclass(frozen=True, slots=True)
class MemberKicked:
    """Somebody was kicked out of the lobby of a running game."""

    lobby_id: LobbyId
    game_id: GameId
    player_id: PlayerId


@dataclass(frozen=True, slots=True)
class WatcherExcluded:
    """Somebody who was kicked out, on whichever node, may not watch a game of this node's."""

    game_id: GameId
    player_id: PlayerId


class LocalEvents:
    """Delivers each event to its listeners, in the order in which they were added.

    A listener that raises is logged and counted, and the others are told all the same.
    """

    def __init__(self) -> None:
        self._listeners: dict[type, list[Listener]] = {}

    def listen(self, listeners: Listeners) -> None:
        """Add a domain's listeners, by the type of event."""
        for kind, listener in listeners.items():
            self._listeners.setdefault(kind, []).append(listener)

    def publish(self, event: object) -> None:
        """Deliver an event, before returning."""
        for listener in tuple(self._listeners.get(type(event), ())):
            with contained(f"listening to {type(event).__name__}"):
                listener(event)
