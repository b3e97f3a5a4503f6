"""Who follows which lobby, and who follows the public list, on this node."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final, Protocol, TypeVar

from persistence.broker.memory import Bus, TooManyFollowers
from persistence.lobbies.model import Lobby
from protocol.errors import Overloaded, TooManyLobbies
from protocol.ids import LobbyId, PlayerId
from protocol.lobbies import WATCHED_MAX, ListFilter, LobbyChange
from server.domains.play.lobbies import views
from server.domains.play.lobbies.rules import may_see
from server.domains.play.lobbies.views import is_listed
from server.gateway.session.identity import Identity

LIST: Final = "lobbies"

K = TypeVar("K")
V = TypeVar("V")


class FrameSink(Protocol):
    """Where a connection's frames go."""

    @property
    def closing(self) -> bool:
        """Whether the connection is going away, or gone."""

    def send(self, frame: bytes, /) -> None:
        """Send a frame, now or soon."""


class Follower(Protocol):
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


class Presence(Protocol):
    """The connections of this node; `server.gateway.session.sessions.Sessions` is one."""

    def of(self, player_id: PlayerId) -> Follower | None:
        """Find a player's connection."""

    def is_here(self, player_id: PlayerId) -> bool:
        """Say whether a player has one."""

    def __iter__(self) -> Iterator[Follower]:
        """Go through all connections."""


class LobbySubscribers:
    """Tells followers of changes; whoever may no longer see a lobby stops following it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._by_lobby: dict[LobbyId, set[Follower]] = {}
        self._by_follower: dict[Follower, set[LobbyId]] = {}
        self._versions: dict[LobbyId, int] = {}  # of those followed: what was told or read
        self._filters: dict[str, ListFilter] = {}  # by the topic of those who look with it

    def __len__(self) -> int:
        """Count the lobbies that are followed."""
        return len(self._by_lobby)

    def require_room(self, follower: Follower) -> None:
        """Refuse a connection that watches as many lobbies as it may."""
        if len(self._by_follower.get(follower, ())) >= WATCHED_MAX:
            raise TooManyLobbies(
                f"You are following {WATCHED_MAX} lobbies; use lobby.unwatch first."
            )

    def follow(self, follower: Follower, lobby_id: LobbyId) -> None:
        """Follow a lobby; following again is harmless."""
        if follower.socket.closing or follower in self._by_lobby.get(lobby_id, ()):
            return  # whoever went away while the command was carried out is not held on to
        stop = self._join(f"lobby:{lobby_id}", follower)
        self._by_lobby.setdefault(lobby_id, set()).add(follower)
        self._by_follower.setdefault(follower, set()).add(lobby_id)
        follower.follow(_key(lobby_id), partial(self._left, follower, lobby_id, stop))

    def read(self, lobby: Lobby) -> None:
        """Note what a follower has read; the oldest counts until the next change is told."""
        if lobby.lobby_id in self._by_lobby:
            known = self._versions.get(lobby.lobby_id, lobby.version)
            self._versions[lobby.lobby_id] = min(known, lobby.version)

    def behind(self, versions: Mapping[LobbyId, int]) -> list[LobbyId]:
        """List the followed lobbies of which less was told than these versions have."""
        return [i for i, version in versions.items() if self._versions.get(i, version) < version]

    def followed(self) -> list[LobbyId]:
        """List the lobbies that somebody follows."""
        return list(self._by_lobby)

    def unfollow(self, follower: Follower, lobby_id: LobbyId) -> None:
        """Stop following a lobby; harmless if it is not followed."""
        follower.unfollow(_key(lobby_id))

    def follow_list(self, follower: Follower, look_for: ListFilter) -> None:
        """Follow the public list, or what passes a filter; it takes the place of the last."""
        # First out, then in: stopping the old subscription would end the new one.
        follower.unfollow(LIST)
        if follower.socket.closing:
            return
        topic = f"{LIST}:{look_for.model_dump_json()}"
        stop = self._join(topic, follower)
        self._filters[topic] = look_for
        follower.follow(LIST, partial(self._left_list, topic, stop))

    def unfollow_list(self, follower: Follower) -> None:
        """Stop following the public list; harmless if it is not followed."""
        follower.unfollow(LIST)

    def tell(self, lobby: Lobby, change: LobbyChange, *, before: Lobby | None = None) -> None:
        """Tell of a change that is committed; `before` is what the list knew of the lobby."""
        self.tell_followers(lobby, change)
        self._tell_list(before, lobby)

    def tell_followers(self, lobby: Lobby, change: LobbyChange) -> None:
        """Tell those who follow the lobby; who may see it no longer is told that, and no more."""
        followers = list(self._by_lobby.get(lobby.lobby_id, ()))
        if followers:
            self._versions[lobby.lobby_id] = lobby.version
        followers = self._rest_of(followers, lobby, change)
        if lobby.host_peer_id is None:
            self._bus.publish(f"lobby:{lobby.lobby_id}", views.update(lobby, change))
        else:
            _tell_each(followers, lobby, change)
        if lobby.status == "CLOSED":
            for follower in followers:
                self.unfollow(follower, lobby.lobby_id)

    def _rest_of(
        self, followers: list[Follower], lobby: Lobby, change: LobbyChange
    ) -> list[Follower]:
        """Dismiss those who may see the lobby no longer; returns the others.

        What changed in the same step, its name for example, is no business of theirs.
        """
        rest = [each for each in followers if may_see(lobby, each.who.player_id)]
        if len(rest) < len(followers):
            last = views.update_of_hidden(lobby, change)
            for follower in set(followers).difference(rest):
                follower.socket.send(last)
                self.unfollow(follower, lobby.lobby_id)
        return rest

    def _tell_list(self, before: Lobby | None, after: Lobby) -> None:
        """Tell those for whom the lobby is in the list, or was until now."""
        shown, gone = views.listed(after), views.unlisted(after)
        for topic, look_for in self._filters.items():
            if is_listed(after, look_for):
                self._bus.publish(topic, shown)
            elif before is not None and is_listed(before, look_for):
                self._bus.publish(topic, gone)

    def _left_list(self, topic: str, stop: Callable[[], None]) -> None:
        stop()
        if not self._bus.count(topic):
            self._filters.pop(topic, None)

    def _join(self, topic: str, follower: Follower) -> Callable[[], None]:
        try:
            return self._bus.follow(topic, follower, follower.socket.send)
        except TooManyFollowers:
            raise Overloaded(
                "Too many clients are following this; send lobby.watch later."
            ) from None

    def _left(self, follower: Follower, lobby_id: LobbyId, stop: Callable[[], None]) -> None:
        stop()
        _discard(self._by_lobby, lobby_id, follower)
        _discard(self._by_follower, follower, lobby_id)
        if lobby_id not in self._by_lobby:
            self._versions.pop(lobby_id, None)


def _tell_each(followers: Iterable[Follower], lobby: Lobby, change: LobbyChange) -> None:
    """Tell members where their host is, and everybody else all but that."""
    to_others = views.update(lobby, change)
    to_members = views.update(lobby, change, to_members=True)
    for follower in followers:
        is_member = lobby.member(follower.who.player_id) is not None
        follower.socket.send(to_members if is_member else to_others)


def _key(lobby_id: LobbyId) -> tuple[str, LobbyId]:
    return ("lobby", lobby_id)


def _discard(sets: dict[K, set[V]], key: K, value: V) -> None:
    """Take a value out of one of many sets, and the set as well if that was all."""
    sets[key].discard(value)
    if not sets[key]:
        del sets[key]
