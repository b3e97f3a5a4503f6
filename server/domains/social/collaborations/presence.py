"""Who is in which creation now: on this node, and as other nodes say.

Each node knows who is in a creation through it, and notifies the others when that changes, again
at intervals, and when one of them asks. What a node has not repeated for a while is forgotten, so a
node that died leaves nobody behind. Nothing of this is stored.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

import orjson

from persistence.broker import Notice
from persistence.collaborations.store import CollaborationStore, MayBePresent
from protocol.collaborations import (
    JOINED_MAX,
    CreationPresence,
    FocusCreation,
    JoinCreation,
    LeaveCreation,
    PersonPresent,
)
from protocol.creations import CreationNotFound
from protocol.envelope import Ok
from protocol.errors import Forbidden, Overloaded, RateLimited
from protocol.ids import CreationId, UserId
from server.core.containment import contain_failures
from server.core.periodic import AWAY
from server.core.subscriptions import Subscriptions, TooManySubscribers, Topic
from server.gateway.session.sessions import CommandRoute, Routes, Session, update_frame

log = logging.getLogger(__name__)

REPEAT_EVERY_S: Final = 10.0
FORGOTTEN_AFTER_S: Final = 35.0  # three repetitions may be lost
NODES_MAX: Final = 100  # that are believed about one creation
PEOPLE_MAX: Final = 64  # of one creation; it has 21 with its owner
ASKED_AT_ONCE: Final = 1000  # pairs of a creation and a person


class _Present(NamedTuple):
    user_id: UserId
    username: str | None
    role: Literal["owner", "editor", "viewer"]
    focus: str | None
    hidden: frozenset[UserId]  # collaborators whom they do not see, because of a block


class _Elsewhere(NamedTuple):
    heard_at: float
    people: list[PersonPresent]


class LivePresence:
    """Presence in creations; `now` gives monotonic seconds."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        store: CollaborationStore,
        *,
        node: str,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._node = node
        self._now = now
        self._here: dict[CreationId, dict[Session, _Present]] = {}
        self._elsewhere: dict[CreationId, dict[str, _Elsewhere]] = {}
        self._sent: dict[CreationId, dict[Session, bytes]] = {}
        self._to_check: set[CreationId] = set()
        self._woken = asyncio.Event()
        self._subscriptions = subscriptions
        self._topics = subscriptions.kind("creation", source=self)

    def __len__(self) -> int:
        """Count who is in creations through this node."""
        return sum(map(len, self._here.values()))

    def routes(self) -> Routes:
        """Say how the commands are carried out."""
        return {
            JoinCreation: CommandRoute(awaited=self._join),
            FocusCreation: CommandRoute(immediate=self._focus),
            LeaveCreation: CommandRoute(immediate=self._leave),
        }

    def announce_change(self, creation_id: CreationId) -> None:
        """Have every node look who may still be in a creation; it is committed before."""
        self._check_soon(creation_id)
        self._notify(creation_id, check=True)

    async def run(self) -> None:
        """Look who may still be there, and repeat what other nodes need, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(REPEAT_EVERY_S):
                    await self._woken.wait()
                creations = list(self._to_check)
            except TimeoutError:
                creations = list(self._here)
                self._forget_silent()
                for creation_id in creations:
                    self._notify(creation_id)
            self._woken.clear()
            self._to_check.difference_update(creations)
            try:
                with contain_failures("looking who may be in creations", passed=AWAY):
                    await self._check(creations)
            except AWAY as error:
                log.info("presence in creations is not checked: %s", error.message)

    # ------------------------------------------------------------------ subscriptions call these

    def on_notice(self, topic: Topic[Session], notice: Notice) -> bool:
        """Take in what another node says."""
        creation_id = CreationId(topic.key)
        said = orjson.loads(notice.payload)
        people = [PersonPresent(**each) for each in said["people"][:PEOPLE_MAX]]
        nodes = self._elsewhere.setdefault(creation_id, {})
        nodes.pop(said["node"], None)
        if people and len(nodes) < NODES_MAX:
            nodes[said["node"]] = _Elsewhere(self._now(), people)
        if said["ask"]:
            self._notify(creation_id)
        if said["check"]:
            self._check_soon(creation_id)
        self._show(creation_id)
        return True

    async def deliver_missed(self, topics: Sequence[Topic[Session]]) -> None:
        """Ask the other nodes who is there."""
        for topic in topics:
            self._notify(CreationId(topic.key), ask=True)

    # ------------------------------------------------------------------ commands

    async def _join(self, session: Session, command: JoinCreation) -> Ok:
        creation_id, user_id = command.creation_id, session.who.user_id
        key = ("creation", creation_id)
        if not session.follows(key) and session.following("creation") >= JOINED_MAX:
            raise RateLimited(f"A connection can be in {JOINED_MAX} creations; leave one first.")
        found = await self._store.list_present([(creation_id, user_id)])
        if not found:
            raise CreationNotFound
        [may] = found
        session.unfollow(key)
        try:
            # Each is a view of their own, since blocks hide people from some and not from others.
            stop = self._topics.subscribe(creation_id, session, session.socket.send, view=session)
        except TooManySubscribers:
            raise Overloaded from None
        people = self._here.setdefault(creation_id, {})
        people[session] = _Present(user_id, may.username, may.role, command.focus, may.hidden)
        session.follow(key, lambda: self._gone(creation_id, session, stop))
        self._show(creation_id)
        self._notify(creation_id, ask=True)
        return Ok(re=command.id)

    def _focus(self, session: Session, command: FocusCreation) -> None:
        people = self._here.get(command.creation_id, {})
        present = people.get(session)
        if present is None:
            raise Forbidden("Send creation.join first.")
        people[session] = present._replace(focus=command.focus)
        session.reply(command.id)
        self._changed(command.creation_id)

    def _leave(self, session: Session, command: LeaveCreation) -> None:
        session.unfollow(("creation", command.creation_id))
        session.reply(command.id)

    # ------------------------------------------------------------------ details

    def _gone(self, creation_id: CreationId, session: Session, stop: Callable[[], None]) -> None:
        stop()
        people = self._here.get(creation_id, {})
        people.pop(session, None)
        self._sent.get(creation_id, {}).pop(session, None)
        if people:
            self._changed(creation_id)
            return
        self._here.pop(creation_id, None)
        self._notify(creation_id)
        self._elsewhere.pop(creation_id, None)
        self._sent.pop(creation_id, None)

    def _changed(self, creation_id: CreationId) -> None:
        self._show(creation_id)
        self._notify(creation_id)

    def _people_here(self, creation_id: CreationId) -> dict[UserId, PersonPresent]:
        """List who is here, once each: as their last connection says."""
        return {
            each.user_id: PersonPresent(
                user_id=each.user_id, username=each.username, role=each.role, focus=each.focus
            )
            for each in self._here.get(creation_id, {}).values()
        }

    def _show(self, creation_id: CreationId) -> None:
        """Show each of those who are here who is there, if that is news to them."""
        topic = self._topics.get(creation_id)
        here = self._here.get(creation_id)
        if topic is None or not here:
            return
        people = {
            each.user_id: each
            for other in self._elsewhere.get(creation_id, {}).values()
            for each in other.people
        } | self._people_here(creation_id)
        shown = [people[user_id] for user_id in sorted(people)]
        encoded: dict[frozenset[UserId], bytes] = {}  # by who is hidden; mostly nobody
        sent = self._sent.setdefault(creation_id, {})
        news = {}
        for session, present in here.items():
            hidden = present.hidden.intersection(people)
            if hidden not in encoded:
                seen = [each for each in shown if each.user_id not in hidden][:PEOPLE_MAX]
                encoded[hidden] = update_frame(
                    CreationPresence(creation_id=creation_id, people=seen)
                )
            if sent.get(session) != encoded[hidden]:
                news[session] = sent[session] = encoded[hidden]
        if news:
            topic.send_views(news)

    def _notify(self, creation_id: CreationId, *, ask: bool = False, check: bool = False) -> None:
        if not self._subscriptions.has_peers:
            return
        people = [each.model_dump() for each in self._people_here(creation_id).values()]
        said: dict[str, Any] = {
            "node": self._node,
            "ask": ask,
            "check": check,
            "people": people[:PEOPLE_MAX],
        }
        self._topics.notify(creation_id, payload=orjson.dumps(said))

    def _check_soon(self, creation_id: CreationId) -> None:
        if creation_id in self._here:
            self._to_check.add(creation_id)
            self._woken.set()

    def _forget_silent(self) -> None:
        long_ago = self._now() - FORGOTTEN_AFTER_S
        for creation_id, nodes in list(self._elsewhere.items()):
            kept = {name: each for name, each in nodes.items() if each.heard_at >= long_ago}
            if len(kept) < len(nodes):
                self._elsewhere[creation_id] = kept
                self._show(creation_id)

    async def _check(self, creations: Sequence[CreationId]) -> None:
        """End the presence of those who may not be there any more; note other roles and blocks."""
        pairs = list(
            {
                (creation_id, present.user_id)
                for creation_id in creations
                for present in self._here.get(creation_id, {}).values()
            }
        )
        for start in range(0, len(pairs), ASKED_AT_ONCE):
            some = pairs[start : start + ASKED_AT_ONCE]
            may = {
                (each.creation_id, each.user_id): each
                for each in await self._store.list_present(some)
            }
            for creation_id, user_id in some:
                self._admit(creation_id, user_id, may.get((creation_id, user_id)))

    def _admit(self, creation_id: CreationId, user_id: UserId, may: MayBePresent | None) -> None:
        people = self._here.get(creation_id, {})
        for session, present in list(people.items()):
            if present.user_id != user_id:
                continue
            if may is None:
                session.unfollow(("creation", creation_id))
                nobody = CreationPresence(creation_id=creation_id, people=[])
                session.socket.send(update_frame(nobody))
            elif (present.role, present.hidden) != (may.role, may.hidden):
                people[session] = present._replace(role=may.role, hidden=may.hidden)
                self._changed(creation_id)
