"""An account that is made leaves an event, and one that is not leaves none."""

import pytest

from persistence.accounts.store import NewAccount
from protocol.domain_events import UserCreated
from protocol.ids import PlayerId, UserId, new_id
from tests.fixtures.rows import events_in
from tests.integration.accounts.conftest import Room


async def _of(room: Room, user_id: str) -> list[UserCreated]:
    async with room.database.acquire() as connection:
        events = await events_in(connection)
    return [one for one in events if isinstance(one, UserCreated) and one.user_id == user_id]


async def test_new_guest_is_published_by_id(room: Room) -> None:
    guest = await room.accounts.create_guest("Zoe")
    assert await _of(room, guest.user_id) == [
        UserCreated(user_id=UserId(guest.user_id), method="guest")
    ]


async def test_account_of_another_service_is_published_when_it_first_comes(room: Room) -> None:
    user_id = UserId(new_id())
    guest = NewAccount(user_id, PlayerId(new_id()), f"u{user_id[:8]}", "Zoe", "", "#fff")
    async with room.database.acquire() as connection:
        await connection.execute("INSERT INTO auth.users (id) VALUES ($1)", user_id)
    for _ in range(2):
        await room.store.ensure_profile_and_player(guest)
    assert await _of(room, user_id) == [UserCreated(user_id=user_id, method="supabase")]


async def test_account_that_could_not_be_made_is_not_published(room: Room) -> None:
    user_id = UserId(new_id())
    guest = NewAccount(user_id, PlayerId(new_id()), "nobody-knows", "Zoe", "", "#fff")
    with pytest.raises(Exception, match=user_id):
        await room.store.ensure_profile_and_player(guest)
    assert await _of(room, user_id) == []
