"""Who follows which lobby on this node."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from persistence.broker import NO_NUMBER, Notice
from persistence.lobbies.model import Lobby
from persistence.lobbies.store import LobbyStore
from protocol.errors import Overloaded, TooManyLobbies
from protocol.ids import LobbyId
from protocol.lobbies import WATCHED_MAX, ChangeKind, LobbyChange
from server.core.containment import contain_failures
from server.core.periodic import AWAY
from server.core.subscriptions import (
    PollPolicy,
    Stop,
    Subscriptions,
    TooManySubscribers,
    Topic,
    TopicKind,
)
from server.domains.play.lobbies import views
from server.domains.play.lobbies.followers import Follower
from server.domains.play.lobbies.public_list import PublicList
from server.domains.play.lobbies.rules import may_see

POLL: Final = PollPolicy(live_s=30.0, alone_s=5.0)


class LobbySubscribers:
    """Sends changes to followers; whoever may no longer see a lobby stops following it.

    A topic for each lobby, numbered by its version, and one for what is said there. The source of
    the first: what other nodes changed is read, since who may see it depends on the lobby.
    """

    def __init__(self, subscriptions: Subscriptions, store: LobbyStore) -> None:
        self._lobbies = subscriptions.kind("lobby", source=self, poll=POLL)
        self._store = store
        # Topics that had to be caught up with while their first follower was still reading.
        self._unread: set[Topic[Follower]] = set()
        self.chat: TopicKind[Follower] = subscriptions.kind("lobby-chat")
        self.public_list = PublicList(subscriptions, store)

    def __len__(self) -> int:
        """Count the lobbies that are followed."""
        return len(self._lobbies)

    def require_capacity(self, follower: Follower) -> None:
        """Refuse a connection that watches as many lobbies as it may."""
        if follower.following("lobby") >= WATCHED_MAX:
            raise TooManyLobbies(
                f"You are following {WATCHED_MAX} lobbies; use lobby.unwatch first."
            )

    def follow(self, follower: Follower, lobby_id: LobbyId) -> None:
        """Follow a lobby; following again is harmless."""
        if follower.socket.closing or follower.follows(_key(lobby_id)):
            return  # whoever went away while the command was carried out is not held on to
        send = follower.socket.send
        stops: list[Stop] = []
        try:
            stops.append(self._lobbies.subscribe(lobby_id, follower, send))
            stops.append(self.chat.subscribe(lobby_id, follower, send))
        except TooManySubscribers:
            self._left(lobby_id, stops)
            raise Overloaded(
                "Too many clients are following this; send lobby.watch later."
            ) from None
        follower.follow(_key(lobby_id), partial(self._left, lobby_id, stops))

    def note_read(self, lobby: Lobby) -> None:
        """Note what a follower has read; the oldest counts until the next change is sent."""
        topic = self._lobbies.get(lobby.lobby_id)
        if topic is None:
            return
        topic.note_read(lobby.version)
        if topic in self._unread:
            self._unread.discard(topic)
            topic.request_catch_up()

    def unfollow(self, follower: Follower, lobby_id: LobbyId) -> None:
        """Stop following a lobby; harmless if it is not followed."""
        follower.unfollow(_key(lobby_id))

    def publish(self, lobby: Lobby, change: LobbyChange, *, before: Lobby | None = None) -> None:
        """Publish a change that is committed; `before` is what the list knew of the lobby."""
        self._notify_followers(lobby, change)
        self._lobbies.notify(lobby.lobby_id, number=lobby.version)
        self.public_list.publish(lobby, before=before)

    def _notify_followers(self, lobby: Lobby, change: LobbyChange) -> None:
        """Notify those who follow the lobby; who may see it no longer gets that, and no more."""
        topic = self._lobbies.get(lobby.lobby_id)
        if topic is None:
            return
        topic.note_delivered(lobby.version)
        followers = self._rest_of(topic.subscribers(), lobby, change)
        if lobby.host_peer_id is None:
            topic.send(views.lobby_update_frame(lobby, change))
        else:
            _notify_each(followers, lobby, change)
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

    def _left(self, lobby_id: LobbyId, stops: Iterable[Stop]) -> None:
        topic = self._lobbies.get(lobby_id)
        for stop in stops:
            stop()
        if topic is not None and not topic.is_wanted:
            self._unread.discard(topic)

    # ------------------------------------------------------------------ other nodes

    def on_notice(self, _: Topic[Follower], __: Notice) -> bool:
        """Have the lobby read; its notices only say how far it is."""
        return False

    async def deliver_missed(self, topics: Sequence[Topic[Follower]]) -> None:
        """Notify followers of lobbies that changed on another node."""
        # Nothing is sent to followers who have not read the lobby yet: their reply comes first.
        self._unread.update(each for each in topics if each.number == NO_NUMBER and len(each))
        read = [each for each in topics if each.number != NO_NUMBER]
        if not read:
            return
        versions = await self._store.read_versions([LobbyId(each.key) for each in read])
        for topic in read:
            lobby_id = LobbyId(topic.key)
            if topic.number < versions.get(lobby_id, topic.number):
                with contain_failures(f"notifying followers of lobby {lobby_id}", passed=AWAY):
                    await self._notify_of(lobby_id, topic)

    async def _notify_of(self, lobby_id: LobbyId, topic: Topic[Follower]) -> None:
        lobby = await self._store.read(lobby_id)
        is_followed = self._lobbies.get(lobby_id) is topic
        if lobby is not None and is_followed and topic.number < lobby.version:
            self._notify_followers(lobby, LobbyChange(kind=_seen_from_afar(lobby)))


def _seen_from_afar(lobby: Lobby) -> ChangeKind:
    return "closed" if lobby.status == "CLOSED" else "caught_up"


def _notify_each(followers: Iterable[Follower], lobby: Lobby, change: LobbyChange) -> None:
    """Send members where their host is, and everybody else all but that."""
    to_others = views.lobby_update_frame(lobby, change)
    to_members = views.lobby_update_frame(lobby, change, to_members=True)
    for follower in followers:
        is_member = lobby.find_member(follower.who.player_id) is not None
        follower.socket.send(to_members if is_member else to_others)


def _key(lobby_id: LobbyId) -> tuple[str, LobbyId]:
    return ("lobby", lobby_id)
