"""What both brokers promise: see `persistence/broker/port.py`."""

import asyncio

import pytest

from persistence.broker import PAYLOAD_BYTES_MAX, InvalidTopic, Notice
from tests.integration.broker.conftest import MakeNode
from tests.integration.broker.nodes import Recorder, until

TOPIC = "lobby:1"


async def test_another_node_receives_what_was_published(make_node: MakeNode) -> None:
    here, there = make_node(), make_node()
    await here.live()
    heard = await there.follow(TOPIC)
    notice = Notice(TOPIC, number=7, after=6, payload=b"\x00\xff a payload")
    here.broker.publish(notice)
    await until(lambda: heard.notices == [notice])
    assert here.broker.metrics.published == 1
    assert there.broker.metrics.received == 1


async def test_a_topic_without_numbers_has_none_on_arrival(make_node: MakeNode) -> None:
    here, there = make_node(), make_node()
    heard = await there.follow(TOPIC)
    here.broker.publish(Notice(TOPIC))
    await until(lambda: heard.notices == [Notice(TOPIC)])


async def test_notices_of_a_topic_arrive_in_order(make_node: MakeNode) -> None:
    here, there, elsewhere = make_node(), make_node(), make_node()
    heard = [await there.follow(TOPIC), await elsewhere.follow(TOPIC)]
    for number in range(5000):
        here.broker.publish(Notice(TOPIC, number, number - 1, b"x" * (number % 300)))
    for each in heard:
        await until(lambda each=each: len(each.notices) >= 5000)
        assert each.numbers == list(range(5000))
    assert here.broker.metrics.dropped == 0


async def test_nobody_hears_their_own_notices(make_node: MakeNode) -> None:
    here, there = make_node(), make_node()
    own, other = await here.follow(TOPIC), await there.follow(TOPIC)
    here.broker.publish(Notice(TOPIC, 1))
    there.broker.publish(Notice(TOPIC, 2))
    await until(lambda: other.numbers == [1] and own.numbers == [2])


async def test_a_notice_reaches_only_those_who_subscribed_to_its_topic(make_node: MakeNode) -> None:
    here, there, elsewhere = make_node(), make_node(), make_node()
    one, other = await there.follow("game:1"), await elsewhere.follow("game:2")
    here.broker.publish(Notice("game:1", 1))
    here.broker.publish(Notice("game:2", 2))
    await until(lambda: one.numbers == [1] and other.numbers == [2])


async def test_what_unsubscribed_hears_nothing_more(make_node: MakeNode) -> None:
    here, there = make_node(), make_node()
    heard, still = await there.follow(TOPIC), await there.follow("still")
    there.broker.unsubscribe(TOPIC)
    there.broker.unsubscribe(TOPIC)
    here.broker.publish(Notice(TOPIC, 1))
    here.broker.publish(Notice("still", 1))
    await until(lambda: still.numbers == [1])
    assert heard.notices == []


async def test_a_topic_can_be_taken_up_again(make_node: MakeNode) -> None:
    here, there = make_node(), make_node()
    await there.follow(TOPIC)
    there.broker.unsubscribe(TOPIC)
    heard = await there.follow(TOPIC)
    here.broker.publish(Notice(TOPIC, 1))
    await until(lambda: heard.numbers == [1])


async def test_topics_that_come_and_go_in_a_moment_end_as_they_were_left(
    make_node: MakeNode,
) -> None:
    here, there = make_node(), make_node()
    await there.live()
    recorder = Recorder()
    for turn in range(50):
        there.broker.subscribe(TOPIC, recorder)
        if turn % 7 == 0:
            await asyncio.sleep(0.002)
        there.broker.unsubscribe(TOPIC)
    heard = await there.follow(TOPIC)
    here.broker.publish(Notice(TOPIC, 1))
    await until(lambda: heard.numbers == [1])


async def test_many_topics_are_followed_at_once(make_node: MakeNode) -> None:
    here, there = make_node(), make_node()
    heard = Recorder()
    topics = [f"game:{number}" for number in range(3000)]
    for topic in topics:
        there.broker.subscribe(topic, heard)
    last = await there.follow("last")
    for number, topic in enumerate(topics):
        here.broker.publish(Notice(topic, number))
    here.broker.publish(Notice("last", 1))
    await until(lambda: last.numbers == [1] and len(heard.notices) == 3000)
    assert [notice.topic for notice in heard.notices] == topics


async def test_a_topic_has_one_handler_on_a_node(make_node: MakeNode) -> None:
    node = make_node()
    node.broker.subscribe(TOPIC, Recorder())
    with pytest.raises(ValueError, match=TOPIC):
        node.broker.subscribe(TOPIC, Recorder())


@pytest.mark.parametrize("name", ["", "a b", "täpp", "{1}", "a\r\nb", "x" * 201])
async def test_bad_names_are_refused(make_node: MakeNode, name: str) -> None:
    node, _ = make_node(), make_node()
    with pytest.raises(InvalidTopic):
        node.broker.subscribe(name, Recorder())
    with pytest.raises(InvalidTopic):
        node.broker.publish(Notice(name))


async def test_a_payload_that_is_too_large_is_left_out(make_node: MakeNode) -> None:
    here, there = make_node(), make_node()
    heard = await there.follow(TOPIC)
    here.broker.publish(Notice(TOPIC, 1, 0, b"x" * PAYLOAD_BYTES_MAX))
    here.broker.publish(Notice(TOPIC, 2, 1, b"x" * (PAYLOAD_BYTES_MAX + 1)))
    await until(lambda: heard.numbers == [1, 2])
    assert [len(notice.payload) for notice in heard.notices] == [PAYLOAD_BYTES_MAX, 0]
    assert here.broker.metrics.stripped == 1


async def test_a_failing_handler_keeps_nothing_from_the_others(
    make_node: MakeNode, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = make_node(), make_node()
    broken, sound = await there.follow("broken"), await there.follow("sound")
    broken.fails = True
    here.broker.publish(Notice("broken", 1))
    here.broker.publish(Notice("sound", 1))
    here.broker.publish(Notice("broken", 2))
    await until(lambda: sound.numbers == [1] and broken.numbers == [1, 2])
    assert there.broker.metrics.failures == 2
    assert "the handler of broken failed" in caplog.text


async def test_a_full_queue_becomes_a_gap_and_holds_nobody_up(make_node: MakeNode) -> None:
    here, there = make_node(), make_node()
    await here.live()
    full, other = await there.follow("full"), await there.follow("other")
    gaps = len(full.gaps), len(other.gaps)
    for number in range(15_000):  # without a turn of the loop between them
        here.broker.publish(Notice("full", number))
    here.broker.publish(Notice("other", 1))
    assert here.broker.backlog <= 10_002
    assert here.broker.metrics.dropped == 5001
    await until(lambda: len(full.gaps) > gaps[0] and len(other.gaps) > gaps[1])
    await until(lambda: len(full.notices) == 10_000)
    assert full.numbers == list(range(10_000))
    assert other.notices == []
    here.broker.publish(Notice("full", 15_000))
    await until(lambda: full.numbers[-1] == 15_000)


async def test_payloads_are_bounded_together(make_node: MakeNode) -> None:
    here, _ = make_node(), make_node()
    for number in range(200):
        here.broker.publish(Notice(TOPIC, number, number - 1, b"x" * PAYLOAD_BYTES_MAX))
    assert here.broker.metrics.dropped == 200 - (8 << 20) // PAYLOAD_BYTES_MAX
    assert await here.broker.drain(20)


async def test_drained_broker_has_sent_everything(make_node: MakeNode) -> None:
    here, there = make_node(), make_node()
    heard = await there.follow(TOPIC)
    for number in range(1000):
        here.broker.publish(Notice(TOPIC, number))
    assert await here.broker.drain(20)
    assert here.broker.backlog == 0
    assert here.broker.metrics.published == 1000
    await here.stop()
    await until(lambda: len(heard.notices) == 1000)


async def test_stopped_node_hears_nothing_and_is_not_live(make_node: MakeNode) -> None:
    here, there, elsewhere = make_node(), make_node(), make_node()
    heard, still = await there.follow(TOPIC), await elsewhere.follow(TOPIC)
    await there.stop()
    assert not there.broker.is_live
    here.broker.publish(Notice(TOPIC, 1))
    await until(lambda: still.numbers == [1])
    assert heard.notices == []
