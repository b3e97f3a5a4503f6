"""Claims and votes as commands on a websocket, and every refusal of them, in words."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from protocol.epoch_profile import CODE_CHARS_MAX
from protocol.ids import new_id
from tests.integration.bots.conftest import address
from tests.integration.epochs.line import Json, Line
from tests.integration.epochs.served import Player, Served
from tests.integration.epochs.stage import MIDNIGHT, profile

COOLDOWN_S = 30
TOKEN_ENDED = 4103


@pytest.fixture(scope="module")
async def ada(live: Served) -> Player:
    return await live.player()


@pytest.fixture
async def bot(live: Served, ada: Player) -> AsyncIterator[Line]:
    async with live.line(ada) as line:
        yield line


@pytest.fixture
async def voter(live: Served) -> AsyncIterator[Line]:
    async with live.line(await live.person(wallets=1)) as line:
        yield line


async def version(served: Served) -> int:
    return (await served.stage.day()).version


# ------------------------------------------------------------------ claims


@pytest.mark.parametrize(
    ("slot_index", "code", "error", "words"),
    [
        (8, "x", "slot_not_found", "0 to 7"),
        (64, "x", "invalid_field", "slot_index"),
        (-1, "x", "invalid_field", "slot_index"),
        ("first", "x", "invalid_field", "slot_index"),
        (0, "", "invalid_field", "code"),
        (0, "x" * (CODE_CHARS_MAX + 1), "invalid_field", "code"),
        (0, 7, "invalid_field", "code"),
        (0, "(a [b)]", "code_refused", ") at character 6 has no opening bracket"),
        (0, "play{", "code_refused", "{ is not closed"),
        (0, "bell\u0007", "code_refused", "U+0007"),
    ],
)
async def test_a_malformed_claim_is_refused_and_leaves_nothing(
    live: Served, bot: Line, slot_index: object, code: object, error: str, words: str
) -> None:
    before = await version(live)
    refusal = await bot.refused("epoch.claim", slot_index=slot_index, code=code)
    assert refusal["code"] == error
    assert words in refusal["message"]
    assert await version(live) == before


async def test_only_a_bot_with_the_scope_claims(live: Served, ada: Player, voter: Line) -> None:
    refusal = await voter.refused("epoch.claim", slot_index=0, code="x")
    assert refusal["code"] == "bot_required"
    reader = await live.player("read", "vote", owner=ada.owner)
    async with live.line(reader) as line:
        refusal = await line.refused("epoch.claim", slot_index=0, code="x")
        assert (refusal["code"], "claim" in refusal["message"]) == ("bot_required", True)


async def test_an_unknown_epoch_takes_no_claim_and_no_vote(
    ada: Player, bot: Line, voter: Line
) -> None:
    nowhere = new_id()
    refusal = await bot.refused("epoch.claim", epoch_id=nowhere, slot_index=0, code="x")
    assert refusal["code"] == "epoch_not_found"
    refusal = await vote(voter, ada.bot_id, 1, epoch_id=nowhere)
    assert refusal["code"] == "epoch_not_found"


async def test_a_revoked_token_ends_its_socket_and_opens_no_other(live: Served) -> None:
    bob = await live.player()
    path = f"/v1/bots/{bob.slug}/tokens"
    (kept,) = (await live.ok(bob.owner, "GET", path))["tokens"]
    async with live.line(bob) as line:
        await line.ok("epoch.claim", slot_index=0, code="mine")
        await live.ok(bob.owner, "DELETE", f"{path}/{kept['token_id']}")
        (closing,) = [frame async for frame in line.rest()]
        assert (closing["type"], closing["reason"]) == ("session.closing", "logged_out")
        assert await line.closed() == TOKEN_ENDED
    with pytest.raises(AssertionError, match="bad_token"):
        async with live.line(bob):
            pass


async def test_a_claim_before_its_time_says_how_long_to_wait(served: Served) -> None:
    await served.stage.open(profile(cooldowns={"bot_s": COOLDOWN_S, "slot_s": COOLDOWN_S}))
    ada = await served.player()
    bob = await served.player(owner=ada.owner)
    async with served.line(ada) as one, served.line(bob) as other:
        await served.stage.at(MIDNIGHT + timedelta(hours=1))
        await one.ok("epoch.claim", slot_index=0, code="x")
        for line, slot_index in ((one, 1), (other, 0)):
            refusal = await line.refused("epoch.claim", slot_index=slot_index, code="x")
            assert (refusal["code"], refusal["retry"]) == ("cooldown", True)
            assert 0 < refusal["wait_s"] <= COOLDOWN_S
            assert f"wait {refusal['wait_s']:.1f} s" in refusal["message"]
        await served.stage.at(MIDNIGHT + timedelta(hours=1, seconds=COOLDOWN_S + 1))
        await one.ok("epoch.claim", slot_index=0, code="x")


async def test_outside_live_nothing_is_claimed_or_voted(served: Served) -> None:
    ada, ann = await served.player(), await served.person(wallets=1)
    await served.stage.open()
    epoch_id = (await served.stage.day()).epoch_id
    async with served.line(ada) as bot, served.line(ann) as voter:
        freeze_at = (await served.stage.day()).freeze_at
        for moment, words in (
            (freeze_at, "live"),  # nobody has frozen the day yet
            (freeze_at + timedelta(seconds=1), "frozen"),
            (MIDNIGHT + timedelta(days=1, minutes=1), "frozen"),
        ):
            await served.stage.at(moment)
            if words == "frozen":
                await served.stage.scheduler.tick()
            claim = {"epoch_id": epoch_id, "slot_index": 0, "code": "x"}
            for refusal in (
                await bot.refused("epoch.claim", **claim),
                await vote(voter, ada.bot_id, 1, epoch_id=epoch_id),
            ):
                assert refusal["code"] == "epoch_not_live"
                assert words in refusal["message"]


async def test_before_a_day_begins_it_says_when_it_does(served: Served) -> None:
    ada = await served.player()
    await served.stage.announce()
    epoch_id = (await served.stage.day()).epoch_id
    async with served.line(ada) as bot:
        refusal = await bot.refused("epoch.claim", epoch_id=epoch_id, slot_index=0, code="x")
    assert refusal["code"] == "epoch_not_live"
    assert "begins at 2026-02-12T00:00:00" in refusal["message"]


async def test_the_slots_of_daily_v1_take_the_notation_alone(served: Served) -> None:
    await served.stage.at(MIDNIGHT + timedelta(seconds=1))
    await served.stage.scheduler.tick()
    assert (await served.stage.day()).profile_key == "daily-v1"
    async with served.line(await served.player()) as line:
        for code, words in {
            "bd [sn": "[ is not closed",
            "bd(3": "( is not closed",
            "bd*": "number",
            "*2": "character 1",
            "<bd>>": "character 5",
            "kazoo": "kazoo is not known",
            "bd " * 100: "1 to 280 characters",
        }.items():
            refusal = await line.refused("epoch.claim", slot_index=0, code=code)
            assert refusal["code"] == "code_refused"
            assert words in refusal["message"]
        await line.ok("epoch.claim", slot_index=0, code="bd*2 [sn ~] <hh hh:3>(3,8)")


# ------------------------------------------------------------------ votes


async def vote(line: Line, target_id: str, score: Any, **more: Any) -> Json:
    """Cast a vote that must be refused."""
    fields = {"target_type": "bot", "target_id": target_id, "score": score, **more}
    return await line.refused("epoch.vote", **fields)


async def test_a_vote_counts_and_a_changed_one_takes_its_place(
    live: Served, ada: Player, voter: Line
) -> None:
    async with live.line() as watcher:
        await watcher.watch()
        cast = {"target_type": "bot", "target_id": ada.bot_id}
        first = await voter.ok("epoch.vote", **cast, score=1)
        second = await voter.ok("epoch.vote", **cast, score=-0.25)
        assert (second["version"], second["weight"]) == (first["version"] + 1, "1")
        events = (await watcher.until(second["version"]))[-2:]
    assert [event["event"] for event in events] == ["vote_cast", "vote_cast"]
    assert [event["payload"]["score"] for event in events] == ["1.0000", "-0.2500"]
    assert events[0]["payload"]["ballot"] == events[1]["payload"]["ballot"]


@pytest.mark.parametrize(
    ("vote_for", "field"),
    [
        ({"score": 1.5}, "score"),
        ({"score": -1.0001}, "score"),
        ({"score": 0.12345}, "score"),
        ({"score": 1e9}, "score"),
        ({"score": "much"}, "score"),
        ({"target_id": "nobody"}, "target_id"),
        ({"target_id": "12345678-1234-4234-8234-123456789abc"}, "target_id"),
        ({"target_type": "tempo", "target_id": "91"}, "target_id"),
        ({"target_type": "key", "target_id": "C"}, "target_type"),
        ({"target_type": "mood"}, "target_type"),
        ({"target_type": "world_theme", "target_id": "no\0thing"}, "target_id"),
        ({"wallet": "0x12"}, "wallet"),
    ],
)
async def test_a_vote_out_of_range_is_refused_by_the_fields_name(
    live: Served, ada: Player, voter: Line, vote_for: Json, field: str
) -> None:
    before = await version(live)
    fields: Json = {"target_type": "bot", "target_id": ada.bot_id, "score": 1, **vote_for}
    refusal = await voter.refused("epoch.vote", **fields)
    assert (refusal["code"], refusal["field"]) == ("invalid_field", field)
    assert field in refusal["message"]
    assert await version(live) == before


async def test_nobody_votes_without_a_wallet_or_with_anothers(live: Served, ada: Player) -> None:
    ann, bob = await live.person(), await live.person(wallets=1)
    async with live.line(ann) as line:
        assert (await vote(line, ada.bot_id, 1))["code"] == "wallet_required"
        await live.link(ann, address())
        for foreign in (bob.wallets[0], address()):
            refusal = await vote(line, ada.bot_id, 1, wallet=foreign)
            assert (refusal["code"], refusal["field"]) == ("invalid_field", "wallet")
        own = ann.wallets[0].upper().replace("0X", "0x")
        cast = {"target_type": "bot", "target_id": ada.bot_id, "score": 1, "wallet": own}
        await line.ok("epoch.vote", **cast)


async def test_a_bot_votes_on_others_alone_and_with_the_scope(
    live: Served, ada: Player, bot: Line
) -> None:
    bob = await live.player("claim", owner=ada.owner)
    await bot.ok("epoch.vote", target_type="bot", target_id=bob.bot_id, score=0.5)
    assert (await vote(bot, ada.bot_id, 1))["field"] == "target_id"
    async with live.line(bob) as line:
        assert (await vote(line, ada.bot_id, 1))["code"] == "bot_required"
