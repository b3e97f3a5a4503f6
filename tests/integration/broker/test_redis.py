"""A Redis server that fails in the ways in which servers do."""

import asyncio
import logging
import ssl
from pathlib import Path

import pytest

from persistence.broker import InvalidTopic, Notice
from persistence.broker.link import InvalidRedisUrl
from persistence.broker.redis import RedisBroker
from tests.fixtures.redis import RedisServer
from tests.integration.broker.conftest import QUICK, MakeNode
from tests.integration.broker.nodes import Node, Recorder, own_keys, until, within

TOPIC = "lobby:1"


async def test_absent_server_is_waited_for(redis_server: RedisServer, redis_node: MakeNode) -> None:
    here, there = redis_node(), redis_node()
    heard = Recorder()
    there.broker.subscribe(TOPIC, heard)
    here.broker.publish(Notice(TOPIC, 1))
    await asyncio.sleep(0.2)
    assert not there.broker.is_live
    assert heard.gaps == []
    redis_server.start()
    await until(lambda: heard.gaps == [TOPIC] and there.broker.is_live and here.broker.is_live)
    here.broker.publish(Notice(TOPIC, 2))
    await until(lambda: 2 in heard.numbers)


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_subscribers_read_the_truth_after_a_restart_and_then_hear_again(
    redis_server: RedisServer, redis_node: MakeNode, how: str
) -> None:
    redis_server.start()
    here, there = redis_node(), redis_node()
    heard, other = await there.follow(TOPIC), await there.follow("other")
    here.broker.publish(Notice(TOPIC, 1))
    await until(lambda: heard.numbers == [1])

    getattr(redis_server, how)()
    await until(lambda: not there.broker.is_live and not here.broker.is_live)
    here.broker.publish(Notice(TOPIC, 2))  # sent perhaps when nobody listens yet
    redis_server.start()
    await until(lambda: heard.gaps == [TOPIC] * 2 and other.gaps == ["other"] * 2)
    await until(lambda: here.broker.is_live and here.broker.backlog == 0)
    assert there.broker.is_live
    here.broker.publish(Notice(TOPIC, 3))
    await until(lambda: heard.numbers[-1] == 3)
    assert there.broker.metrics.disconnects >= 1


async def test_batch_without_an_answer_becomes_a_gap(
    redis_server: RedisServer, redis_node: MakeNode
) -> None:
    redis_server.start()
    here, there = redis_node(), redis_node()
    await here.live()
    heard = await there.follow(TOPIC)
    redis_server.pause()
    here.broker.publish(Notice(TOPIC, 1))
    await until(lambda: here.broker.metrics.dropped == 1)
    redis_server.go_on()
    gaps = len(heard.gaps)
    await until(lambda: len(heard.gaps) > gaps and there.broker.is_live)
    assert await here.broker.drain(20)
    assert heard.numbers in ([], [1])  # nobody knows, but never twice


async def test_paused_server_holds_no_publisher_up(
    redis_server: RedisServer, redis_node: MakeNode
) -> None:
    redis_server.start()
    here, there = redis_node(), redis_node()
    await here.live()
    heard = await there.follow(TOPIC)
    redis_server.pause()
    # The server goes on only after this, so a publisher that waited for it would wait for ever.
    for published in range(20_000):
        here.broker.publish(Notice(f"game:{published % 50}", published, payload=b"x" * 1000))
        if published % 100 == 0:
            await asyncio.sleep(0)
    assert here.broker.backlog <= 10_000 + 50 + 512
    await until(lambda: not there.broker.is_live)
    redis_server.go_on()
    await until(lambda: there.broker.is_live and here.broker.is_live)
    assert await here.broker.drain(20)
    here.broker.publish(Notice(TOPIC, 1))
    await until(lambda: heard.numbers == [1])


async def test_silent_server_is_noticed_without_any_traffic(
    redis_server: RedisServer, redis_node: MakeNode
) -> None:
    redis_server.start()
    node = redis_node()
    heard = await node.follow(TOPIC)
    redis_server.pause()
    await until(lambda: not node.broker.is_live, within_s=5)
    redis_server.go_on()
    await until(lambda: heard.gaps == [TOPIC] * 2)


async def test_cut_connections_are_gaps(redis_server: RedisServer, redis_node: MakeNode) -> None:
    redis_server.start()
    here, there = redis_node(), redis_node()
    await here.live()
    heard = await there.follow(TOPIC)
    with redis_server.client() as client:
        client.client_kill_filter(_type="pubsub")
        client.client_kill_filter(_type="normal", skipme=True)
    await until(lambda: len(heard.gaps) == 2)
    here.broker.publish(Notice(TOPIC, 1))
    await until(lambda: heard.numbers == [1] or len(heard.gaps) == 3)


async def test_emptied_server_is_no_matter(redis_server: RedisServer, redis_node: MakeNode) -> None:
    redis_server.start()
    here, there = redis_node(), redis_node()
    heard = await there.follow(TOPIC)
    with redis_server.client() as client:
        client.flushall()
        assert client.keys() == []
    here.broker.publish(Notice(TOPIC, 1))
    await until(lambda: heard.numbers == [1])


@pytest.mark.parametrize(
    "garbage",
    [b"", b"hello", b"P\x01" + b"\0" * 60, b"P\x02\x09" + b"\0" * 60, b"\xff" * 5_000_000],
    ids=["empty", "short", "version", "kind", "oversized"],
)
async def test_garbage_on_a_channel_is_counted_and_dropped(
    shared_redis: RedisServer, garbage: bytes
) -> None:
    node = Node(RedisBroker(shared_redis.url, prefix="garbage", pace=QUICK, keys=own_keys))
    node.start()
    try:
        heard = await node.follow(TOPIC)
        with shared_redis.client() as client:
            assert client.publish(f"garbage:0:{TOPIC}", garbage) == 1
        await until(lambda: node.broker.metrics.malformed == 1)
        assert heard.notices == []
        assert node.broker.is_live
    finally:
        await node.stop()


async def test_what_is_not_signed_with_a_key_of_ours_is_refused_and_counted(
    shared_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Signed with another key, published again, and moved to another topic."""
    brokers = [
        RedisBroker(shared_redis.url, prefix="signed", pace=QUICK, keys=lambda key=key: [key])  # type: ignore[misc]
        for key in (b"a" * 32, b"a" * 32, b"b" * 32)
    ]
    nodes = [Node(broker) for broker in brokers]
    here, there, stranger = nodes
    try:
        for node in nodes:
            node.start()
        heard, other = await there.follow(TOPIC), await there.follow("lobby:2")
        with shared_redis.client() as client, client.pubsub() as listener:
            listener.subscribe(f"signed:0:{TOPIC}")
            listener.get_message(timeout=5)
            here.broker.publish(Notice(TOPIC, 1, payload=b"said"))
            await until(lambda: heard.numbers == [1])
            recorded = await asyncio.to_thread(listener.get_message, timeout=5)
            assert recorded is not None
            client.publish(f"signed:0:{TOPIC}", recorded["data"])
            client.publish("signed:0:lobby:2", recorded["data"])
            altered = recorded["data"][:-1] + b"?"
            client.publish(f"signed:0:{TOPIC}", altered)
        await until(lambda: there.broker.metrics.refused == 3)
        stranger.broker.publish(Notice(TOPIC, 2))
        await until(lambda: there.broker.metrics.refused == 4)
        here.broker.publish(Notice(TOPIC, 3))
        await until(lambda: heard.numbers == [1, 3])
        assert other.notices == []
        assert there.broker.metrics.malformed == 0
        assert caplog.text.count("no node with our keys has signed") == 1
    finally:
        for node in nodes:
            await node.stop()


async def test_keys_change_one_node_after_the_other(shared_redis: RedisServer) -> None:
    """In the order that the documentation gives: behind the other, before it, alone."""
    old, new = b"o" * 32, b"n" * 32
    for here_has, there_has in (
        ([old], [old, new]),
        ([old, new], [new, old]),
        ([new, old], [new]),
    ):
        nodes = [
            Node(RedisBroker(shared_redis.url, prefix="change", pace=QUICK, keys=lambda k=k: k))  # type: ignore[misc]
            for k in (here_has, there_has)
        ]
        try:
            for node in nodes:
                node.start()
            heard = [await node.follow(TOPIC) for node in nodes]
            for node in nodes:
                node.broker.publish(Notice(TOPIC, 1))
            await until(lambda heard=heard: [each.numbers for each in heard] == [[1], [1]])  # type: ignore[misc]
        finally:
            for node in nodes:
                await node.stop()


async def test_numbers_of_databases_keep_halls_apart(shared_redis: RedisServer) -> None:
    urls = [f"{shared_redis.url}/{number}" for number in (0, 0, 1)]
    nodes = [Node(RedisBroker(url, pace=QUICK, keys=own_keys)) for url in urls]
    for node in nodes:
        node.start()
    heard = [await node.follow(TOPIC) for node in nodes[1:]]
    nodes[0].broker.publish(Notice(TOPIC, 1))
    await until(lambda: heard[0].numbers == [1])
    await asyncio.sleep(0.1)
    assert heard[1].notices == []
    for node in nodes:
        await node.stop()


async def test_prefixes_keep_halls_apart(shared_redis: RedisServer) -> None:
    nodes = [
        Node(RedisBroker(shared_redis.url, prefix=each, pace=QUICK, keys=own_keys))
        for each in "aab"
    ]
    try:
        for node in nodes:
            node.start()
        heard = [await node.follow(TOPIC) for node in nodes]
        nodes[0].broker.publish(Notice(TOPIC, 1))
        await until(lambda: heard[1].numbers == [1])
        assert heard[2].notices == []
    finally:
        for node in nodes:
            await node.stop()


async def test_password_is_used_and_stays_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server = RedisServer(password="s3cret-w0rd")
    server.start()
    right = Node(RedisBroker(server.url, pace=QUICK, keys=own_keys))
    wrong = Node(
        RedisBroker(server.url.replace("s3cret-w0rd", "wr0ng-w0rd"), pace=QUICK, keys=own_keys)
    )
    try:
        right.start()
        wrong.start()
        await right.live()
        await until(lambda: wrong.broker.metrics.disconnects > 2)
        server.kill()
        await until(lambda: right.broker.metrics.disconnects > 2)
        assert not wrong.broker.is_live
    finally:
        await right.stop()
        await wrong.stop()
        server.close()
    assert f"127.0.0.1:{server.port} is down" in caplog.text
    assert "w0rd" not in caplog.text
    assert "w0rd" not in repr(vars(right.broker)) + repr(right.broker)


@pytest.mark.parametrize(
    "url",
    [
        "http://:s3cret@127.0.0.1",
        "redis://:s3cret/word@127.0.0.1:6379",
        "redis://:s3cret@127.0.0.1:6379?socket_timeout=s3cret",
        "redis://127.0.0.1?unheard_of=s3cret",
        "s3cret",
    ],
)
def test_bad_urls_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidRedisUrl) as refused:
        RedisBroker(url, keys=own_keys)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_bad_prefix_is_refused() -> None:
    with pytest.raises(InvalidTopic):
        RedisBroker("redis://127.0.0.1", prefix="a b", keys=own_keys)


async def test_tls_is_spoken(shared_redis: RedisServer, certificate: Path) -> None:
    """The server at hand has no TLS itself; whatever ends it in front of one is the same to us."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", shared_redis.port)
        await asyncio.gather(pump(reader, behind[1]), pump(behind[0], writer))

    front = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    port = front.sockets[0].getsockname()[1]
    trusted = Node(
        RedisBroker(
            f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}", pace=QUICK, keys=own_keys
        )
    )
    untrusted = Node(RedisBroker(f"rediss://127.0.0.1:{port}", pace=QUICK, keys=own_keys))
    plain = Node(RedisBroker(shared_redis.url, pace=QUICK, keys=own_keys))
    try:
        for node in (trusted, untrusted, plain):
            node.start()
        heard = await trusted.follow(TOPIC)
        plain.broker.publish(Notice(TOPIC, 1))
        await until(lambda: heard.numbers == [1])
        await until(lambda: untrusted.broker.metrics.disconnects > 1)
        assert untrusted.broker.metrics.connects == 0
    finally:
        for node in (trusted, untrusted, plain):
            await node.stop()
        front.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's /proc")
@pytest.mark.parametrize("state", ["running", "paused", "killed"])
async def test_stopped_broker_leaves_no_task_and_no_socket(
    redis_server: RedisServer, state: str
) -> None:
    redis_server.start()
    tasks, before = asyncio.all_tasks(), sockets()
    node = Node(RedisBroker(redis_server.url, pace=QUICK, keys=own_keys))
    node.start()
    await node.follow(TOPIC)
    assert sockets() == before + 2
    if state == "paused":
        redis_server.pause()
        for number in range(2000):
            node.broker.publish(Notice(TOPIC, number, payload=b"x" * 4000))
        await asyncio.sleep(0.1)
    elif state == "killed":
        redis_server.kill()
        await until(lambda: not node.broker.is_live)
    await within(5, node.stop())
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == tasks
    assert sockets() == before


def sockets() -> int:
    links = [each for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return sum(str(link.readlink()).startswith("socket:") for link in links)
