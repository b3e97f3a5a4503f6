"""A lobby that closes leaves one event, whoever closes it."""

from persistence.rls import Requester
from protocol.domain_events import DurableEvent, LobbyClosed
from protocol.ids import SessionId, new_id
from tests.fixtures.rows import events_in
from tests.integration.lobbies.hall import Hall


async def _closed(hall: Hall) -> list[DurableEvent]:
    async with hall.database.acquire() as connection:
        return await events_in(connection)


async def test_lobby_that_everybody_leaves_is_published_once(hall: Hall) -> None:
    ann = await hall.person()
    lobby = await ann.lobby("create", ruleset="relay", seats=2)
    assert await _closed(hall) == []
    await ann.ask("lobby.leave", lobby_id=lobby["lobby_id"])
    expected = LobbyClosed(
        lobby_id=lobby["lobby_id"], mode="server", ruleset="relay", game_id=None, match_id=None
    )
    assert await _closed(hall) == [expected]
    await hall.run("UPDATE lobbies SET status = 'CLOSED', version = version + 1")
    assert await _closed(hall) == [expected]


async def test_lobby_that_its_host_closes_as_themselves_is_published_too(hall: Hall) -> None:
    ann = await hall.person()
    lobby = await ann.lobby("create", ruleset="relay", seats=2)
    requester = Requester(ann.player_id, SessionId(new_id()))
    assert await hall.store.close_as(requester, lobby["lobby_id"])
    [closed] = await _closed(hall)
    assert isinstance(closed, LobbyClosed)
    assert closed.lobby_id == lobby["lobby_id"]
