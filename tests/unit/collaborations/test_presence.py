"""Who is in a creation, on two nodes that share a broker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from persistence.broker.memory import MemoryBroker, MemoryHub
from persistence.collaborations.store import CollaborationStore, MayBePresent
from protocol.collaborations import FocusCreation, JoinCreation, LeaveCreation
from protocol.creations import CreationNotFound
from protocol.errors import RateLimited
from protocol.ids import CreationId, UserId, new_id
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.social.collaborations import presence
from server.domains.social.collaborations.presence import LivePresence
from server.gateway.session.sessions import Session

CREATION = CreationId(new_id())
ANN, BOB, EVE = (UserId(new_id()) for _ in range(3))


class Rights:
    """Who may be in the creation, in the place of the database."""

    def __init__(self) -> None:
        self.roles = {ANN: "owner", BOB: "editor"}
        self.blocks: set[frozenset[UserId]] = set()

    async def list_present(self, pairs: Collection[tuple[CreationId, UserId]]) -> list[Any]:
        return [
            MayBePresent(
                creation,
                person,
                f"name {person[:4]}",
                cast("Any", self.roles[person]),
                frozenset(
                    other for pair in self.blocks if person in pair for other in pair - {person}
                ),
            )
            for creation, person in pairs
            if person in self.roles
        ]


class Line:
    """What presence needs of a session, and what it was shown."""

    def __init__(self, user_id: UserId) -> None:
        self.who = SimpleNamespace(user_id=user_id)
        self.socket = SimpleNamespace(send=self._send)
        self.shown: list[tuple[UserId, str | None]] | None = None
        self.history: list[list[tuple[UserId, str | None]]] = []
        self._stops: dict[object, Callable[[], None]] = {}

    def _send(self, frame: bytes) -> None:
        update = orjson.loads(frame[frame.index(b"{") :])
        self.shown = [(each["user_id"], each["focus"]) for each in update["people"]]
        self.history.append(self.shown)

    def reply(self, command_id: int) -> None: ...

    def follows(self, key: object) -> bool:
        return key in self._stops

    def following(self, _: str) -> int:
        return len(self._stops)

    def follow(self, key: object, stop: Callable[[], None]) -> None:
        self._stops[key] = stop

    def unfollow(self, key: object) -> bool:
        stop = self._stops.pop(key, None)
        if stop is not None:
            stop()
        return stop is not None


class Node:
    """A node's presence; `now` is its clock."""

    def __init__(self, hub: MemoryHub, name: str, rights: Rights) -> None:
        self.now = 0.0
        self.broker = MemoryBroker(hub, is_whole=True)
        self.subscriptions = Subscriptions(self.broker)
        store = cast("CollaborationStore", rights)
        self.presence = LivePresence(self.subscriptions, store, node=name, now=lambda: self.now)
        routes = self.presence.routes()
        self._join = routes[JoinCreation].awaited
        self._focus = routes[FocusCreation].immediate
        self._leave = routes[LeaveCreation].immediate

    async def join(self, line: Line, creation: CreationId = CREATION) -> None:
        assert self._join is not None
        command = JoinCreation(id=1, type="creation.join", creation_id=creation)
        await self._join(cast("Session", line), command)

    def focus(self, line: Line, focus: str) -> None:
        assert self._focus is not None
        command = FocusCreation(id=2, type="creation.focus", creation_id=CREATION, focus=focus)
        self._focus(cast("Session", line), command)

    def leave(self, line: Line) -> None:
        assert self._leave is not None
        command = LeaveCreation(id=3, type="creation.leave", creation_id=CREATION)
        self._leave(cast("Session", line), command)


@pytest.fixture
async def rights() -> Rights:
    return Rights()


@pytest.fixture
async def nodes(rights: Rights, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[Node]]:
    monkeypatch.setattr(presence, "REPEAT_EVERY_S", 0.01)
    hub = MemoryHub()
    both = [Node(hub, name, rights) for name in ("one", "two")]
    async with Tasks() as tasks:
        for node in both:
            tasks.start_loop(node.broker.run(), name="broker")
            tasks.start_loop(node.subscriptions.run(), name="subscriptions")
            tasks.start_loop(node.presence.run(), name="presence")
        yield both


async def until(line: Line, expected: list[tuple[UserId, str | None]]) -> None:
    async with asyncio.timeout(20):
        while line.shown is None or sorted(line.shown) != sorted(expected):
            await asyncio.sleep(0.005)


async def test_people_on_two_nodes_see_each_other(nodes: list[Node]) -> None:
    one, two = nodes
    anns, bobs, again = Line(ANN), Line(BOB), Line(BOB)
    await one.join(anns)
    await two.join(bobs)
    await until(anns, [(ANN, None), (BOB, None)])
    await until(bobs, [(ANN, None), (BOB, None)])
    two.focus(bobs, "title")
    await until(anns, [(ANN, None), (BOB, "title")])
    await one.join(again)  # with another device, on the other node: it is one person still
    two.leave(bobs)
    await until(anns, [(ANN, None), (BOB, None)])
    one.leave(again)
    await until(anns, [(ANN, None)])


async def test_people_of_a_node_that_died_are_forgotten(nodes: list[Node]) -> None:
    one, two = nodes
    anns, bobs = Line(ANN), Line(BOB)
    await one.join(anns)
    await two.join(bobs)
    await until(anns, [(ANN, None), (BOB, None)])
    two.presence._notify = lambda *_, **__: None  # type: ignore[method-assign]
    async with asyncio.timeout(20):
        while anns.shown != [(ANN, None)]:
            one.now += 60.0  # what was under way still counts as heard
            await asyncio.sleep(0.005)


async def test_who_may_not_be_there_is_there_no_longer(nodes: list[Node], rights: Rights) -> None:
    one, two = nodes
    anns, bobs = Line(ANN), Line(BOB)
    await one.join(anns)
    await two.join(bobs)
    await until(anns, [(ANN, None), (BOB, None)])
    del rights.roles[BOB]
    one.presence.announce_change(CREATION)
    await until(bobs, [])
    await until(anns, [(ANN, None)])
    assert len(two.presence) == 0
    with pytest.raises(CreationNotFound):
        await two.join(Line(EVE))


async def test_blocked_people_do_not_see_each_other_on_any_node(
    nodes: list[Node], rights: Rights
) -> None:
    one, two = nodes
    rights.roles[EVE] = "editor"
    rights.blocks.add(frozenset({BOB, EVE}))
    anns, bobs, eves = Line(ANN), Line(BOB), Line(EVE)
    await one.join(anns)
    await one.join(bobs)
    await two.join(eves)
    await until(anns, [(ANN, None), (BOB, None), (EVE, None)])
    two.focus(eves, "title")
    one.focus(anns, "tags")
    await until(bobs, [(ANN, "tags"), (BOB, None)])
    await until(eves, [(ANN, "tags"), (EVE, "title")])
    assert not [shown for shown in bobs.history if any(user == EVE for user, _ in shown)]
    assert not [shown for shown in eves.history if any(user == BOB for user, _ in shown)]
    rights.blocks.clear()
    await until(bobs, [(ANN, "tags"), (BOB, None), (EVE, "title")])
    rights.blocks.add(frozenset({BOB, EVE}))
    await until(bobs, [(ANN, "tags"), (BOB, None)])
    await until(eves, [(ANN, "tags"), (EVE, "title")])


async def test_creations_of_one_connection_are_bounded(nodes: list[Node]) -> None:
    line = Line(ANN)
    for _ in range(8):
        await nodes[0].join(line, CreationId(new_id()))
    with pytest.raises(RateLimited):
        await nodes[0].join(line)
