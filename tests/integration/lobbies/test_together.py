"""Lobbies that are written in one statement: each is decided, refused and answered by itself."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import replace

import asyncpg
import pytest

from persistence.database import Database
from persistence.lobbies.model import JoiningPlayer, Lobby
from persistence.lobbies.store import LobbyStore
from persistence.rls import RlsDatabase
from protocol.errors import Overloaded, Unavailable
from protocol.ids import LobbyId
from protocol.lobbies import OPEN_LOBBIES_MAX
from server.domains.play.lobbies import rules
from tests.faults.proxy import Loss, proxied
from tests.integration.lobbies.hall import Hall, Person

LOBBIES = 3


async def together(
    store: LobbyStore, *asked: Coroutine[None, None, Lobby | None]
) -> list[Lobby | BaseException | None]:
    """Ask for all before anything is written, and then have it written in one statement."""
    tasks = [asyncio.create_task(each) for each in asked]
    for _ in range(10):
        await asyncio.sleep(0)
    running = asyncio.create_task(store.run())
    try:
        return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def store(database: Database, rls: RlsDatabase) -> LobbyStore:
    """A second store of the hall's lobbies, which writes only what `together` asks for."""
    return LobbyStore(database, rls)


async def open_lobbies(hall: Hall, seats: int = 2) -> tuple[list[Person], list[Lobby]]:
    hosts = await hall.people(LOBBIES)
    opened = [await host.lobby("create", ruleset="relay", seats=seats) for host in hosts]
    found = [await hall.store.read(LobbyId(each["lobby_id"])) for each in opened]
    return hosts, [lobby for lobby in found if lobby is not None]


async def join(store: LobbyStore, lobby: Lobby, who: Person) -> Lobby | None:
    after = rules.join_lobby(lobby, JoiningPlayer(who.player_id, "", 0), "player")
    return await store.change(lobby, after, joiner=who.player_id, open_max=OPEN_LOBBIES_MAX)


def is_written(outcomes: Sequence[Lobby | BaseException | None]) -> list[bool]:
    assert not any(isinstance(each, BaseException) for each in outcomes), outcomes
    return [each is not None for each in outcomes]


async def stored_members(hall: Hall, lobbies: Sequence[Lobby]) -> list[int]:
    found = [await hall.store.read(lobby.lobby_id) for lobby in lobbies]
    return [len(lobby.members) for lobby in found if lobby is not None]


async def test_two_who_take_the_last_seat_in_one_statement_get_it_once(
    hall: Hall, store: LobbyStore
) -> None:
    _, (contested, other, _) = await open_lobbies(hall)
    ann, ben, eve = await hall.people(3)
    first, second, third = await together(
        store, join(store, contested, ann), join(store, contested, ben), join(store, other, eve)
    )
    assert is_written([first, second, third]) == [True, False, True]
    assert isinstance(first, Lobby)
    assert first.members[1].display_name == ann.name
    assert first.version == contested.version + 1
    assert await stored_members(hall, [contested, other]) == [2, 2]


async def test_lobby_that_has_changed_since_is_left_out_alone(
    hall: Hall, store: LobbyStore
) -> None:
    hosts, lobbies = await open_lobbies(hall)
    await hosts[1].lobby("ready", lobby_id=lobbies[1].lobby_id)
    people = await hall.people(LOBBIES)
    asked = [join(store, *each) for each in zip(lobbies, people, strict=True)]
    assert is_written(await together(store, *asked)) == [True, False, True]
    assert await stored_members(hall, lobbies) == [2, 1, 2]


async def test_one_player_does_not_get_into_more_than_the_limit_in_one_statement(
    hall: Hall, store: LobbyStore
) -> None:
    _, lobbies = await open_lobbies(hall)
    ann = await hall.person()
    for _ in range(OPEN_LOBBIES_MAX - 1):
        await ann.lobby("create", ruleset="relay", seats=2)
    asked = [join(store, lobby, ann) for lobby in lobbies]
    assert is_written(await together(store, *asked)) == [True, False, False]


async def test_lobby_that_is_locked_holds_up_no_other(
    hall: Hall, store: LobbyStore, database: Database
) -> None:
    _, lobbies = await open_lobbies(hall)
    ann, ben, eve = await hall.people(LOBBIES)
    async with database.transaction() as holder:
        await holder.execute(
            "SELECT FROM lobbies WHERE id = $1 FOR NO KEY UPDATE", lobbies[0].lobby_id
        )
        await holder.execute("SELECT FROM players WHERE id = $1 FOR NO KEY UPDATE", ben.player_id)
        asked = [join(store, *each) for each in zip(lobbies, (ann, ben, eve), strict=True)]
        assert is_written(await together(store, *asked)) == [False, False, True]
        waiting = asyncio.ensure_future(ann.lobby("join", lobby_id=lobbies[0].lobby_id))
        assert (await eve.lobby("ready", lobby_id=lobbies[2].lobby_id))["version"] == 3
        assert not waiting.done()
    assert len((await waiting)["members"]) == 2  # written alone, once the lock was released


async def test_change_that_the_database_refuses_fails_alone_and_the_others_are_written_once(
    hall: Hall,
) -> None:
    hosts, lobbies = await open_lobbies(hall)
    changes = hall.room._changes

    async def rename(lobby: Lobby, name: str) -> Lobby:
        return await changes.apply_rule(
            lobby.lobby_id, lambda before: replace(before, name=name), "configured"
        )

    # The last is written alone at first; the others share the statement after it.
    names = ["good", "with a \0", "fine"]
    outcomes = await asyncio.gather(
        hosts[0].lobby("ready", lobby_id=lobbies[0].lobby_id),
        *map(rename, lobbies, names),
        return_exceptions=True,
    )
    assert isinstance(outcomes[2], asyncpg.PostgresError)
    assert [isinstance(each, BaseException) for each in outcomes] == [False, False, True, False]
    stored = [await hall.store.read(lobby.lobby_id) for lobby in lobbies]
    assert [(each.name, each.version) for each in stored if each is not None] == [
        ("good", 3),
        (lobbies[1].name, 1),
        ("fine", 2),
    ]


async def test_opening_under_a_code_that_is_taken_is_left_out_alone(
    hall: Hall, store: LobbyStore
) -> None:
    hosts, lobbies = await open_lobbies(hall)
    mine = await hall.store.read(lobbies[0].lobby_id)
    assert mine is not None
    codes = ["AAAAAA", mine.join_code, "BBBBBB"]
    drafts = [
        replace(mine, lobby_id=LobbyId(f"{n}" * 8 + mine.lobby_id[8:]), join_code=code)
        for n, code in enumerate(codes)
    ]
    opened = await together(
        store, *(store.open(each, open_max=OPEN_LOBBIES_MAX) for each in drafts)
    )
    assert is_written(opened) == [True, False, True]
    assert isinstance(opened[0], Lobby)
    assert opened[0].members[0].display_name == hosts[0].name


@pytest.mark.parametrize("loss", [Loss.ANSWER_LOST, Loss.STATEMENT_LOST])
async def test_when_the_connection_breaks_all_are_told_and_all_or_none_are_written(
    hall: Hall, serving_dsn: str, rls: RlsDatabase, loss: Loss
) -> None:
    _, lobbies = await open_lobbies(hall)
    people = await hall.people(LOBBIES)
    async with proxied(serving_dsn) as proxy, await Database.open(proxy.dsn) as database:
        store = LobbyStore(database, rls)
        proxy.trap("LATERAL change_lobby", loss)
        asked = [join(store, *each) for each in zip(lobbies, people, strict=True)]
        outcomes = await together(store, *asked)
        assert Counter(map(type, outcomes)) == {Unavailable: LOBBIES}
    seated = 2 if loss is Loss.ANSWER_LOST else 1
    assert await stored_members(hall, lobbies) == [seated] * LOBBIES
    # Who asks again is in, and once.
    for lobby, person in zip(lobbies, people, strict=True):
        assert len((await person.lobby("join", lobby_id=lobby.lobby_id))["members"]) == 2


async def test_without_a_free_connection_all_are_refused_at_once(
    hall: Hall, fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, lobbies = await open_lobbies(hall)
    ann, *_ = await hall.people(1)
    monkeypatch.setattr("persistence.database.ACQUIRE_TIMEOUT_S", 0.1)
    async with await Database.open(fresh_dsn, embedded=True, pool_max=1) as narrow:
        store = LobbyStore(narrow, RlsDatabase(narrow))
        async with narrow.acquire():
            refused = await together(store, *(join(store, each, ann) for each in lobbies))
    assert list(map(type, refused)) == [Overloaded] * LOBBIES
    assert await stored_members(hall, lobbies) == [1] * LOBBIES
