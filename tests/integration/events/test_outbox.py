"""The outbox: who takes what, what comes again, and what is given up."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from persistence.database import Database
from persistence.event_outbox import SQL, EventOutbox, append_durable_event
from protocol.domain_events import DURABLE_EVENTS, DurableEvent, UserCreated, UserErased
from protocol.errors import Unavailable
from protocol.ids import UserId, new_id
from server.core import event_delivery as events
from server.core.containment import FAILURES
from server.core.event_delivery import DurableListener, EventDelivery, OutboxDeliverer, retry_delay

DAY_S = 86_400.0


class Listener:
    """A listener that keeps what it gets, and fails as often as it is told to."""

    def __init__(self, name: str = "first", *, failures: int = 0) -> None:
        self.name = name
        self.failures = failures
        self.heard: list[EventDelivery] = []

    async def hear(self, delivery: EventDelivery) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not now")
        self.heard.append(delivery)

    def on(self, *models: type[DurableEvent]) -> DurableListener:
        return DurableListener(self.name, dict.fromkeys(models, self.hear))


class BatchListener(Listener):
    """A listener that is done at once with the events that it `takes`, unless its batch fails."""

    def __init__(self, takes: int, *, is_broken: bool = False) -> None:
        super().__init__("batch")
        self.takes = takes
        self.is_broken = is_broken
        self.batches: list[int] = []

    async def hear_all(self, deliveries: Sequence[EventDelivery]) -> list[str]:
        self.batches.append(len(deliveries))
        if self.is_broken:
            raise RuntimeError("not all at once")
        return [each.event_id for each in deliveries[: self.takes]]

    def on(self, *models: type[DurableEvent]) -> DurableListener:
        batches = dict.fromkeys(models, self.hear_all)
        return DurableListener(self.name, dict.fromkeys(models, self.hear), batches)


class Outbox:
    """The outbox of a fresh database, and a time that tests move."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = EventOutbox(database)
        self.now = 0.0

    def deliverer(self, *listeners: DurableListener) -> OutboxDeliverer:
        return OutboxDeliverer(self.store, listeners, now=lambda: self.now)

    async def write(self, event: DurableEvent | None = None) -> UserId:
        user_id = UserId(new_id())
        async with self.database.transaction() as connection:
            await append_durable_event(connection, event or UserErased(user_id=user_id))
        return user_id

    async def run(self, statement: str, *values: object) -> list[dict[str, Any]]:
        async with self.database.acquire() as connection:
            return [dict(row) for row in await connection.fetch(statement, *values)]

    async def pass_time(self) -> None:
        """Let every pause and every lease be over."""
        await self.run("UPDATE event_outbox SET next_attempt_at = now()")


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database)


async def test_event_reaches_every_listener_of_its_kind_once(outbox: Outbox) -> None:
    first, second, other = Listener("first"), Listener("second"), Listener("other")
    deliverer = outbox.deliverer(
        first.on(UserErased), second.on(UserErased, UserCreated), other.on(UserCreated)
    )
    user_id = await outbox.write()
    for _ in range(3):
        await deliverer.poll()
        await outbox.pass_time()
    [delivery] = first.heard
    assert delivery.event == UserErased(user_id=user_id)
    assert [one.event_id for one in second.heard] == [delivery.event_id]
    assert other.heard == []
    assert deliverer.delivered_total == 1


async def test_event_whose_transaction_fails_never_was(outbox: Outbox) -> None:
    async def fail() -> None:
        async with outbox.database.transaction() as connection:
            await append_durable_event(connection, UserErased(user_id=UserId(new_id())))
            raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError, match="rolled back"):
        await fail()
    assert await outbox.run("SELECT FROM event_outbox") == []


async def test_only_the_listener_that_failed_gets_an_event_again(outbox: Outbox) -> None:
    steady, shaky = Listener("steady"), Listener("shaky", failures=2)
    deliverer = outbox.deliverer(shaky.on(UserErased), steady.on(UserErased))
    await outbox.write()
    await outbox.write()
    failures = FAILURES.total
    await deliverer.poll()
    await deliverer.poll()  # too early
    assert (len(steady.heard), len(shaky.heard)) == (2, 0)
    assert FAILURES.total == failures + 2
    [row, _] = await outbox.run("SELECT delivered_to, last_error FROM event_outbox")
    assert row == {
        "delivered_to": ["steady"],
        "last_error": "shaky: RuntimeError('not now')",
    }
    await outbox.pass_time()
    await deliverer.poll()
    assert (len(steady.heard), len(shaky.heard)) == (2, 2)
    assert await outbox.run("SELECT FROM event_outbox WHERE done_at IS NULL") == []


async def test_batch_handler_gets_all_due_events_and_the_others_come_one_by_one(
    outbox: Outbox,
) -> None:
    listener, other = BatchListener(takes=2), Listener("other")
    deliverer = outbox.deliverer(listener.on(UserErased), other.on(UserErased))
    for _ in range(5):
        await outbox.write()
    await deliverer.poll()
    assert (listener.batches, len(listener.heard), len(other.heard)) == ([5], 3, 5)
    for _ in range(events.AT_ONCE_MAX + 1):
        await outbox.write()
    await deliverer.poll()
    assert listener.batches == [5, events.AT_ONCE_MAX, 1]
    assert await outbox.run("SELECT FROM event_outbox WHERE done_at IS NULL") == []


async def test_batch_that_fails_is_delivered_one_by_one_and_counted(outbox: Outbox) -> None:
    listener = BatchListener(takes=5, is_broken=True)
    deliverer = outbox.deliverer(listener.on(UserErased))
    for _ in range(3):
        await outbox.write()
    failures = FAILURES.total
    await deliverer.poll()
    assert (listener.batches, len(listener.heard)) == ([3], 3)
    assert (FAILURES.total, deliverer.delivered_total) == (failures + 1, 3)


@pytest.mark.parametrize("slow_listeners", [1, 5])
async def test_batches_that_are_too_slow_stop_no_event(outbox: Outbox, slow_listeners: int) -> None:
    class SlowListener(BatchListener):
        async def hear_all(self, deliveries: Sequence[EventDelivery]) -> list[str]:
            self.batches.append(len(deliveries))
            outbox.now += events.LISTENER_TIMEOUT_S + 0.1
            raise TimeoutError

    slow = [SlowListener(takes=0) for _ in range(slow_listeners)]
    for number, listener in enumerate(slow):
        listener.name = f"slow {number}"
    steady = Listener("steady")
    on_users = UserErased, UserCreated
    deliverer = outbox.deliverer(*(one.on(*on_users) for one in slow), steady.on(*on_users))
    for _ in range(events.BATCH_EVENTS // 2):
        await outbox.write()
        await outbox.write(UserCreated(user_id=UserId(new_id()), method="guest"))
    await deliverer.poll()
    assert len(steady.heard) == events.BATCH_EVENTS
    assert all(len(listener.batches) <= 1 for listener in slow)


async def test_what_a_batch_is_done_with_does_not_come_again_when_another_listener_fails(
    outbox: Outbox,
) -> None:
    listener, shaky = BatchListener(takes=9), Listener("shaky", failures=1)
    deliverer = outbox.deliverer(listener.on(UserErased), shaky.on(UserErased))
    await outbox.write()
    await deliverer.poll()
    await outbox.pass_time()
    await deliverer.poll()
    assert (listener.batches, len(shaky.heard)) == ([1], 1)


async def test_event_is_given_up_after_so_many_attempts_and_kept(outbox: Outbox) -> None:
    broken = Listener(failures=1000)
    deliverer = outbox.deliverer(broken.on(UserErased))
    await outbox.write()
    for _ in range(events.ATTEMPTS_MAX + 3):
        await deliverer.poll()
        await outbox.pass_time()
    assert deliverer.failed_total == events.ATTEMPTS_MAX
    outbox.now += events.COUNT_EVERY_S
    await deliverer.poll()
    assert deliverer.backlog._replace(oldest_s=0) == (0, 1, 0)
    read = {metric.name: metric.samples[0].value for metric in deliverer.collector.collect()}
    assert read["playhall_events_dead"] == 1
    assert read["playhall_events_failures"] == events.ATTEMPTS_MAX


async def test_what_another_node_has_taken_is_left_to_it_until_its_lease_is_over(
    outbox: Outbox,
) -> None:
    await outbox.write()
    taken = await outbox.store.claim(DURABLE_EVENTS, limit=10, lease_s=60)
    listener = Listener()
    deliverer = outbox.deliverer(listener.on(UserErased))
    await deliverer.poll()
    assert (len(taken), listener.heard) == (1, [])
    await outbox.pass_time()  # the other node died
    await deliverer.poll()
    assert [one.event_id for one in listener.heard] == [taken[0].event_id]


async def test_nodes_that_look_at_once_share_the_events(outbox: Outbox) -> None:
    for _ in range(20):
        await outbox.write()
    async with outbox.database.transaction() as one, outbox.database.transaction() as other:
        names = list(DURABLE_EVENTS)
        mine = await one.fetch(SQL["claim_events"], names, 12, 60.0)
        theirs = await other.fetch(SQL["claim_events"], names, 12, 60.0)
    assert (len(mine), len(theirs)) == (12, 8)
    assert {row["seq"] for row in mine}.isdisjoint(row["seq"] for row in theirs)


async def test_outage_of_the_database_is_no_failure_of_a_listener(outbox: Outbox) -> None:
    async def unavailable(_: EventDelivery) -> None:
        raise Unavailable

    deliverer = outbox.deliverer(DurableListener("first", {UserErased: unavailable}))
    await outbox.write()
    with pytest.raises(Unavailable):
        await deliverer.poll()
    assert deliverer.failed_total == 0
    [row] = await outbox.run("SELECT last_error, dead_at FROM event_outbox")
    assert row == {"last_error": None, "dead_at": None}


async def test_batch_that_takes_too_long_gives_the_rest_back_untried(outbox: Outbox) -> None:
    async def slow(delivery: EventDelivery) -> None:
        outbox.now += events.BATCH_S_MAX + 1
        await listener.hear(delivery)

    listener = Listener()
    deliverer = outbox.deliverer(DurableListener("first", {UserErased: slow}))
    for _ in range(3):
        await outbox.write()
    await deliverer.poll()
    rows = await outbox.run("SELECT attempts, done_at IS NULL AS waits FROM event_outbox")
    assert sorted((row["attempts"], row["waits"]) for row in rows) == [
        (0, True),
        (0, True),
        (1, False),
    ]


async def test_event_of_a_later_version_of_the_server_is_left_to_it(outbox: Outbox) -> None:
    listener = Listener()
    deliverer = outbox.deliverer(listener.on(UserErased))
    await outbox.run(
        "INSERT INTO event_outbox (name, version, payload) VALUES ('user.promoted', 1, '{}')"
    )
    await deliverer.poll()
    [row] = await outbox.run("SELECT attempts, done_at FROM event_outbox")
    assert row == {"attempts": 0, "done_at": None}


@pytest.mark.parametrize(
    ("version", "payload"), [(2, '{"user_id": "x"}'), (1, "{}"), (1, '{"user_id": 7}')]
)
async def test_payload_that_cannot_be_read_fails_and_stops_nobody(
    outbox: Outbox, version: int, payload: str
) -> None:
    listener = Listener()
    deliverer = outbox.deliverer(listener.on(UserErased))
    await outbox.run(
        "INSERT INTO event_outbox (name, version, payload) VALUES ('user.erased', $1, $2)",
        version,
        payload.encode(),
    )
    await outbox.write()
    await deliverer.poll()
    assert len(listener.heard) == 1
    assert deliverer.failed_total == 1


async def test_done_events_go_after_a_while_and_others_stay(outbox: Outbox) -> None:
    listener = Listener()
    deliverer = outbox.deliverer(listener.on(UserErased))
    for _ in range(3):
        await outbox.write()
    await deliverer.poll()
    await outbox.run(
        "UPDATE event_outbox SET done_at = done_at - $1::interval WHERE seq > 1",
        timedelta(minutes=2),
    )
    await outbox.run("UPDATE event_outbox SET done_at = NULL, dead_at = done_at WHERE seq = 3")
    assert await outbox.store.delete_delivered(60, dead_kept_s=DAY_S, limit=9) == 1
    assert await outbox.run("SELECT seq FROM event_outbox ORDER BY 1") == [{"seq": 1}, {"seq": 3}]
    assert await outbox.store.delete_delivered(60, dead_kept_s=60, limit=9) == 1
    assert await outbox.run("SELECT seq FROM event_outbox") == [{"seq": 1}]


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_pauses_grow_up_to_a_bound(chance: float) -> None:
    pauses = [retry_delay(attempts, chance) for attempts in range(1, events.ATTEMPTS_MAX)]
    assert pauses == sorted(pauses)
    assert 1 <= pauses[0] <= 3
    assert pauses[-1] <= 1.25 * events.PAUSE_S_MAX
    assert 3600 < sum(pauses) < 3 * 3600
