"""Connections, as far as lobbies need them."""

from collections.abc import Callable, Hashable, Iterator
from typing import Protocol

from protocol.ids import PlayerId
from server.gateway.session.identity import Identity


class FrameSink(Protocol):
    """Where a connection's frames go."""

    @property
    def closing(self) -> bool:
        """Whether the connection is going away, or gone."""

    def send(self, frame: bytes, /) -> None:
        """Send a frame, now or soon."""


class Follower(Hashable, Protocol):
    """A connection; `server.gateway.session.sessions.Session` is one."""

    @property
    def identity(self) -> Identity | None:
        """Whose it is, once it was greeted."""

    @property
    def who(self) -> Identity:
        """Whose it is, for sure."""

    @property
    def socket(self) -> FrameSink:
        """Where its frames go."""

    def follow(self, key: object, stop: Callable[[], None]) -> None:
        """Remember how to stop following something."""

    def unfollow(self, key: object) -> bool:
        """Stop following something."""

    def follows(self, key: object) -> bool:
        """Say whether it follows something."""

    def following(self, kind: str) -> int:
        """Count what it follows of a kind."""


class ConnectionLookup(Protocol):
    """The connections of this node; `server.gateway.session.sessions.Sessions` is one."""

    def connection_of_player(self, player_id: PlayerId) -> Follower | None:
        """Find a player's connection."""

    def is_here(self, player_id: PlayerId) -> bool:
        """Say whether a player has one."""

    def __iter__(self) -> Iterator[Follower]:
        """Go through all connections."""
