"""Following one lobby."""

import asyncio
from functools import partial

import pytest

from tests.integration.lobbies.hall import Hall, without_code

HELD = 3  # the topics that every node holds: kicks, where players are, and limits


async def test_watcher_hears_every_change_until_unwatching(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("watch", **at)
    await bob.lobby("watch", **at)
    after = await ann.lobby("add_bot", **at, bot="random")
    assert [u["lobby"] for u in bob.heard()] == [without_code(after)]
    await bob.ask("lobby.unwatch", **at)
    await ann.lobby("add_bot", **at, bot="random")
    assert bob.changes() == ["bot_added"]


async def test_who_joins_while_watching_hears_each_change_once(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("watch", **at)
    await bob.lobby("join", **at)
    await ann.lobby("add_bot", **at, bot="random")
    assert bob.changes() == ["joined", "bot_added"]


async def test_no_change_is_missed_between_following_and_reading(hall: Hall) -> None:
    """A change that is stored while the watcher reads is in the reply or comes as an update."""
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    at = {"lobby_id": lobby["lobby_id"]}
    read, reads = hall.store.read, []

    async def read_then_change(lobby_id: str) -> object:
        found = await read(lobby_id)  # type: ignore[arg-type]  # ids are text
        reads.append(found)
        if len(reads) == 2:
            await ann.lobby("add_bot", **at, bot="random")
        return found

    hall.store.read = read_then_change  # type: ignore[method-assign,assignment]  # the moment between
    watched = await bob.lobby("watch", **at)
    assert watched["version"] == 1
    assert [update["version"] for update in bob.heard()] == [2]


async def test_closed_connection_follows_nothing(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("watch", lobby_id=lobby["lobby_id"])
    assert hall.listeners(lobby["lobby_id"]) == 2
    bob.disconnect()
    assert hall.listeners(lobby["lobby_id"]) == 1


@pytest.mark.parametrize("command", ["watch", "join"])
async def test_connection_that_closes_while_it_asks_follows_nothing(
    hall: Hall, command: str
) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    for at in ({"lobby_id": lobby["lobby_id"]}, {}):
        asked = bob.send(f"lobby.{command}", **at)
        await asyncio.sleep(0)  # it is under way
        bob.disconnect()
        await bob.until(partial(bob.memory.replies.__contains__, asked))
        bob.connect()
    assert hall.listeners(lobby["lobby_id"]) == 1
    assert hall.subscriptions.topics == 1 + 1 + HELD  # the lobby, what is said there


async def test_one_connection_watches_a_bounded_number(hall: Hall) -> None:
    bob, *hosts = await hall.people(34)
    lobbies = [await host.lobby("create", ruleset="relay") for host in hosts]
    bob.session._bucket._burst = bob.session._bucket._tokens = 1000.0
    for lobby in lobbies[:32]:
        await bob.lobby("watch", lobby_id=lobby["lobby_id"])
    over = {"lobby_id": lobbies[32]["lobby_id"]}
    assert await bob.refusal("lobby.watch", **over) == "too_many_lobbies"
    await bob.ask("lobby.unwatch", lobby_id=lobbies[0]["lobby_id"])
    await bob.lobby("watch", **over)


async def test_unknown_lobby_is_not_found(hall: Hall) -> None:
    ann = await hall.person()
    nowhere = {"lobby_id": "00000000-0000-4000-8000-000000000000"}
    for command in ("watch", "join", "leave", "ready", "start", "close"):
        assert await ann.refusal(f"lobby.{command}", **nowhere) == "lobby_not_found"
    await ann.ask("lobby.unwatch", **nowhere)
