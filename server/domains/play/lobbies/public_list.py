"""The public list as it is watched on this node, kept up with what other nodes do.

One topic without numbers, whose view is a filter. A change is delivered to those for whom the lobby
is in the list, and as its end to those for whom it was. Other nodes get as a notice what filters
look at, before and after the change, and the card: so they read nothing.

Notices of two publishers may come in the wrong order, and some may be lost. So a node remembers
what it delivered last of each lobby. What is older than that is not delivered, and the poll
compares the versions of the whole list with it.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from persistence.broker import Notice
from persistence.lobbies.model import Lobby
from persistence.lobbies.store import LobbyStore
from protocol.errors import Overloaded
from protocol.ids import LobbyId
from protocol.lobbies import ListFilter
from server.core.containment import contain_failures
from server.core.periodic import AWAY
from server.core.subscriptions import PollPolicy, Stop, Subscriptions, TooManySubscribers, Topic
from server.domains.play.lobbies.followers import Follower
from server.domains.play.lobbies.views import (
    FilterFields,
    filter_fields,
    is_listed,
    list_removal_frame,
    list_update_frame,
)
from server.gateway.transport.framing import text_frame

LIST: Final = "lobbies"

POLL: Final = PollPolicy(live_s=30.0, alone_s=5.0)
# How many lobbies, the newest, the poll compares. Changes that are announced reach everybody.
COMPARED_MAX: Final = 10_000
REMEMBERED_MAX: Final = 2 * COMPARED_MAX
VERSIONS_AT_ONCE: Final = 1_000

_KEY: Final = "public"


class ListChange(NamedTuple):
    """A lobby that changed: as filters see it, and as JSON for those who see it, or do no more."""

    lobby_id: LobbyId
    version: int
    before: FilterFields | None  # None for a lobby that is new, or of which that is not known
    after: FilterFields
    shown: bytes
    gone: bytes


class DeliveredLobby(NamedTuple):
    """What was delivered last of a lobby; no facts if only its version was read."""

    version: int
    facts: FilterFields | None


class PublicList:
    """Who watches the public list on this node. The source of its topic."""

    def __init__(self, subscriptions: Subscriptions, store: LobbyStore) -> None:
        self._subscriptions = subscriptions
        self._kind = subscriptions.kind("lobby-list", source=self, poll=POLL)
        self._store = store
        self._filters: dict[str, ListFilter] = {}  # by the view of those who look with it
        self._remembered: dict[LobbyId, DeliveredLobby] = {}  # the latest delivered last
        self._is_read = False  # whether the list was read since somebody watches it

    async def follow(self, follower: Follower, look_for: ListFilter) -> None:
        """Follow what passes a filter; it takes the place of the last.

        What is read after this, and what is delivered, leave nothing out.
        """
        # First out, then in: stopping the old subscription would end the new one.
        follower.unfollow(LIST)
        if follower.socket.closing:
            return
        view = look_for.model_dump_json()
        try:
            stop = self._kind.subscribe(_KEY, follower, follower.socket.send, view=view)
        except TooManySubscribers:
            raise Overloaded(
                "Too many clients are following this; send lobby.watch later."
            ) from None
        self._filters[view] = look_for
        follower.follow(LIST, partial(self._left, stop))
        if not self._is_read:
            await self._read_versions()

    def unfollow(self, follower: Follower) -> None:
        """Stop following the public list; harmless if it is not followed."""
        follower.unfollow(LIST)

    def publish(self, lobby: Lobby, *, before: Lobby | None) -> None:
        """Publish a change that is committed; `before` is None for a lobby that is new."""
        has_peers = self._subscriptions.has_peers
        if not has_peers and self._kind.get(_KEY) is None:
            return
        change = _change_of(lobby, None if before is None else filter_fields(before))
        self._deliver(change)
        if has_peers:
            self._kind.notify(_KEY, payload=_payload_of(change))

    # ------------------------------------------------------------------ other nodes

    def on_notice(self, _: Topic[Follower], notice: Notice) -> bool:
        """Deliver what another node changed."""
        try:
            change = _read(orjson.loads(notice.payload))
        except (orjson.JSONDecodeError, TypeError, ValueError):
            return False
        self._deliver(change)
        return True

    async def deliver_missed(self, topics: Sequence[Topic[Follower]]) -> None:
        """Deliver what the database has and was not delivered, as far as the list is compared."""
        (topic,) = topics
        if not self._is_read:
            await self._read_versions()
            return
        versions = await self._store.read_listed_versions(COMPARED_MAX)
        versions |= await self._versions_of_missing(versions)
        for lobby_id, version in versions.items():
            last = self._remembered.get(lobby_id)
            if last is not None and last.version >= version:
                continue
            with contain_failures(f"listing lobby {lobby_id}", passed=AWAY):
                lobby = await self._store.read(lobby_id)
                if self._kind.get(_KEY) is not topic:
                    return  # nobody watches any more, or they have read it by themselves
                if lobby is not None:
                    self._deliver(_change_of(lobby, None))

    async def _read_versions(self) -> None:
        """Note where the list stands. Who follows it reads it after this."""
        topic = self._kind.get(_KEY)
        versions = await self._store.read_listed_versions(COMPARED_MAX)
        if topic is None or self._kind.get(_KEY) is not topic:
            return
        for lobby_id, version in versions.items():
            self._remembered.setdefault(lobby_id, DeliveredLobby(version, None))
        self._is_read = True

    async def _versions_of_missing(self, versions: dict[LobbyId, int]) -> dict[LobbyId, int]:
        """Read the versions of those that were in the list, and are not, or are too old now."""
        missing = [
            lobby_id
            for lobby_id, last in self._remembered.items()
            if lobby_id not in versions and (last.facts is None or last.facts.is_open)
        ]
        found: dict[LobbyId, int] = {}
        for start in range(0, len(missing), VERSIONS_AT_ONCE):
            found |= await self._store.read_versions(missing[start : start + VERSIONS_AT_ONCE])
        for lobby_id in missing:
            if lobby_id not in found:  # deleted, a while after it was closed
                self._remembered.pop(lobby_id, None)
        return found

    # ------------------------------------------------------------------ delivering

    def _deliver(self, change: ListChange) -> None:
        topic = self._kind.get(_KEY)
        if topic is None:
            return
        last = self._remembered.get(change.lobby_id)
        if last is not None and last.version >= change.version:
            return
        shown, gone = text_frame(change.shown), text_frame(change.gone)
        before = [facts for facts in (change.before, last and last.facts) if facts is not None]
        is_next = last is not None and last.version == change.version - 1
        # Only the version was read, and what came after it was missed: any view may have had it.
        is_unknown = last is not None and last.facts is None and not (before and is_next)
        frames: dict[object, bytes] = {}
        for view, look_for in self._filters.items():
            if is_listed(change.after, look_for):
                frames[view] = shown
            elif is_unknown or _was_listed(before, look_for):
                frames[view] = gone
        topic.send_views(frames)
        self._remember(change)

    def _remember(self, change: ListChange) -> None:
        self._remembered.pop(change.lobby_id, None)
        self._remembered[change.lobby_id] = DeliveredLobby(change.version, change.after)
        if len(self._remembered) > REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]

    def _left(self, stop: Stop) -> None:
        stop()
        topic = self._kind.get(_KEY)
        views = {} if topic is None else topic.views
        self._filters = {view: each for view, each in self._filters.items() if view in views}
        if topic is None:
            self._remembered.clear()
            self._is_read = False


def _was_listed(before: Iterable[FilterFields], look_for: ListFilter) -> bool:
    return any(is_listed(facts, look_for) for facts in before)


def _change_of(lobby: Lobby, before: FilterFields | None) -> ListChange:
    return ListChange(
        lobby.lobby_id,
        lobby.version,
        before,
        filter_fields(lobby),
        list_update_frame(lobby),
        list_removal_frame(lobby),
    )


def _payload_of(change: ListChange) -> bytes:
    before = None if change.before is None else list(change.before)
    shown, gone = orjson.Fragment(change.shown), orjson.Fragment(change.gone)
    return orjson.dumps([change.lobby_id, change.version, before, list(change.after), shown, gone])


def _read(payload: Any) -> ListChange:
    """Read a payload; raise `TypeError` or `ValueError` for one of another version of ours."""
    lobby_id, version, before, after, shown, gone = payload
    return ListChange(
        LobbyId(lobby_id),
        int(version),
        None if before is None else FilterFields(*before),
        FilterFields(*after),
        orjson.dumps(shown),
        orjson.dumps(gone),
    )
