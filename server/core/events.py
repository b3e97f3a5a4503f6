"""Local domain events: what one domain tells others of on the same node, in process and in order.

Domains do not import each other. One publishes an event; `app.py` joins it to who listens, by a
table of each listener::

    events.listen({MemberKicked: [presence.member_kicked]})

Handlers are called at once, one after the other in the order in which they were added, and do not
wait: no `async`. One that raises is contained and counted, and the others are called all the same.
A local event is lost with its node, and other nodes do not hear of it. What must not be lost, or
concerns them, is a durable event (`protocol/domain_events.py`, `server/core/event_delivery.py`),
or is found by looking at what is stored.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from protocol.ids import GameId, LobbyId, PlayerId
from server.core.containment import contained


class LocalEvent:
    """Something that happened on this node."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class MemberKicked(LocalEvent):
    """The host of a lobby that plays removed somebody for good."""

    lobby_id: LobbyId
    game_id: GameId
    player_id: PlayerId


Listeners: TypeAlias = Mapping[type[LocalEvent], Sequence[Callable[[Any], None]]]


class LocalEvents:
    """The dispatcher of one node."""

    def __init__(self) -> None:
        self._handlers: defaultdict[type[LocalEvent], list[Callable[[Any], None]]]
        self._handlers = defaultdict(list)

    def listen(self, listeners: Listeners) -> None:
        """Add handlers, behind those that are there."""
        for event, handlers in listeners.items():
            self._handlers[event] += handlers

    def publish(self, event: LocalEvent) -> None:
        """Tell of an event; every handler has returned, or has failed, when this returns."""
        for handle in tuple(self._handlers.get(type(event), ())):
            with contained(f"a listener of {type(event).__name__}"):
                handle(event)
