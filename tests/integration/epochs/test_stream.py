"""The stream of a day as clients have it: a snapshot, then every change once and in order."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from protocol.ids import new_id
from server.domains.compete.epochs import board, board_streams
from tests.integration.epochs.line import Json, Line, replay, versions
from tests.integration.epochs.served import Player, Served
from tests.integration.epochs.stage import DAY, MIDNIGHT

BURST = 60
COMERS = 24


@pytest.fixture(scope="module")
async def ada(live: Served) -> Player:
    return await live.player()


async def claim(line: Line, slot_index: int, code: str) -> int:
    """Claim a slot of the present day; gives the version."""
    answer = await line.ok("epoch.claim", slot_index=slot_index, code=code)
    return int(answer["version"])


async def picture_at(served: Served, version: int) -> Json:
    """Show the day as a watcher that comes now has it, once it is at a version."""
    async with served.line() as line:
        while (answer := await line.watch())["version"] < version:
            await line.receive()
    return timeless(answer["snapshot"])


def timeless(snapshot: Json) -> Json:
    return {key: value for key, value in snapshot.items() if key != "now"}


# ------------------------------------------------------------------ the snapshot and what follows


async def test_a_picture_comes_first_and_then_every_change(live: Served, ada: Player) -> None:
    async with live.line(ada) as bot, live.line() as watcher:
        first = await claim(bot, 0, "before")
        answer = await watcher.watch()
        snapshot = answer["snapshot"]
        assert snapshot["epoch_id"] == answer["epoch_id"] == (await live.stage.day()).epoch_id
        seen = replay(snapshot, await watcher.until(first) if snapshot["version"] < first else [])
        assert (seen["version"], seen["phase"], seen["day"]) == (first, "live", DAY.isoformat())
        assert (seen["slots"][0]["code"], seen["slots"][0]["bot"]) == ("before", ada.slug)
        await claim(bot, 1, "one")
        last = await claim(bot, 1, "two")
        events = await watcher.until(last)
        assert versions(events)[-2:] == [first + 1, first + 2]
        assert [event["event"] for event in events[-2:]] == ["slot_claimed", "slot_overwritten"]
        assert events[-1]["payload"] == {"code": "two", "previous_bot_id": ada.bot_id}
        assert timeless(replay(snapshot, events)) == await picture_at(live, last)


async def test_any_prefix_of_the_stream_and_the_rest_are_the_whole(
    live: Served, ada: Player
) -> None:
    async with live.line(ada) as bot, live.line() as watcher:
        snapshot = (await watcher.watch())["snapshot"]
        for number in range(12):
            last = await claim(bot, number % 8, f"take {number}")
        whole = await watcher.until(last)
        end = await picture_at(live, last)
        for cut in range(len(whole) + 1):
            prefix = whole[:cut]
            async with live.line() as line:
                answer = await line.watch(after=replay(snapshot, prefix)["version"])
                assert answer["snapshot"] is None
                assert prefix + line.events == whole
            assert timeless(replay(snapshot, prefix + line.events)) == end


async def test_after_the_last_version_there_is_nothing_to_send(live: Served) -> None:
    async with live.line() as line:
        version = (await line.watch())["version"]
        answer = await line.watch(after=version)
        assert (answer["version"], answer["snapshot"], answer["events"]) == (version, None, [])


async def test_who_is_too_far_behind_gets_a_picture(
    live: Served, ada: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "RECENT_EVENTS_MAX", 3)
    async with live.line(ada) as bot, live.line() as watcher:
        start = (await watcher.watch())["version"]
        for number in range(5):
            last = await claim(bot, 2, f"far {number}")
        await watcher.until(last)
        behind = await watcher.watch(after=start)
        assert (behind["version"], behind["events"]) == (last, [])
        assert behind["snapshot"]["slots"][2]["code"] == "far 4"
        near = await watcher.watch(after=last - 3)
        assert (near["snapshot"], versions(near["events"])) == (None, [last - 2, last - 1, last])


async def test_a_version_that_never_was_gets_a_picture(live: Served) -> None:
    async with live.line() as line:
        version = (await live.stage.day()).version
        answer = await line.watch(after=version + 1_000)
        assert answer["snapshot"]["version"] == answer["version"] == version


async def test_who_stops_watching_is_sent_no_more(live: Served, ada: Player) -> None:
    async with live.line(ada) as bot, live.line() as gone, live.line() as stays:
        epoch_id = (await gone.watch())["epoch_id"]
        await stays.watch()
        await gone.ok("epoch.unwatch", epoch_id=epoch_id)
        last = await claim(bot, 3, "unseen")
        await stays.until(last)
        await gone.ok("session.ping")
        assert last not in versions(gone.events)
        await gone.ok("epoch.unwatch", epoch_id=epoch_id)
        answer = await gone.watch(after=last - 1)
        assert versions(answer["events"]) == [last]


async def test_watching_twice_sends_nothing_twice(live: Served, ada: Player) -> None:
    async with live.line(ada) as bot, live.line() as watcher:
        start = (await watcher.watch())["version"]
        await watcher.watch(after=start)
        await claim(bot, 4, "once")
        last = await claim(bot, 4, "twice")
        assert versions(await watcher.until(last)) == [last - 1, last]


async def test_two_watchers_see_the_same(live: Served, ada: Player) -> None:
    async with live.line(ada) as bot, live.line() as one, live.line() as other:
        await one.watch()
        await other.watch()
        for number in range(8):
            last = await claim(bot, number, "same")
        assert (await one.until(last))[-8:] == (await other.until(last))[-8:]


async def test_an_unknown_epoch_is_not_watched(live: Served) -> None:
    async with live.line() as line:
        for kind in ("epoch.watch", "epoch.events"):
            refusal = await line.refused(kind, epoch_id=new_id())
            assert refusal["code"] == "epoch_not_found"
        refusal = await line.refused("epoch.watch", epoch_id="today")
        assert (refusal["code"], refusal["field"]) == ("invalid_field", "epoch_id")


# ------------------------------------------------------------------ coming amid a burst


async def test_whoever_comes_amid_a_burst_sees_no_hole_and_no_repeat(
    live: Served, ada: Player
) -> None:
    bob = await live.player(owner=ada.owner)
    async with live.line(ada) as one, live.line(bob) as other, AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(live.line()) for _ in range(COMERS)]
        bursts = [asyncio.create_task(burst(line)) for line in (one, other)]
        snapshots = [(await line.watch())["snapshot"] for line in lines]
        returned = lines[::2]
        for line in returned:  # away for a while, and back from what they have
            await line.ok("epoch.unwatch", epoch_id=snapshots[0]["epoch_id"])
        for line in returned:
            await line.watch(after=last_seen(line, snapshots[lines.index(line)]))
        last = max(await asyncio.gather(*bursts))
        end = await picture_at(live, last)
        for line, snapshot in zip(lines, snapshots, strict=True):
            await line.until(last)
            assert timeless(replay(snapshot, line.events)) == end
    assert len({snapshot["version"] for snapshot in snapshots}) > 1


async def burst(line: Line) -> int:
    for number in range(BURST):
        last = await claim(line, number % 8, f"burst {number}")
    return last


def last_seen(line: Line, snapshot: Json) -> int:
    return int(line.events[-1]["version"] if line.events else snapshot["version"])


# ------------------------------------------------------------------ days that are over


async def test_an_archived_day_replays_event_by_event_to_its_end(served: Served) -> None:
    epoch_id = await served.stage.open()
    ada, bob = await served.player(), await served.player()
    async with served.line(ada) as one, served.line(bob) as other:
        start = (await one.watch())["snapshot"]
        for number in range(20):
            await claim((one, other)[number % 2], number % 7, f"part {number}")
        await served.stage.finish()
        pages: list[Json] = []
        while True:
            page = await other.ok("epoch.events", epoch_id=epoch_id, after=len(pages), limit=7)
            if not page["events"]:
                break
            assert len(page["events"]) <= 7
            pages += page["events"]
        end = (await served.stage.day()).version
        assert versions(pages) == list(range(1, end + 1))
        assert page["head"] == end
        followed = await one.until(end)
    sent = [{"type": "epoch.event", **event} for event in pages]
    assert sent[start["version"] :] == followed
    final = await served.ok(None, "GET", f"/v1/epochs/{epoch_id}/slots")
    seen = replay(empty(start), pages)
    assert (seen["version"], seen["phase"], seen["slots"]) == (end, "archive", final["slots"])


def empty(snapshot: Json) -> Json:
    """Take a snapshot back to before anything happened."""
    nothing = {"code": None, "bot_id": None, "bot": None, "updated_at": None, "version": 0}
    slots = [slot | nothing for slot in snapshot["slots"]]
    return snapshot | {"version": 0, "phase": "prep", "slots": slots}


async def test_old_days_that_are_watched_keep_nobody_from_the_present_one(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board_streams, "PAST_MAX", 1)
    first = await served.stage.open()
    await served.stage.finish()
    second = (await served.stage.days.read_day(DAY + timedelta(days=1))).epoch_id
    await served.stage.at(MIDNIGHT + timedelta(days=2))
    await served.stage.scheduler.tick()
    async with served.line() as line:
        await line.watch(epoch_id=first)
        assert (await line.refused("epoch.watch", epoch_id=second))["code"] == "overloaded"
        assert (await line.watch())["snapshot"]["phase"] == "live"
