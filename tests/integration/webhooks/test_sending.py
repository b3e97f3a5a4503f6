"""Deliveries as a receiver gets them: signed, at least once, until they are given up."""

import asyncio
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

import asyncpg
import pytest

from persistence.sealing import Seal, SealingKey
from persistence.webhooks.store import DeliveryFailure
from protocol.domain_events import EpochSettled, UserCreated, UserErased
from protocol.ids import EpochId, UserId, new_id
from server.domains.integrations.webhooks import jobs, rules, sender, service
from server.domains.integrations.webhooks.sender import WebhookSender
from tests.fixtures.receiver import Receiver
from tests.integration.webhooks.conftest import Hall


async def test_event_arrives_signed_at_who_wants_it(hall: Hall, receiver: Receiver) -> None:
    endpoint_id, secret = await hall.add(f"{receiver.url}/mine?key=1", "user.created")
    await hall.add(f"{receiver.url}/other", "game.completed")
    event = await hall.happen(UserCreated(user_id=UserId(new_id()), method="guest"))
    await hall.happen()  # nobody wants it
    await hall.send()
    [request] = receiver.received
    assert request.path == "/mine"
    message = request.verified(secret)
    assert (message["type"], message["version"]) == ("user.created", 1)
    assert message["data"] == event.model_dump()
    [delivery] = await hall.deliveries(endpoint_id)
    assert (delivery["state"], delivery["last_status"], delivery["attempts"]) == (
        "delivered",
        204,
        1,
    )
    assert request.headers["webhook-id"] == delivery["event_id"]
    assert hall.deliverer.delivered_total == 1


async def test_event_that_the_outbox_delivers_twice_is_sent_once(
    hall: Hall, receiver: Receiver
) -> None:
    await hall.add(receiver.url)
    await hall.happen()
    await hall.run("UPDATE event_outbox SET done_at = NULL, next_attempt_at = now()")
    await hall.run("UPDATE event_outbox SET delivered_to = '{}'")
    await hall.events.poll()
    await hall.send()
    assert len(receiver.received) == 1


async def test_failed_delivery_is_sent_again_with_the_same_id(
    hall: Hall, receiver: Receiver
) -> None:
    endpoint_id, secret = await hall.add(receiver.url)
    receiver.statuses = [500, 302]
    await hall.happen()
    await hall.send()
    await hall.send()  # too early
    [delivery] = await hall.deliveries(endpoint_id)
    assert (delivery["state"], delivery["last_error"]) == ("pending", "it answered 500")
    assert (await hall.webhook(endpoint_id))["failing_since"] is not None
    for _ in range(3):
        await hall.pass_time()
        await hall.send()
    assert [request.path for request in receiver.received] == ["/", "/", "/"], "no redirect"
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    receiver.received[-1].verified(secret)
    [delivery] = await hall.deliveries(endpoint_id)
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 3)
    assert (await hall.webhook(endpoint_id))["failing_since"] is None


async def test_delivery_is_given_up_in_the_end_and_sent_again_on_demand(
    hall: Hall, receiver: Receiver
) -> None:
    endpoint_id, _ = await hall.add(receiver.url)
    receiver.statuses = [503] * rules.ATTEMPTS_MAX
    await hall.happen()
    for _ in range(rules.ATTEMPTS_MAX + 2):
        await hall.send()
        await hall.pass_time()
    [delivery] = await hall.deliveries(endpoint_id)
    assert (delivery["state"], delivery["attempts"]) == ("dead", rules.ATTEMPTS_MAX)
    assert hall.deliverer.dead_total == 1
    path = f"/{endpoint_id}/deliveries/{delivery['delivery_id']}/redeliver"
    status, again = await hall.ask("POST", path)
    assert (status, again["state"], again["attempts"]) == (200, "pending", 0)
    await hall.send()
    assert (await hall.deliveries(endpoint_id))[0]["state"] == "delivered"
    assert len(receiver.received) == rules.ATTEMPTS_MAX + 1


async def test_webhook_that_fails_for_days_is_disabled_and_enabled_by_an_admin(
    hall: Hall, receiver: Receiver
) -> None:
    endpoint_id, _ = await hall.add(receiver.url)
    receiver.statuses = [500, 500]
    await hall.happen()
    await hall.send()
    await hall.run(
        "UPDATE webhook_endpoints SET failing_since = failing_since - make_interval(secs => $1)",
        rules.FAILING_S_MAX,
    )
    await hall.pass_time()
    await hall.send()
    found = await hall.webhook(endpoint_id)
    assert (found["enabled"], found["disabled_reason"]) == (False, "failing")
    await hall.deliverer.maintain()
    assert hall.deliverer.backlog == (0, 1)
    await hall.pass_time()
    await hall.send()
    assert len(receiver.received) == 2
    await hall.happen()  # is not queued for it
    _, found = await hall.ask("PATCH", f"/{endpoint_id}", enabled=True)
    assert (found["enabled"], found["failing_since"]) == (True, None)
    await hall.send()
    assert len(receiver.received) == 3, "what waited is sent, what happened meanwhile is not"


async def test_receiver_that_says_it_is_gone_gets_nothing_more(
    hall: Hall, receiver: Receiver
) -> None:
    endpoint_id, _ = await hall.add(receiver.url)
    receiver.statuses = [410]
    await hall.happen()
    await hall.send()
    found = await hall.webhook(endpoint_id)
    assert (found["enabled"], found["disabled_reason"]) == (False, "gone")
    assert (await hall.deliveries(endpoint_id))[0]["state"] == "dead"


async def test_both_secrets_sign_until_the_old_one_is_over(hall: Hall, receiver: Receiver) -> None:
    endpoint_id, old = await hall.add(receiver.url)
    _, rotated = await hall.ask("POST", f"/{endpoint_id}/secret")
    new = rotated["secret"]
    assert new != old
    await hall.happen()
    await hall.send()
    receiver.received[0].verified(old, new)
    await hall.run("UPDATE webhook_endpoints SET previous_until = now()")
    await hall.happen()
    await hall.send()
    receiver.received[1].verified(new)
    assert len(receiver.received[1].headers["webhook-signature"].split()) == 1


async def test_test_event_goes_to_one_webhook_whatever_it_wants(
    hall: Hall, receiver: Receiver
) -> None:
    endpoint_id, secret = await hall.add(f"{receiver.url}/a")
    await hall.add(f"{receiver.url}/b")
    status, delivery = await hall.ask("POST", f"/{endpoint_id}/test")
    assert (status, delivery["event"]) == (200, service.TEST_EVENT)
    await hall.send()
    [request] = receiver.received
    assert request.path == "/a"
    assert request.verified(secret)["data"] == {"endpoint_id": endpoint_id}


async def test_slow_receiver_keeps_nobody_waiting_and_is_given_up(
    hall: Hall, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TIMEOUT_S", 0.5)
    slow_id, _ = await hall.add(f"{receiver.url}/slow", "user.erased")
    await hall.add(f"{receiver.url}/quick", "user.created")
    for _ in range(jobs.AT_ONCE_EACH + 3):
        await hall.happen()
    await hall.happen(UserCreated(user_id=UserId(new_id()), method="guest"))
    await hall.send()
    assert [request.path for request in receiver.received].count("/quick") == 1
    failed = [one for one in await hall.deliveries(slow_id) if one["last_error"]]
    assert {one["last_error"] for one in failed} == {"no answer within 0.5 s"}


async def test_many_events_are_sent_in_one_look(hall: Hall, receiver: Receiver) -> None:
    endpoint_id, _ = await hall.add(receiver.url)
    count = 3 * jobs.AT_ONCE_EACH + 1
    for _ in range(count):
        await hall.happen()
    await hall.send()
    assert len(receiver.received) == count
    assert {one["state"] for one in await hall.deliveries(endpoint_id)} == {"delivered"}


async def test_what_a_dead_node_was_sending_is_sent_by_another(
    hall: Hall, receiver: Receiver
) -> None:
    await hall.add(receiver.url)
    await hall.happen()
    taken = await hall.store.claim_due(busy=[], limit_each=8, limit=8, lease_s=jobs.LEASE_S)
    await hall.send()
    assert (len(taken), receiver.received) == (1, [])
    await hall.pass_time()  # its lease is over
    await hall.send()
    assert len(receiver.received) == 1


async def test_secret_that_nothing_opens_is_said_and_another_helps(
    hall: Hall, receiver: Receiver
) -> None:
    endpoint_id, _ = await hall.add(receiver.url)
    other = Seal(lambda: [SealingKey("other", b"x" * 32)])
    sealed = other.seal(b"k", about=service.secret_context(endpoint_id))
    await hall.run("UPDATE webhook_endpoints SET secret = $1", sealed)
    await hall.happen()
    await hall.send()
    [delivery] = await hall.deliveries(endpoint_id)
    assert delivery["last_error"] == "its secret cannot be opened any more; rotate it"
    _, rotated = await hall.ask("POST", f"/{endpoint_id}/secret")
    await hall.pass_time()
    await hall.send()
    receiver.received[0].verified(rotated["secret"])


async def test_secrets_are_sealed_and_sealed_anew(hall: Hall, receiver: Receiver) -> None:
    endpoint_id, old = await hall.add(receiver.url)
    await hall.ask("POST", f"/{endpoint_id}/secret")
    keys = [SealingKey("newest", b"n" * 32), SealingKey("test", bytes(range(32)))]
    newer = Seal(lambda: keys)
    assert await service.reseal_secrets(hall.store, newer) == 1
    assert await service.reseal_secrets(hall.store, newer) == 0
    [stored] = await hall.store.list_webhooks()
    about = service.secret_context(endpoint_id)
    assert stored.previous_secret is not None
    assert rules.format_secret(newer.open(stored.previous_secret, about=about)) == old
    assert all(newer.is_newest(each) for each in (stored.secret, stored.previous_secret))


async def test_old_deliveries_go_unless_they_are_still_tried(
    hall: Hall, receiver: Receiver
) -> None:
    endpoint_id, _ = await hall.add(receiver.url)
    receiver.statuses = [204, 500]
    for _ in range(2):
        await hall.happen()
        await hall.send()
    await hall.run("UPDATE webhook_deliveries SET created_at = now() - interval '2 days'")
    assert await hall.store.delete_old_deliveries(86_400, limit=9) == 1
    assert [one["state"] for one in await hall.deliveries(endpoint_id)] == ["pending"]
    await hall.ask("PATCH", f"/{endpoint_id}", enabled=False)
    assert await hall.store.delete_old_deliveries(86_400, limit=9) == 1
    assert await hall.deliveries(endpoint_id) == []


async def test_erased_person_is_nowhere_but_by_the_id_that_the_event_carries(
    hall: Hall, receiver: Receiver
) -> None:
    await hall.add(receiver.url, "user.created", "user.erased")
    user_id = UserId(new_id())
    await hall.happen(UserCreated(user_id=user_id, method="email"))
    await hall.happen(UserErased(user_id=user_id))
    rows = await hall.run("SELECT payload FROM webhook_deliveries ORDER BY seq")
    assert [bytes(row["payload"]) for row in rows] == [
        f'{{"method": "email", "user_id": "{user_id}"}}'.encode(),
        f'{{"user_id": "{user_id}"}}'.encode(),
    ]


# ------------------------------------------------------------------ addresses of the server's own


@pytest.fixture
def listened() -> Iterator[int]:
    """A port of this machine that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1]
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "2130706433",  # 127.0.0.1 as one number
        "0x7f.1",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ],
)
async def test_address_of_the_server_itself_is_refused_before_it_is_connected_to(
    listened: int, host: str
) -> None:
    async with WebhookSender.opened(may_be_private=False) as guard:
        failure = await guard.send(f"https://{host}:{listened}/", b"{}", {})
    assert not isinstance(failure, int)
    assert failure.status is None
    assert re.search("is not public|is not a canonical IPv4 address", failure.error), failure


async def test_refused_address_is_a_failed_delivery(guarded: Hall) -> None:
    endpoint_id, _ = await guarded.add("https://127.0.0.1:9/")
    await guarded.happen(UserErased(user_id=UserId(new_id())))
    await guarded.send()
    [delivery] = await guarded.deliveries(endpoint_id)
    assert "127.0.0.1 is not public" in delivery["last_error"]


async def test_settled_epoch_is_sent_too(hall: Hall, receiver: Receiver) -> None:
    _, secret = await hall.add(receiver.url, "epoch.settled")
    event = EpochSettled(
        epoch_id=EpochId(new_id()), day="2026-02-12", number=1, events_digest="00" * 32
    )
    await hall.happen(event)
    await hall.send()
    assert receiver.received[0].verified(secret)["data"] == event.model_dump()


# ------------------------------------------------------------------ receivers that misbehave


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5_000_000, 200),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nno gzip..", 200),
        (b"HTTP/1.1 204 No Content\r\nSet-Cookie: a=b\r\n\r\n", 204),
        (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n", None),
        (b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n", None),
        (b"what do you mean\r\n\r\n", None),
        (b"", None),
    ],
    ids=["endless", "coded", "cookie", "long header", "long reason", "nonsense", "nothing"],
)
async def test_odd_answer_is_a_success_or_a_failure_and_nothing_else(
    answer: bytes, outcome: int | None
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        with suppress(OSError):
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, WebhookSender.opened(may_be_private=True) as opened:
        sent = await opened.send(f"http://127.0.0.1:{port}/", b"{}", {})
    if outcome is None:
        assert isinstance(sent, DeliveryFailure)
        assert sent.status is None
        assert sent.error
    else:
        assert sent == outcome


async def test_certificate_that_nobody_vouches_for_is_refused(tls_server: ssl.SSLContext) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls_server)
    port = server.sockets[0].getsockname()[1]
    async with server, WebhookSender.opened(may_be_private=True) as opened:
        failure = await opened.send(f"https://localhost:{port}/", b"{}", {})
    assert isinstance(failure, DeliveryFailure)
    assert "CERTIFICATE_VERIFY_FAILED" in failure.error


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example", "xn--a.example"])
async def test_name_that_leads_nowhere_is_a_failure(host: str) -> None:
    async with WebhookSender.opened(may_be_private=False) as opened:
        failure = await opened.send(f"https://{host}/", b"{}", {})
    assert isinstance(failure, DeliveryFailure)
    assert (failure.status, failure.is_gone) == (None, False)


@pytest.mark.parametrize("table", ["webhook_endpoints", "webhook_deliveries", "event_outbox"])
@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_nobody_but_the_server_reads_or_writes_the_tables(
    fresh_dsn: str, table: str, role: str
) -> None:
    connection = await asyncpg.connect(fresh_dsn)
    try:
        await connection.execute(f"SET ROLE {role}")
        for statement in (
            f"SELECT FROM {table}",
            f"DELETE FROM {table}",
            f"INSERT INTO {table} DEFAULT VALUES",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()
