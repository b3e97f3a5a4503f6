"""Local events: what a domain publishes to the others on this node, in process and in order.

A local event is lost with its node, and other nodes do not get it. What must not be lost is a
durable event (`protocol/domain_events.py`, `server/core/event_delivery.py`). What concerns other
nodes is stored and then announced: each node reads what is stored and publishes the local event
itself. Such an event comes more than once, as reading overlaps, so its listeners are idempotent.
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from protocol.ids import CreationId, GameId, LobbyId, PlayerId, SessionId, UserId
from server.core.containment import FAILURES, contain_failures

log = logging.getLogger(__name__)

# How many events may come of one another. More is a cycle of listeners, which would never end.
CHAIN_MAX: Final = 16

Listener: TypeAlias = Callable[[Any], None]
Listeners: TypeAlias = Mapping[type, Listener]


@dataclass(frozen=True, slots=True)
class PlayerConnected:
    """A player's first connection to this node was opened."""

    player_id: PlayerId


@dataclass(frozen=True, slots=True)
class PlayerGreeted:
    """A connection of a player was greeted here, whether or not it is their first one."""

    player_id: PlayerId


@dataclass(frozen=True, slots=True)
class PlayerDisconnected:
    """A player's last connection to this node was closed, or their node is gone."""

    player_id: PlayerId


@dataclass(frozen=True, slots=True)
class PlayerSeen:
    """A player did something over HTTP, perhaps without any connection."""

    player_id: PlayerId


@dataclass(frozen=True, slots=True)
class ProgressChanged:
    """A change of an account's saves, inventory or quests was committed here.

    `kind` is that of its stream, such as `save.revision`; `slot_id` is None where it concerns all
    slots.
    """

    account_id: UserId
    slot_id: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class ProgressFollowed:
    """A device of an account follows its progress on this node from now on."""

    account_id: UserId


@dataclass(frozen=True, slots=True)
class CreationListed:
    """A creation was put on the public lists, changed there, or taken off; committed here.

    `creation_id` is None where it concerns all of a person. `is_new`: it was never on them before.
    """

    creation_id: CreationId | None
    user_id: UserId | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class ProfileChanged:
    """Names or the tier of somebody's profile were changed; committed here."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class SessionRevoked:
    """A session was ended, on whichever node: its tokens are refused from now on.

    `session_id` may be that of a bot's token, or of a session that Supabase keeps and that was only
    logged out here. `message` is what its connections are closed with. May come more than once.
    """

    session_id: SessionId
    message: str


@dataclass(frozen=True, slots=True)
class UserBanned:
    """Somebody was banned, on whichever node. May come more than once."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class UserDeactivated:
    """An account was deactivated, on whichever node. May come more than once."""

    user_id: UserId


@dataclass(frozen=True, slots=True)
class PlayerErased:
    """Somebody erased their account, on whichever node. May come more than once."""

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
    """Somebody was kicked out of the lobby of a game of this node, on whichever node.

    They may not watch it any more; players of a running game stay. Comes more than once.
    """

    game_id: GameId
    player_id: PlayerId


class LocalEventBus:
    """Delivers each event to its listeners, in the order in which they were added.

    A listener that raises is logged and counted; the others get the event all the same. Everybody
    gets events in the order of their publication: what a listener publishes is delivered when all
    have got the event that it is listening to.
    """

    def __init__(self) -> None:
        self._listeners: dict[type, list[Listener]] = {}
        # Published and not delivered yet, and how many events each is the consequence of. There is
        # more than one only while a listener runs, and CHAIN_MAX bounds what comes of one.
        self._waiting: deque[tuple[object, int]] = deque()
        self._depth: int | None = None  # of the event that is being delivered

    def add_listeners(self, listeners: Listeners) -> None:
        """Add a domain's listeners, by the type of event."""
        for kind, listener in listeners.items():
            self._listeners.setdefault(kind, []).append(listener)

    def publish(self, event: object) -> None:
        """Deliver an event before returning; one that a listener publishes, after its own."""
        if self._depth is not None:
            self._follow(event, self._depth + 1)
            return
        self._waiting.append((event, 0))
        try:
            while self._waiting:
                event, self._depth = self._waiting.popleft()
                self._deliver(event)
        finally:
            self._depth = None

    def _follow(self, event: object, depth: int) -> None:
        if depth < CHAIN_MAX:
            self._waiting.append((event, depth))
        else:
            FAILURES.total += 1
            log.error("%s was dropped: its listeners cause it again", type(event).__name__)

    def _deliver(self, event: object) -> None:
        for listener in tuple(self._listeners.get(type(event), ())):
            with contain_failures(f"listening to {type(event).__name__}"):
                listener(event)
