"""Days over HTTP: what everybody reads, and what admins alone do, on record."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import orjson
import pytest

from persistence.epochs.store import EpochDay, StoredEpochEvent
from protocol.ids import new_id
from server.domains.compete.epochs.results import settle_contributions
from server.domains.compete.epochs.settlement import Contribution
from tests.integration.bots.conftest import Person
from tests.integration.epochs.line import Json, versions
from tests.integration.epochs.served import Player, Served
from tests.integration.epochs.stage import DAY, MIDNIGHT, profile

ONE = "/v1/epochs/current"
ARCHIVED = f"/v1/epochs/{DAY.isoformat()}"
HASH = "0x" + "ab" * 32
NO_BOT = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
async def players(live: Served) -> list[Player]:
    """Two bots that have played a while."""
    ada, bob = await live.player(), await live.player()
    async with live.line(ada) as one, live.line(bob) as other:
        for number, line in enumerate((one, other, one, one, other)):
            await live.stage.at(MIDNIGHT + timedelta(hours=number + 1))
            await line.ok("epoch.claim", slot_index=number % 2, code=f"part {number}")
    return [ada, bob]


@pytest.fixture
async def over(served: Served) -> tuple[Served, Player]:
    """A day that is archived, in which one bot held a slot."""
    await served.stage.open()
    ada = await served.player()
    async with served.line(ada) as line:
        await line.ok("epoch.claim", slot_index=3, code="last words")
    await served.stage.finish()
    return served, ada


async def audit(served: Served) -> list[tuple[str, str, str]]:
    async with served.database.acquire() as connection:
        rows = await connection.fetch("SELECT actor, action, target FROM audit_log ORDER BY at, id")
    acts = [tuple(row) for row in rows]
    return [act for act in acts if act[1] in ("rollover", "recompute", "payout", "edition")]


# ------------------------------------------------------------------ reading


async def test_a_day_is_read_by_id_by_date_and_as_the_present_one(
    live: Served, players: list[Player]
) -> None:
    day = await live.ok(None, "GET", ONE)
    assert (day["day"], day["phase"], day["profile"]) == (DAY.isoformat(), "live", "test-v1")
    assert (day["frozen_at"], day["events_digest"], day["summary"]) == (None, None, None)
    for name in (day["epoch_id"], day["day"]):
        assert await live.ok(None, "GET", f"/v1/epochs/{name}") == day
    assert await live.ok(players[0].token, "GET", ONE) == day


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/epochs/yesterday", 422, "invalid_field"),
        ("/v1/epochs/2026-13-01", 422, "invalid_field"),
        ("/v1/epochs/2026-02-30/slots", 422, "invalid_field"),
        ("/v1/epochs/20260212", 422, "invalid_field"),
        ("/v1/epochs/2026-W07-4", 422, "invalid_field"),
        ("/v1/epochs/" + "x" * 300, 422, "invalid_field"),
        ("/v1/epochs/1999-01-01", 404, "epoch_not_found"),
        ("/v1/epochs/12345678-1234-4234-8234-123456789abc/events", 404, "epoch_not_found"),
        (f"{ONE}/events?after=-1", 422, "invalid_field"),
        (f"{ONE}/events?after=last", 422, "invalid_field"),
        (f"{ONE}/events?limit=501", 422, "invalid_field"),
        (f"{ONE}/events?cursor=1", 422, "invalid_field"),
        ("/v1/epochs?before=2026-02-31", 422, "invalid_field"),
        ("/v1/epochs?before=soon", 422, "invalid_field"),
        ("/v1/epochs?limit=0", 422, "invalid_field"),
        (f"{ONE}/bots/ada", 409, "epoch_not_settled"),
        (f"{ONE}/summary", 409, "epoch_not_settled"),
        (f"{ONE}/edition", 409, "epoch_not_settled"),
    ],
)
async def test_what_cannot_be_read_is_refused_in_words(
    live: Served, path: str, status: int, code: str
) -> None:
    answered, refusal = await live.ask(None, "GET", path)
    assert (answered, refusal["code"]) == (status, code), refusal
    assert len(refusal["message"].split()) > 3
    if code == "invalid_field":
        assert refusal["field"]


async def test_rules_slots_and_events_are_for_everybody(
    live: Served, players: list[Player]
) -> None:
    ada, bob = players
    rules = await live.ok(None, "GET", f"{ONE}/profile")
    assert rules["profile"] == "test-v1"
    assert rules["config"]["slots"] == profile()["slots"]
    shown = await live.ok(None, "GET", f"{ONE}/slots")
    held = [(slot["bot"], slot["code"]) for slot in shown["slots"]]
    assert held[:3] == [(bob.slug, "part 4"), (ada.slug, "part 3"), (None, None)]
    events: list[Json] = []
    while len(events) < shown["version"]:
        page = await live.ok(None, "GET", f"{ONE}/events", after=len(events), limit=2)
        assert (page["head"], 1 <= len(page["events"]) <= 2) == (shown["version"], True)
        events += page["events"]
    assert versions(events) == list(range(1, shown["version"] + 1))
    past = await live.ok(None, "GET", f"{ONE}/events", after=shown["version"])
    assert past["events"] == []


async def test_days_are_listed_newest_first_in_pages(served: Served) -> None:
    await served.stage.open()
    for later in (1, 2):
        await served.stage.at(MIDNIGHT + timedelta(days=later, seconds=1))
        await served.stage.scheduler.tick()
    first = await served.ok(None, "GET", "/v1/epochs", limit=2)
    assert [day["day"] for day in first["epochs"]] == ["2026-02-14", "2026-02-13"]
    rest = await served.ok(None, "GET", "/v1/epochs", limit=2, before=first["next"])
    assert [day["day"] for day in rest["epochs"]] == ["2026-02-12"]
    assert rest["next"] is None
    assert (await served.ok(None, "GET", ONE))["day"] == "2026-02-14"


async def test_where_no_day_was_ever_made_none_is_the_present_one(served: Served) -> None:
    assert await served.refusal(None, "GET", ONE) == "epoch_not_found"
    assert await served.ok(None, "GET", "/v1/epochs") == {"epochs": [], "next": None}


# ------------------------------------------------------------------ results


async def test_the_scoreboard_at_the_freeze_is_what_is_paid(served: Served) -> None:
    await served.stage.open()
    for number, hours in enumerate((1, 5, 9)):
        player = await served.player()
        async with served.line(player) as line:
            await served.stage.at(MIDNIGHT + timedelta(hours=hours))
            await line.ok("epoch.claim", slot_index=number // 2, code="x")
        board = await served.ok(None, "GET", f"{ONE}/scoreboard")
        assert (len(board["bots"]), board["is_final"]) == (number + 1, False)
        assert sum(bot["bps"] for bot in board["bots"]) == 10_000
        assert board["bots"] == sorted(board["bots"], key=lambda bot: -float(bot["raw_score"]))
    await served.stage.at((await served.stage.day()).freeze_at)
    await served.stage.scheduler.tick()
    board = await served.ok(None, "GET", f"{ONE}/scoreboard")
    await served.stage.finish()
    final = await served.ok(None, "GET", f"{ARCHIVED}/scoreboard")
    assert (board["is_final"], final["is_final"]) == (False, True)
    assert final["bots"] == board["bots"]
    paid = await served.ok(None, "GET", f"{ARCHIVED}/payouts")
    assert {(bot["bot"], bot["bps"], bot["amount_wei"]) for bot in board["bots"]} == {
        (payout["bot"], payout["bps"], payout["amount_wei"]) for payout in paid["payouts"]
    }
    assert sum(int(payout["amount_wei"]) for payout in paid["payouts"]) == 10**18 + 7


async def test_an_archived_day_has_payouts_summary_figures_and_edition(
    over: tuple[Served, Player],
) -> None:
    served, ada = over
    day = await served.ok(None, "GET", ARCHIVED)
    assert (day["phase"], day["frozen_at"]) == ("archive", day["freeze_at"])
    paid = await served.ok(None, "GET", f"{ARCHIVED}/payouts")
    (payout,), (settlement,) = paid["payouts"], paid["settlements"]
    assert payout["recipient_address"] == ada.owner.wallets[0]
    assert (payout["bps"], payout["status"], payout["payout_tx_hash"]) == (10_000, "pending", None)
    assert settlement["events_digest"] == day["events_digest"]
    summary = await served.ok(None, "GET", day["summary"])
    assert await served.ok(None, "GET", f"{ARCHIVED}/summary") == summary
    assert summary["settlement"]["bots"][0]["bot"] == ada.slug
    assert summary["slots"][3]["code"] == "last words"
    figures = await served.ok(None, "GET", f"{ARCHIVED}/bots/{ada.bot_id}")
    assert (figures["share"], figures["recipient"]) == ("1", ada.owner.wallets[0])
    async with served.database.acquire() as connection:
        uri, digest = await connection.fetchrow(
            "SELECT snapshot_uri, snapshot_hash FROM bot_stats_snapshots"
        )
    async with served.http.get(uri) as answer:
        assert sha256(await answer.read()).hexdigest() == digest
    for nobody, code in ((new_id(), "not_found"), (ada.slug, "invalid_field")):
        assert await served.refusal(None, "GET", f"{ARCHIVED}/bots/{nobody}") == code
    edition = await served.ok(None, "GET", f"{ARCHIVED}/edition")
    assert (edition["metadata_uri"], edition["minted_at"]) == (day["summary"], None)


async def test_the_digest_is_computed_from_what_everybody_reads(
    over: tuple[Served, Player],
) -> None:
    served, _ = over
    day = await served.ok(None, "GET", ARCHIVED)
    summed = sha256()
    for event in (await served.ok(None, "GET", f"{ARCHIVED}/events", limit=500))["events"]:
        if event["event"] == "phase_changed" and event["payload"]["phase"] == "freeze":
            break
        line = {name: value for name, value in event.items() if name not in ("epoch_id", "bot")}
        summed.update(orjson.dumps(line, option=orjson.OPT_SORT_KEYS) + b"\n")
    assert summed.hexdigest() == day["events_digest"]


# ------------------------------------------------------------------ admins


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "rollover", None),
        ("POST", f"{DAY}/recompute", {"reason": "Why not?"}),
        ("PATCH", f"{DAY}/payouts/{NO_BOT}", {"status": "confirmed"}),
        ("PATCH", f"{DAY}/edition", {"token_id": "1"}),
    ],
)
async def test_who_is_no_admin_changes_nothing(
    live: Served, players: list[Player], method: str, path: str, body: Json | None
) -> None:
    for who, code in (
        (None, "bad_token"),
        (await live.person(), "forbidden"),
        (await live.person(role="moderator"), "forbidden"),
        (players[0].token, "forbidden"),
    ):
        assert await live.refusal(who, method, f"/v1/admin/epochs/{path}", body) == code
    assert await audit(live) == []


@pytest.fixture
async def admin(served: Served) -> Person:
    return await served.person(role="admin")


async def test_an_admin_has_every_due_step_taken_on_record(served: Served, admin: Person) -> None:
    await served.stage.open()
    await served.stage.at(MIDNIGHT + timedelta(days=1))
    rolled = await served.ok(admin, "POST", "/v1/admin/epochs/rollover")
    assert rolled["steps"] >= 4
    assert (await served.stage.day()).phase == "archive"
    assert (await served.ok(admin, "POST", "/v1/admin/epochs/rollover"))["steps"] == 0
    assert await audit(served) == [(admin.user_id, "rollover", "epochs")] * 2


async def test_a_recomputed_day_keeps_its_earlier_result_readable(
    over: tuple[Served, Player], admin: Person
) -> None:
    served, ada = over
    path = f"/v1/admin/epochs/{DAY}/recompute"
    for reason in ("", " ", "x" * 501):
        assert await served.refusal(admin, "POST", path, {"reason": reason}) == "invalid_field"
    before = await served.ok(None, "GET", f"{ARCHIVED}/payouts")
    done = await served.ok(admin, "POST", path, {"reason": "Somebody asked."})
    assert done == {"number": 2, "changed": False}
    after = await served.ok(None, "GET", f"{ARCHIVED}/payouts")
    newest, first = after["settlements"]
    assert (newest["computed_by"], newest["reason"]) == (admin.user_id, "Somebody asked.")
    assert ([first], after["payouts"]) == (before["settlements"], before["payouts"])
    assert newest["result"] == first["result"]
    summary = await served.ok(None, "GET", f"{ARCHIVED}/summary")
    assert summary["settlement"]["number"] == 2
    for result in (1, 2):
        path = f"{ARCHIVED}/bots/{ada.bot_id}"
        assert (await served.ok(None, "GET", path, result=result))["bps"] == 10_000
    epoch_id = (await served.stage.day()).epoch_id
    assert await audit(served) == [(admin.user_id, "recompute", epoch_id)]


async def test_a_day_that_is_not_settled_is_not_recomputed(served: Served, admin: Person) -> None:
    await served.stage.open()
    path = "/v1/admin/epochs/current/recompute"
    assert await served.refusal(admin, "POST", path, {"reason": "Early."}) == "epoch_not_settled"
    assert await audit(served) == []


async def test_what_was_paid_is_on_record_and_settles_the_day_for_good(
    over: tuple[Served, Player], admin: Person
) -> None:
    served, ada = over
    path = f"/v1/admin/epochs/{DAY}/payouts"
    for body in ({"status": "sent"}, {"status": "submitted", "tx_hash": "0x1"}, {}):
        assert await served.refusal(admin, "PATCH", f"{path}/{ada.bot_id}", body) == "invalid_field"
    sent = {"status": "submitted", "tx_hash": HASH}
    assert await served.refusal(admin, "PATCH", f"{path}/{new_id()}", sent) == "not_found"
    await served.ok(admin, "PATCH", f"{path}/{ada.bot_id}", sent)
    (payout,) = (await served.ok(None, "GET", f"{ARCHIVED}/payouts"))["payouts"]
    assert (payout["status"], payout["payout_tx_hash"]) == ("submitted", HASH)
    again = f"/v1/admin/epochs/{DAY}/recompute"
    assert await served.refusal(admin, "POST", again, {"reason": "Late."}) == "already_paid"
    epoch_id = (await served.stage.day()).epoch_id
    assert await audit(served) == [(admin.user_id, "payout", epoch_id)]


async def test_a_minted_edition_is_on_record(over: tuple[Served, Player], admin: Person) -> None:
    served, _ = over
    path = f"/v1/admin/epochs/{DAY}/edition"
    assert await served.refusal(admin, "PATCH", path, {"token_id": "one"}) == "invalid_field"
    token_id = str(2**200)
    await served.ok(admin, "PATCH", path, {"token_id": token_id})
    edition = await served.ok(None, "GET", f"{ARCHIVED}/edition")
    assert (edition["token_id"], edition["minted_at"] is None) == (token_id, False)
    tomorrow = f"/v1/admin/epochs/{DAY + timedelta(days=1)}/edition"
    assert await served.refusal(admin, "PATCH", tomorrow, {"token_id": "1"}) == "epoch_not_settled"
    epoch_id = (await served.stage.day()).epoch_id
    assert await audit(served) == [(admin.user_id, "edition", epoch_id)]


async def test_a_scoreboard_is_counted_once_however_many_ask(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []

    def counted(
        day: EpochDay, events: Sequence[StoredEpochEvent], *, now: datetime
    ) -> list[Contribution]:
        counts.append(threading.current_thread())
        return settle_contributions(day, events, now=now)

    monkeypatch.setattr("server.domains.compete.epochs.http.settle_contributions", counted)
    await served.stage.open()
    await served.stage.finish()  # a live day is counted again as time goes by
    asked = (served.ok(None, "GET", f"{ARCHIVED}/scoreboard") for _ in range(20))
    assert {answer["is_final"] for answer in await asyncio.gather(*asked)} == {True}
    assert len(counts) == 1
    assert threading.main_thread() not in counts  # which serves everybody else
