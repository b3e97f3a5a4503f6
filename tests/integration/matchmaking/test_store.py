"""The queue on a real database: offers, races between nodes, claims and what is cleared up."""

import asyncio
from collections import Counter
from random import Random

import asyncpg
import pytest

from persistence.database import Database
from persistence.matchmaking.store import MatchStore, NewTicket
from protocol.ids import GameId, PlayerId, new_id
from protocol.matchmaking import AlreadyQueued, MatchStarting, NotQueued
from server.domains.play.matchmaking.rules import SearchRules
from server.domains.play.matchmaking.search import search_queue
from server.rulesets import find_rulesets
from tests.fixtures.rows import add_player

REVERSI = find_rulesets()["reversi"]
TICKET = NewTicket("reversi", 2, {}, None, 1500.0, {}, [], True)


class Queue:
    """A queue, and a second pool as another node has it."""

    def __init__(self, database: Database, owner: asyncpg.Connection) -> None:
        self.store = MatchStore(database)
        self.database = database
        self.owner = owner

    async def people(self, count: int) -> list[PlayerId]:
        async with self.database.acquire() as connection:
            return [PlayerId(str(await add_player(connection))) for _ in range(count)]

    async def queued(self, count: int, **fields: object) -> list[PlayerId]:
        people = await self.people(count)
        for person in people:
            assert await self.store.add(TICKET._replace(**fields), [person], tickets_max=1000)
        return people

    async def search(self, accept_s: float = 0) -> int | None:
        async with self.store.hold_queue("reversi") as queue:
            if queue is None:
                return None
            rules, shuffle = SearchRules(), Random(1).shuffle
            found = await search_queue(queue, REVERSI, rules, accept_s=accept_s, shuffle=shuffle)
            return found.matches

    async def states(self) -> Counter[str | None]:
        rows = await self.owner.fetch(
            "SELECT f.state FROM match_tickets t LEFT JOIN found_matches f USING (match_id)"
        )
        return Counter(row["state"] for row in rows)


@pytest.fixture
async def queue(database: Database, fresh_dsn: str):  # type: ignore[no-untyped-def]
    owner = await asyncpg.connect(fresh_dsn)
    yield Queue(database, owner)
    await owner.close()


async def test_person_is_in_one_queue_at_most_also_when_asking_twice_at_once(queue: Queue) -> None:
    (person,) = await queue.people(1)
    tries = [queue.store.add(TICKET, [person], tickets_max=9) for _ in range(6)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, AlreadyQueued) for each in results) == 5
    await queue.store.leave(person)
    with pytest.raises(NotQueued):
        await queue.store.leave(person)
    assert await queue.store.add(TICKET, [person], tickets_max=1) is not None
    other, third = await queue.people(2)
    assert await queue.store.add(TICKET, [other, third], tickets_max=1) is None


async def test_queue_is_searched_by_one_node_at_a_time_and_no_ticket_is_given_twice(
    queue: Queue,
) -> None:
    await queue.queued(40)
    async with queue.store.hold_queue("reversi"):
        assert await queue.search() is None
    found = await asyncio.gather(*(queue.search() for _ in range(5)))
    assert sum(each or 0 for each in found) == 20
    assert await queue.states() == {"starting": 40}
    claims = await asyncio.gather(*(queue.store.claim(lease_s=60, limit=9) for _ in range(4)))
    claimed = [match.match_id for claim in claims for match in claim]
    assert len(claimed) == len(set(claimed)) == 20
    assert await queue.store.claim(lease_s=60, limit=9) == []
    await queue.owner.execute("UPDATE found_matches SET claimed_until = now()")
    again = await queue.store.claim(lease_s=60, limit=30)
    assert {match.attempts for match in again} == {2}


async def test_ticket_that_leaves_during_the_search_is_in_no_match(queue: Queue) -> None:
    one, other = await queue.queued(2)
    async with queue.store.hold_queue("reversi") as held:
        assert held is not None
        waiting = await held.list_waiting(seen_s=9, limit=9)
        assert len(waiting) == 2
        await queue.store.leave(one)
        rules = SearchRules()
        held.list_waiting = lambda **_: _done(waiting)  # type: ignore[method-assign,assignment]
        found = await search_queue(held, REVERSI, rules, accept_s=0, shuffle=Random(1).shuffle)
    assert found.matches == 0
    assert await queue.states() == {None: 1}
    assert [each.player_id for each in await queue.store.read_searches([one, other])] == [other]


async def _done(value: object) -> object:
    return value


async def test_match_starts_once_everybody_has_accepted(queue: Queue) -> None:
    one, other = await queue.queued(2)
    assert await queue.search(accept_s=60) == 1
    assert await queue.states() == {"offered": 2}
    assert await queue.store.claim(lease_s=60, limit=9) == []
    (search,) = await queue.store.read_searches([one])
    assert search.match_id is not None
    await queue.store.accept(one, search.match_id)
    await queue.store.accept(one, search.match_id)
    with pytest.raises(NotQueued):
        await queue.store.accept(other, new_id())
    (search,) = await queue.store.read_searches([other])
    assert (search.accepted, search.players, search.state) == (1, 2, "offered")
    assert search.match_id is not None
    await queue.store.accept(other, search.match_id)
    with pytest.raises(MatchStarting):
        await queue.store.leave(one)
    (match,) = await queue.store.claim(lease_s=60, limit=9)
    assert sorted(str(seat) for seat in match.seats) == sorted([one, other])
    await queue.store.note_started(match.match_id, GameId(new_id()))
    assert await queue.store.add(TICKET, [one], tickets_max=9) is not None  # the next one


async def test_who_declines_or_is_too_late_goes_and_the_others_wait_on(queue: Queue) -> None:
    one, other = await queue.queued(2)
    await queue.search(accept_s=60)
    (search,) = await queue.store.read_searches([one])
    assert search.match_id is not None
    await queue.store.accept(one, search.match_id)
    await queue.store.decline(other, search.match_id)
    assert await queue.states() == {None: 1}
    (search,) = await queue.store.read_searches([one, other])
    assert (search.player_id, search.state, search.accepted) == (one, None, 0)

    (late,) = await queue.queued(1)
    await queue.search(accept_s=60)
    (search,) = await queue.store.read_searches([one])
    assert search.match_id is not None
    await queue.store.accept(one, search.match_id)
    await queue.owner.execute("UPDATE found_matches SET accept_by = now()")
    assert await queue.store.break_up_overdue(10) == 1
    assert [each.player_id for each in await queue.store.read_searches([one, late])] == [one]


async def test_people_who_are_away_are_not_matched_and_lose_their_place(queue: Queue) -> None:
    gone, here = await queue.queued(2)
    await queue.owner.execute(
        "UPDATE match_ticket_players SET seen_at = now() - interval '20 s' WHERE player_id = $1",
        gone,
    )
    assert await queue.search() == 0
    assert await queue.store.delete_absent(30, limit=9) == 0
    assert await queue.store.delete_absent(10, limit=9) == 1
    await queue.store.note_seen([gone, here])
    assert [each.player_id for each in await queue.store.read_searches([gone, here])] == [here]
    assert await queue.store.count_waiting_people() == {"reversi": 1}


async def test_matches_are_forgotten_after_a_while_with_their_tickets(queue: Queue) -> None:
    await queue.queued(2)
    await queue.search()
    assert await queue.store.clear(60, limit=9) == 0
    assert await queue.store.clear(0, limit=9) == 1
    assert await queue.states() == {}
