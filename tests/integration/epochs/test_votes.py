"""Votes: one a voter and target, changed in place, each cast an event, none after the freeze."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from functools import partial
from operator import itemgetter

import asyncpg
import orjson
import pytest

from persistence.epochs.votes import NewVote
from protocol.bots import WalletRequired
from protocol.epochs import BotRequired, Cooldown, EpochNotLive, VotingClosed
from protocol.errors import Forbidden, InvalidField
from server.domains.compete.epochs.rules import choose_voting_wallet, explain_vote_refusal
from tests.integration.epochs.stage import DAY, MIDNIGHT, Stage, profile


async def test_a_changed_vote_is_one_row_and_two_events(stage: Stage) -> None:
    epoch_id = await stage.open()
    bot, (ann, wallet) = await stage.bot(), await stage.voter()
    first = await stage.vote(ann, bot.bot_id, "1")
    second = await stage.vote(ann, bot.bot_id, "-0.5")
    assert second.version == first.version + 1
    async with stage.database.acquire() as connection:
        rows = await connection.fetch("SELECT voter_address, score FROM epoch_votes")
    assert [tuple(row) for row in rows] == [(wallet, Decimal("-0.5000"))]
    casts = await stage.days.read_events(epoch_id, after=first.version - 1, limit=10)
    ballots = [orjson.loads(cast.payload) for cast in casts]
    assert [ballot["score"] for ballot in ballots] == ["1.0000", "-0.5000"]
    assert ballots[0]["ballot"] == ballots[1]["ballot"]
    assert wallet not in str(ballots)


async def test_votes_of_one_voter_at_once_are_one_vote(stage: Stage) -> None:
    await stage.open()
    bot, (ann, _) = await stage.bot(), await stage.voter()
    cast = await asyncio.gather(*(stage.vote(ann, bot.bot_id, f"0.{i}") for i in range(1, 9)))
    assert len({counted.version for counted in cast}) == 8
    async with stage.database.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM epoch_votes") == 1


async def test_newcomers_weigh_what_the_profile_says(stage: Stage) -> None:
    rules = profile()
    rules["governance"]["anti_abuse"] = {"newcomer_weight": "0.25", "known_after": 1}
    await stage.open(rules)
    bot, (known, _), (new, _) = await stage.bot(), await stage.voter(), await stage.voter()
    assert (await stage.vote(known, bot.bot_id, "1")).weight == Decimal("0.25")
    await stage.finish()
    tomorrow = await stage.days.read_day(DAY + timedelta(days=1))
    assert tomorrow.phase == "live"
    weights = []
    for voter in (known, new):
        vote = NewVote(tomorrow.epoch_id, voter.session_id, "bot", bot.bot_id, Decimal(1))
        weights.append((await stage.ballots.cast_vote(voter, vote, itemgetter(0))).weight)
    assert weights == [Decimal(1), Decimal("0.25")]


async def test_after_the_freeze_nothing_is_voted(stage: Stage) -> None:
    await stage.open()
    bot, (ann, _) = await stage.bot(), await stage.voter()
    await stage.at((await stage.day()).freeze_at)
    with pytest.raises(EpochNotLive):
        await stage.vote(ann, bot.bot_id, "1")
    await stage.scheduler.tick()
    with pytest.raises(EpochNotLive):
        await stage.vote(ann, bot.bot_id, "1")


async def test_without_a_wallet_nobody_votes(stage: Stage) -> None:
    await stage.open()
    bot, (ann, _) = await stage.bot(), await stage.voter()
    async with stage.database.acquire() as connection:
        await connection.execute("DELETE FROM wallets")
    with pytest.raises(WalletRequired):
        await stage.vote(ann, bot.bot_id, "1")


async def test_a_wallet_of_somebody_else_does_not_vote(stage: Stage) -> None:
    epoch_id = await stage.open()
    bot, (ann, _), (_, other) = await stage.bot(), await stage.voter(), await stage.voter()
    vote = NewVote(epoch_id, ann.session_id, "bot", bot.bot_id, Decimal(1))
    with pytest.raises(InvalidField, match="wallet"):
        await stage.ballots.cast_vote(ann, vote, partial(choose_voting_wallet, wallet=other))


async def test_the_database_itself_refuses_what_others_would_write(stage: Stage) -> None:
    """As somebody does who is let at the tables, as on Supabase."""
    epoch_id = await stage.open()
    (ann, own), (_, other) = await stage.voter(), await stage.voter()

    async def write(wallet: str, target: str, score: int) -> None:
        async with stage.rls.as_user(ann) as connection:
            await connection.execute(
                "INSERT INTO epoch_votes (epoch_id, voter_address, vote_target_type,"
                " vote_target_id, score) VALUES ($1, $2, 'tempo', $3, $4)",
                epoch_id,
                wallet,
                target,
                Decimal(score),
            )

    with pytest.raises(Forbidden):
        await write(other, "90", 1)
    with pytest.raises(asyncpg.PostgresError, match="does not take this score"):
        await write(own, "90", 2)
    with pytest.raises(asyncpg.PostgresError, match="does not take this score"):
        await write(own, "91", 1)
    await write(own, "90", 1)
    assert (await stage.day()).version == 3


async def test_bots_vote_where_the_profile_lets_them(stage: Stage) -> None:
    rules = profile()
    rules["governance"]["bot_voting"] = False
    epoch_id = await stage.open(rules)
    ada, bob = await stage.bot(), await stage.bot()
    vote = NewVote(epoch_id, ada.token_id, "bot", bob.bot_id, Decimal(1))
    with pytest.raises(VotingClosed), explain_vote_refusal():
        await stage.ballots.cast_bot_vote(ada.bot_id, vote)
    with pytest.raises(BotRequired), explain_vote_refusal():
        await stage.ballots.cast_bot_vote(bob.bot_id, vote)


async def test_a_voter_pauses_between_votes(stage: Stage) -> None:
    await stage.open(profile(cooldowns={"vote_s": 60}))
    (ann, _), (bob, _) = await stage.voter(), await stage.voter()
    await stage.vote(ann, "90", "1", kind="tempo")
    with pytest.raises(Cooldown) as refused:
        await stage.vote(ann, "124", "1", kind="tempo")
    assert 0 < refused.value.retry_after_s <= 60
    await stage.vote(bob, "124", "1", kind="tempo")
    await stage.at(MIDNIGHT + timedelta(minutes=5))
    await stage.vote(ann, "124", "1", kind="tempo")
