"""What one node does reaches followers on another, by the broker or by the next look."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from persistence.broker import Notice
from persistence.broker.memory import MemoryHub
from persistence.database import Database
from persistence.rls import RlsDatabase
from protocol.ids import GameId, LobbyId
from server.core.events import WatcherExcluded
from tests.integration.lobbies.hall import Hall, Json, Person, open_hall

LISTED = "lobby.listed"


class Nodes(NamedTuple):
    here: Hall
    there: Hall


@pytest.fixture
async def nodes(database: Database, rls: RlsDatabase) -> AsyncIterator[Nodes]:
    """Two nodes that hear of each other."""
    hub = MemoryHub()
    async with (
        open_hall(database, rls, hub=hub) as here,
        open_hall(database, rls, hub=hub) as there,
    ):
        yield Nodes(here, there)


@pytest.fixture
async def strangers(database: Database, rls: RlsDatabase) -> AsyncIterator[Nodes]:
    """Two nodes that only have the database in common."""
    async with open_hall(database, rls) as here, open_hall(database, rls) as there:
        yield Nodes(here, there)


def listed(person: Person) -> list[tuple[int, str | None]]:
    return [
        (update["version"], update["lobby"] and update["lobby"]["name"])
        for update in person.heard(LISTED)
    ]


async def test_change_reaches_a_follower_on_another_node(nodes: Nodes) -> None:
    ann, eve = await nodes.here.person(), await nodes.there.person("Eve")
    at = {"lobby_id": (await ann.lobby("create", ruleset="el_dorado"))["lobby_id"]}
    await eve.lobby("watch", **at)
    await ann.lobby("add_bot", **at, bot="random")
    assert len((await eve.hear("caught_up"))["members"]) == 2
    await ann.ask("lobby.close", **at)
    await eve.hear("closed")
    assert not eve.hears_of(at["lobby_id"])


async def test_what_is_said_in_a_lobby_reaches_another_node_in_order(nodes: Nodes) -> None:
    ann, eve = await nodes.here.person(), await nodes.there.person("Eve")
    at = {"lobby_id": (await ann.lobby("create", ruleset="el_dorado"))["lobby_id"]}
    await eve.lobby("join", **at)
    for n in range(4):
        await ann.ask("chat.say", **at, text=f"{n}")
    await eve.ask("chat.say", **at, text="Hello")
    await ann.until(lambda: len(ann.heard("chat.message")) == 5)
    await eve.until(lambda: len(eve.heard("chat.message")) == 5)
    said = [m["text"] for m in eve.heard("chat.message") if m["player_id"] == ann.player_id]
    assert said == ["0", "1", "2", "3"]


async def test_list_reaches_another_node_as_its_filters_have_it(nodes: Nodes) -> None:
    ann = await nodes.here.person()
    all_, relays, amber = [await nodes.there.person(name) for name in "ABC"]
    await all_.ask("lobby.watch")
    await relays.ask("lobby.watch", ruleset="relay")
    await amber.ask("lobby.watch", text="amber")
    at = {"lobby_id": (await ann.lobby("create", ruleset="el_dorado", name="Amber"))["lobby_id"]}
    await ann.lobby("configure", **at, name="Green")
    await ann.ask("lobby.close", **at)
    await all_.until(lambda: len(all_.heard(LISTED)) == 3)
    assert listed(all_) == [(1, "Amber"), (2, "Green"), (3, None)]
    assert listed(amber) == [(1, "Amber"), (2, None)]
    assert listed(relays) == []
    here = await nodes.here.person("Here")
    await here.ask("lobby.watch")
    await ann.lobby("create", ruleset="relay", name="Wires")
    await all_.until(lambda: len(all_.heard(LISTED)) == 4)
    assert here.heard(LISTED) == all_.heard(LISTED)[3:], "the same on both nodes"


async def test_list_without_a_broker_is_compared_with_the_database(strangers: Nodes) -> None:
    ann, bob, cem = await strangers.here.people(3)
    eve = await strangers.there.person("Eve")
    first = await ann.lobby("create", ruleset="relay", name="First")
    second = await bob.lobby("create", ruleset="relay", name="Second")
    watched = await eve.ask("lobby.watch")
    assert len(watched["lobbies"]) == 2
    await strangers.there.catch_up()
    assert listed(eve) == [], "what was read is not sent"
    await ann.ask("lobby.close", lobby_id=first["lobby_id"])
    await bob.lobby("configure", lobby_id=second["lobby_id"], name="Second best")
    await cem.lobby("create", ruleset="relay", name="Third")
    for _ in range(2):
        await strangers.there.catch_up()
    assert sorted(listed(eve), key=str) == [(1, "Third"), (2, "Second best"), (2, None)]
    await strangers.here.run("UPDATE lobbies SET closed_at = now() - interval '9 days'")
    owned = await strangers.here.store.delete_closed(60, limit=9)
    assert owned == 1
    await strangers.there.catch_up()
    assert len(listed(eve)) == 3


async def test_late_notice_of_the_list_shows_nothing_old(nodes: Nodes) -> None:
    """Two nodes change one lobby, and the notice of the earlier change comes last."""
    ann = await nodes.here.person()
    eve, amber = await nodes.there.person("Eve"), await nodes.there.person("Fay")
    await eve.ask("lobby.watch")
    await amber.ask("lobby.watch", text="amber")
    notices: list[Notice] = []
    nodes.here.subscriptions.broker.publish = notices.append  # type: ignore[method-assign]
    at = {"lobby_id": (await ann.lobby("create", ruleset="el_dorado", name="Amber"))["lobby_id"]}
    await ann.lobby("configure", **at, name="Green")
    await ann.lobby("add_bot", **at, bot="random")
    first, second, third = (each for each in notices if each.topic.startswith("lobby-list:"))
    public_list = nodes.there.room.members._subscribers.public_list
    (topic,) = public_list._kind.topics()
    for notice in (first, third, second):
        assert public_list.on_notice(topic, notice)
    assert listed(eve) == [(1, "Amber"), (3, "Green")]
    assert listed(amber) == [(1, "Amber"), (3, None)]


@pytest.mark.parametrize("payload", [b"", b"{}", b"[1]", b"[1,2,3,4,5,6]", b"\xff"])
async def test_notice_of_the_list_that_says_too_little_has_it_read(
    nodes: Nodes, payload: bytes
) -> None:
    ann, eve = await nodes.here.person(), await nodes.there.person("Eve")
    await eve.ask("lobby.watch")
    nodes.here.subscriptions.broker.publish = lambda _: None  # type: ignore[method-assign]
    await ann.lobby("create", ruleset="relay", name="Wires")
    (topic,) = nodes.there.room.members._subscribers.public_list._kind.topics()
    topic._kind.on_notice(Notice(topic.name, payload=payload))
    await eve.until(lambda: listed(eve) == [(1, "Wires")])


async def test_kick_is_looked_for_on_the_node_that_has_the_game(nodes: Nodes) -> None:
    ann, bob = await nodes.here.people(2)
    at = {"lobby_id": (await ann.lobby("create", ruleset="relay", seats=2))["lobby_id"]}
    await bob.lobby("join", **at)
    for person in (ann, bob):
        await person.lobby("ready", **at, ready=True)
    game_id = (await ann.lobby("start", **at))["game_id"]
    excluded: list[WatcherExcluded] = []
    nodes.there.games_here[LobbyId(at["lobby_id"])] = GameId(game_id)
    nodes.there.events.add_listeners({WatcherExcluded: excluded.append})
    cem = await nodes.here.person("Cem")
    await cem.lobby("join", **at, role="spectator")
    await ann.lobby("kick", **at, player_id=cem.player_id)
    async with asyncio.timeout(20):
        while WatcherExcluded(GameId(game_id), cem.player_id) not in excluded:
            await asyncio.sleep(0.01)


async def test_change_while_the_first_follower_reads_is_sent_after_the_reply(nodes: Nodes) -> None:
    ann, eve = await nodes.here.person(), await nodes.there.person("Eve")
    at = {"lobby_id": (await ann.lobby("create", ruleset="el_dorado"))["lobby_id"]}
    read, reads = nodes.there.store.read, []

    async def read_late(lobby_id: str) -> object:
        found = await read(lobby_id)  # type: ignore[arg-type]  # ids are text
        reads.append(found)
        if len(reads) == 2:  # the one that is answered with
            await ann.lobby("add_bot", **at, bot="random")
            metrics = nodes.there.subscriptions.metrics
            async with asyncio.timeout(20):
                while not metrics.caught_up or not metrics.notices:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            assert eve.heard() == []
        return found

    nodes.there.store.read = read_late  # type: ignore[method-assign,assignment]
    watched: Json = await eve.lobby("watch", **at)
    assert watched["version"] == 1
    await eve.until(lambda: [update["version"] for update in eve.heard()] == [2])


async def test_what_another_node_changed_is_not_decided_on_what_was_known(strangers: Nodes) -> None:
    ann, (bob, cem) = await strangers.here.person(), await strangers.there.people(2)
    lobby = await ann.lobby("create", ruleset="four_in_a_row")
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at)  # there; here, the lobby is known without him
    assert await strangers.there.run("SELECT version FROM lobbies") == [(2,)]
    dan = await strangers.here.person("Dan")
    assert await dan.refusal("lobby.join", **at) == "lobby_full"
    await bob.lobby("ready", **at, ready=True)
    # Here it was refused a moment ago, as far as is known; what is stored decides.
    started = await ann.lobby("start", **at)
    assert started["status"] == "PLAYING"
    assert await cem.refusal("lobby.join", **at) == "lobby_closed"
    assert len(strangers.here.games[0].players) == 2
