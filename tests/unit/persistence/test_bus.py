"""Spreading a frame to thousands: once to each, and the node goes on with other things."""

import asyncio

from persistence.broker.bus import AT_ONCE, Bus

TOPIC = "a topic"


def crowd(bus: Bus, size: int) -> tuple[list[list[bytes]], list]:
    heard: list[list[bytes]] = [[] for _ in range(size)]
    stops = [bus.follow(TOPIC, who, heard[who].append) for who in range(size)]
    return heard, stops


async def test_each_follower_gets_each_frame_once_and_in_order() -> None:
    bus = Bus()
    heard, _ = crowd(bus, 3 * AT_ONCE + 1)
    for frame in (b"1", b"2"):
        await bus.spread(TOPIC, frame)
    assert all(frames == [b"1", b"2"] for frames in heard)


async def test_others_have_their_turn_while_it_is_spread() -> None:
    bus = Bus()
    heard, _ = crowd(bus, 3 * AT_ONCE)
    seen = []
    asyncio.get_running_loop().call_soon(lambda: seen.append(sum(map(len, heard))))
    await bus.spread(TOPIC, b"1")
    assert seen == [AT_ONCE]


async def test_who_stops_begins_or_begins_again_meanwhile_does_not_get_it() -> None:
    bus = Bus()
    heard, stops = crowd(bus, 2 * AT_ONCE)
    again: list[bytes] = []
    late: list[bytes] = []

    def change() -> None:
        stops[-1]()
        bus.follow(TOPIC, 2 * AT_ONCE - 2, again.append)
        bus.follow(TOPIC, "late", late.append)

    asyncio.get_running_loop().call_soon(change)
    await bus.spread(TOPIC, b"1")
    assert [len(frames) for frames in heard[-3:]] == [1, 0, 0]
    assert again == late == []
    await bus.spread(TOPIC, b"2")
    assert again == late == [b"2"]


async def test_topic_that_nobody_follows_is_no_trouble() -> None:
    await Bus().spread(TOPIC, b"1")


async def test_topic_that_all_leave_meanwhile_is_no_trouble() -> None:
    bus = Bus()
    heard, stops = crowd(bus, 2 * AT_ONCE)
    asyncio.get_running_loop().call_soon(lambda: [stop() for stop in stops])
    await bus.spread(TOPIC, b"1")
    assert sum(map(len, heard)) == AT_ONCE
    assert bus.count(TOPIC) == 0
