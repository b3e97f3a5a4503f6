"""Days that another system saw: the same tables, settled as any other day."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from persistence.epochs.imports import ImportStore
from persistence.epochs.store import NewDay
from protocol.epoch_profile import EpochProfile
from protocol.errors import InvalidField
from protocol.ids import EpochId
from server.domains.compete.epochs.imports import parse_days
from server.domains.compete.epochs.phases import day_times
from server.domains.compete.epochs.verification import DayVerification
from tests.integration.epochs.stage import DAY, MIDNIGHT, Stage, profile

VOTER = "0x" + "B" * 40
DEEP = '{"a":' + "[" * 400 + "]" * 400 + "}"


def line(at_s: float, **fields: Any) -> str:
    at = (MIDNIGHT + timedelta(seconds=at_s)).isoformat()
    return orjson.dumps({"at": at, **fields}).decode()


def update(at_s: float, slot: int, bot: str, code: str) -> str:
    return line(at_s, type="slot_update", slot_index=slot, bot=bot, code=code)


def vote(at_s: float, target: str, score: object) -> str:
    fields = {"voter": VOTER, "target_type": "bot", "target_id": target, "score": score}
    return line(at_s, type="activity", kind="vote", **fields)


HISTORY = [
    update(10, 0, "bot_ada", "first"),
    update(40, 0, "bot_bob", "second"),
    line(50, type="activity", kind="joined", bot="bot_ada", data={"from": "the old stage"}),
    vote(60, "bot_ada", 0.5),
    vote(70, "bot_ada", 1),
    update(86_400 + 5, 3, "bot_ada", "the next day"),
]


async def imported(
    stage: Stage, lines: list[str], config: dict[str, Any] | None = None
) -> dict[str, EpochId | None]:
    rules = EpochProfile.model_validate(config or profile())
    await stage.days.save_profile("old-v1", rules)
    kept = {one.profile_key: one for one in await stage.days.list_profiles()}["old-v1"]
    store, made = ImportStore(stage.database), {}
    bots, now = await store.list_bots(), await stage.days.now()
    for found in parse_days(lines, rules, bots, now=now):
        times = day_times(found.day, rules.cadence)
        new = NewDay(
            found.day, kept.profile_id, times.starts_at, times.freeze_at, times.ends_at, rules
        )
        made[found.day.isoformat()] = await store.add_day(new, found.lines)
    return made


async def test_imported_days_are_settled_and_verified_like_any_other(stage: Stage) -> None:
    for slug in ("bot_ada", "bot_bob"):
        await stage.bot(slug)
    now = await stage.days.now()
    made = await imported(stage, HISTORY)
    assert list(made) == ["2026-02-12", "2026-02-13"]
    assert abs(await stage.days.now() - now) < timedelta(hours=1)  # the clock is what it was
    await stage.scheduler.tick()
    epoch_id = made["2026-02-12"]
    assert epoch_id is not None
    assert (await stage.day()).phase == "archive"
    check = DayVerification(stage.days, stage.store, stage.steps)
    assert await check.check(epoch_id) == []
    events = [event async for event in stage.days.iterate_events(epoch_id)]
    assert [event.type for event in events[2:7]] == [
        "slot_claimed", "slot_overwritten", "activity", "vote_cast", "vote_cast"
    ]  # fmt: skip
    assert [event.at for event in events[2:5]] == [
        MIDNIGHT + timedelta(seconds=s) for s in (10, 40, 50)
    ]
    result = orjson.loads((await stage.store.list_settlements(epoch_id))[0].result)
    by_name = {bot["recipient"]: bot for bot in result["bots"]}
    assert by_name[f"0x{1:040x}"]["occupied_seconds"] == 30
    assert by_name[f"0x{1:040x}"]["vote_quality"] == "1.000000"
    assert by_name[f"0x{2:040x}"]["occupied_seconds"] == 86_400 - 600 - 40


async def test_a_day_that_is_there_already_stays_as_it_is(stage: Stage) -> None:
    for slug in ("bot_ada", "bot_bob"):
        await stage.bot(slug)
    await imported(stage, HISTORY)
    before = (await stage.day()).version
    assert await imported(stage, HISTORY) == {"2026-02-12": None, "2026-02-13": None}
    assert (await stage.day()).version == before


async def test_a_vote_that_the_day_does_not_take_leaves_nothing_of_it(stage: Stage) -> None:
    for slug in ("bot_ada", "bot_bob"):
        await stage.bot(slug)
    with pytest.raises(InvalidField, match="line 2"):
        await imported(stage, [HISTORY[0], vote(60, "bot_ada", 7)])
    assert await stage.days.list_days(before=DAY + timedelta(days=1), limit=9) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["{"], "line 1"),
        ([update(1, 0, "bot_eve", "x")], "'bot_eve' is not registered"),
        ([update(1, 9, "bot_ada", "x")], "no such slot"),
        ([update(5, 0, "bot_ada", "x"), update(4, 0, "bot_ada", "y")], "sort the lines"),
        (
            [
                update(5, 0, "bot_ada", "x"),
                update(86_405, 0, "bot_ada", "y"),
                update(6, 0, "bot_ada", "z"),
            ],
            "line 3: at: is earlier",
        ),
        ([update(36 * 365 * 86_400, 0, "bot_ada", "x")], "line 1: at: is in the future"),
        ([update(86_399, 0, "bot_ada", "x")], "frozen by then"),
        ([line(1, type="slot_update", slot_index=0, bot="bot_ada")], "code"),
        ([line(1, type="slot_update", slot_index=0, bot="bot_ada", code="x", more=1)], "more"),
        (['{"type": "activity", "kind": "x", "at": "2026-02-12T10:00:00"}'], "time zone"),
        ([line(1, type="activity", kind="Not So")], "kind"),
        (['{"type": "activity", "kind": "x", "at": "9999-12-31T10:00:00Z"}'], "line 1: at: .*1970"),
        (['{"type": "activity", "kind": "x", "at": "0001-01-01T00:00:00+10:00"}'], "1970 to 2999"),
        ([update(1, 0, "bot_ada", "zero\0")], "line 1: cannot be kept"),
        ([line(1, type="activity", kind="x", data={}).replace("{}", DEEP)], "line 1: cannot be"),
        ([update(1, 0, "bot_ada", "x"), "\udcff"], "line 2: is not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_line_that_is_wrong_is_named(stage: Stage, lines: list[str], expected: str) -> None:
    await stage.bot("bot_ada")
    with pytest.raises(InvalidField, match=expected):
        await imported(stage, lines)
