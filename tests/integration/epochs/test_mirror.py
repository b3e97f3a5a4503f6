"""A day that another system plays, mirrored while it is live: each line once, in order."""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from server.domains.compete.epochs.verification import DayVerification
from tests.integration.bots.conftest import Person
from tests.integration.epochs.line import Json, versions
from tests.integration.epochs.served import Player, Served
from tests.integration.epochs.stage import DAY, MIDNIGHT, profile

MIRROR = f"/v1/admin/epochs/{DAY.isoformat()}/mirror"
VOTER = "0x" + "B" * 40
DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]


def line(seq: int, at_s: float, **fields: object) -> Json:
    return {"seq": seq, "at": (MIDNIGHT + timedelta(seconds=at_s)).isoformat(), **fields}


def update(seq: int, at_s: float, slot: int, bot: str, code: str) -> Json:
    return line(seq, at_s, type="slot_update", slot_index=slot, bot=bot, code=code)


def note(seq: int, at_s: float) -> Json:
    return line(seq, at_s, type="activity", kind="joined", data={"from": "the stage"})


@pytest.fixture
async def admin(served: Served) -> Person:
    return await served.person(role="admin")


@pytest.fixture
async def ada(served: Served) -> Player:
    """A bot, in a day that is live since an hour."""
    await served.stage.open()
    ada = await served.player()
    await served.stage.at(MIDNIGHT + timedelta(hours=1))
    return ada


async def send(served: Served, admin: Person, *lines: Json, source: str = "studio") -> Json:
    return await served.ok(admin, "POST", MIRROR, {"source": source, "lines": list(lines)})


async def refused(served: Served, admin: Person, *lines: Json, source: str = "studio") -> Json:
    body = {"source": source, "lines": list(lines)}
    status, answer = await served.ask(admin, "POST", MIRROR, body)
    assert status >= 400, answer
    return answer


async def test_lines_reach_watchers_once_and_in_order(
    served: Served, admin: Person, ada: Player
) -> None:
    async with served.line() as watcher:
        seen = await watcher.watch()
        first = [update(1, 10, 0, ada.slug, "one"), note(2, 20)]
        answer = await send(served, admin, *first)
        assert answer == {
            "epoch_id": seen["epoch_id"],
            "source": "studio",
            "acknowledged": 2,
            "applied": 2,
            "skipped": 0,
            "version": seen["version"] + 2,
        }
        again = await send(served, admin, first[1], update(3, 30, 0, ada.slug, "two"))
        assert (again["acknowledged"], again["applied"], again["skipped"]) == (3, 1, 1)
        gap = await refused(served, admin, note(5, 40))
        assert (gap["code"], gap["expected"], gap["retry"]) == ("mirror_gap", 4, False)
        events = await watcher.until(again["version"])
    assert [event["event"] for event in events] == ["slot_claimed", "activity", "slot_overwritten"]
    assert versions(events) == [seen["version"] + number for number in (1, 2, 3)]
    assert [event["at"][11:19] for event in events] == ["00:00:10", "00:00:20", "00:00:30"]
    assert events[2]["payload"] == {"code": "two", "previous_bot_id": ada.bot_id}
    assert events[0]["bot"] == ada.slug


async def test_batch_sent_many_times_at_once_counts_once(
    served: Served, admin: Person, ada: Player
) -> None:
    lines = [update(seq, seq, seq % 8, ada.slug, f"code {seq}") for seq in range(1, 41)]
    answers = await asyncio.gather(*(send(served, admin, *lines) for _ in range(6)))
    assert {answer["acknowledged"] for answer in answers} == {40}
    assert sorted(answer["applied"] for answer in answers) == [0, 0, 0, 0, 0, 40]
    events = await served.ok(None, "GET", f"/v1/epochs/{DAY}/events", limit=100)
    assert len([event for event in events["events"] if event["slot_index"] is not None]) == 40


async def test_claims_and_votes_of_mirrored_day_come_from_its_source_alone(
    served: Served, admin: Person, ada: Player
) -> None:
    person = await served.person(wallets=1)
    await send(served, admin)  # an empty batch begins the mirror
    async with served.line(ada) as bot, served.line(person) as voter:
        claim = await bot.refused("epoch.claim", slot_index=0, code="mine")
        target = {"target_type": "bot", "target_id": ada.bot_id, "score": 1}
        vote = await voter.refused("epoch.vote", **target)
    assert (claim["code"], vote["code"]) == ("epoch_mirrored", "epoch_mirrored")
    other = await refused(served, admin, note(1, 10), source="elsewhere")
    assert other["code"] == "epoch_mirrored"
    assert "'studio'" in other["message"]
    cast = {"kind": "vote", "voter": VOTER, "target_type": "bot", "target_id": ada.slug}
    answer = await send(served, admin, line(1, 10, type="activity", **cast, score=0.5))
    assert answer["acknowledged"] == 1
    async with served.database.acquire() as connection:  # also for programs that write the table
        with pytest.raises(asyncpg.PostgresError, match="come from its source"):
            await connection.execute("UPDATE epoch_votes SET score = 1")


async def test_day_with_claims_of_its_own_is_not_mirrored(
    served: Served, admin: Person, ada: Player
) -> None:
    async with served.line(ada) as bot:
        await bot.ok("epoch.claim", slot_index=0, code="mine")
    assert (await refused(served, admin, note(1, 10)))["code"] == "epoch_played"
    async with served.line(ada) as bot:
        await bot.ok("epoch.claim", slot_index=0, code="still mine")


BAD = [
    ({"at": "2026-02-12T02:00:00Z"}, "at", "is in the future"),
    ({"at": "2026-02-12T00:00:05Z"}, "at", "is earlier than"),
    ({"at": "2026-02-11T23:59:59Z"}, "at", "is earlier than"),
    ({"at": "2026-02-12T00:30:00"}, "at", "time zone"),
    ({"at": "2026-02-12T23:55:00Z"}, "at", "freezes at"),
    ({"slot_index": 8}, "slot_index", "no such slot"),
    ({"slot_index": -1}, "slot_index", ""),
    ({"bot": "bot_eve"}, "bot", "'bot_eve' is not registered"),
    ({"bot": "b\0b"}, "bot", "not registered"),
    ({"bot": 7}, "bot", ""),
    ({"code": "zero\0"}, None, "cannot be kept"),
    ({"more": 1}, "more", "unknown field"),
    ({"type": "gossip"}, "type", "slot_update or activity"),
    ({"type": "activity", "kind": "Not So"}, "kind", ""),
    ({"seq": "3"}, "seq", "1 for the first"),
    ({"seq": None}, "seq", "1 for the first"),
    ({"seq": 0}, "seq", "1 for the first"),
]


@pytest.mark.parametrize(("changed", "field", "expected"), BAD, ids=[str(bad[0]) for bad in BAD])
async def test_bad_line_is_named_and_nothing_is_lost(
    served: Served, admin: Person, ada: Player, changed: Json, field: str | None, expected: str
) -> None:
    await send(served, admin, note(1, 10))
    good = [update(2, 20, 0, ada.slug, "good"), update(3, 30, 1, ada.slug, "bad")]
    answer = await refused(served, admin, good[0], good[1] | changed, note(4, 40))
    assert answer["code"] == "invalid_field"
    assert answer["field"] == ("lines.1" if field is None else f"lines.1.{field}")
    assert expected in answer["message"]
    assert field == "seq" or answer["message"].startswith("line 3: ")
    assert (await send(served, admin))["acknowledged"] == 1
    assert (await send(served, admin, *good, note(4, 40)))["acknowledged"] == 4


async def test_line_before_the_day_or_too_deep_is_refused(
    served: Served, admin: Person, ada: Player
) -> None:
    early = await refused(served, admin, note(1, -1))
    assert "begins at" in early["message"]
    deep = line(1, 10, type="activity", kind="x", data={"a": DEEP})
    body: Json = {"source": "studio", "lines": [deep]}
    assert await served.refusal(admin, "POST", MIRROR, body) == "bad_frame"


async def test_whole_floats_are_integers(served: Served, admin: Person, ada: Player) -> None:
    whole = update(1, 10, 0, ada.slug, "x") | {"seq": 1.0, "slot_index": 2.0}
    assert (await send(served, admin, whole))["acknowledged"] == 1
    assert (await refused(served, admin, note(2, 20) | {"seq": 2.5}))["field"] == "lines.0.seq"


async def test_batches_are_bounded(served: Served, admin: Person, ada: Player) -> None:
    many = [note(seq, 10) for seq in range(1, 202)]
    assert (await refused(served, admin, *many))["field"] == "lines"
    assert (await refused(served, admin, note(1, 1), source="No Such!"))["field"] == "source"


async def test_only_admins_mirror_and_it_is_on_record_once(
    served: Served, admin: Person, ada: Player
) -> None:
    for who in (await served.person(), await served.person(role="moderator"), ada.token):
        body: Json = {"source": "studio", "lines": []}
        assert await served.refusal(who, "POST", MIRROR, body) == "forbidden"
    for seq in (1, 2, 3):
        await send(served, admin, note(seq, seq))
    async with served.database.acquire() as connection:
        acts = await connection.fetch(
            "SELECT actor, target, after ->> 'source' AS source FROM audit_log"
            " WHERE action = 'mirror'"
        )
    day = await served.stage.day()
    assert [tuple(act) for act in acts] == [(admin.user_id, day.epoch_id, "studio")]


async def test_day_can_be_promised_to_its_source_before_it_begins(
    served: Served, admin: Person
) -> None:
    await served.stage.announce()
    await send(served, admin)
    assert (await refused(served, admin, note(1, 0)))["code"] == "invalid_field"  # not yet
    await served.stage.at(MIDNIGHT + timedelta(seconds=5))
    assert (await refused(served, admin, note(1, 0)))["code"] == "epoch_not_live"  # not advanced
    await served.stage.scheduler.tick()
    assert (await send(served, admin, note(1, 0)))["acknowledged"] == 1


async def test_mirrored_day_is_frozen_settled_and_verified_like_any_other(
    served: Served, admin: Person, ada: Player
) -> None:
    bob = await served.player()
    cast = {"type": "activity", "kind": "vote", "voter": VOTER, "target_type": "bot"}
    await send(served, admin, update(1, 10, 0, ada.slug, "a"), update(2, 400, 0, bob.slug, "b"))
    await send(served, admin, line(3, 500, **cast, target_id=ada.slug, score=1))
    await served.stage.at((await served.stage.day()).freeze_at)
    await served.stage.scheduler.tick()
    assert (await refused(served, admin, note(4, 600)))["code"] == "epoch_not_live"
    assert (await send(served, admin, note(3, 500)))["acknowledged"] == 3  # a repeat is no harm
    await served.stage.finish()
    day = await served.stage.day()
    assert day.phase == "archive"
    stage = served.stage
    assert await DayVerification(stage.days, stage.store, stage.steps).check(day.epoch_id) == []
    board = await served.ok(None, "GET", f"/v1/epochs/{DAY}/scoreboard")
    held = {bot["bot"]: bot["occupied_seconds"] for bot in board["bots"]}
    assert held == {ada.slug: 390, bob.slug: 86_400 - 600 - 400}
    assert (await refused(served, admin, note(4, 600), source="late"))["code"] == "epoch_mirrored"


async def test_archived_day_is_not_mirrored(served: Served, admin: Person) -> None:
    await served.stage.open(profile())
    await served.stage.finish()
    assert (await refused(served, admin, note(1, 10)))["code"] == "epoch_not_live"
