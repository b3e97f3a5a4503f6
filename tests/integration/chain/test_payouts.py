"""Who owned a bot at the freeze is paid, as the chain tells it in the end."""

from datetime import UTC, date, datetime, timedelta

import pytest

from persistence.rls import RlsDatabase
from server.domains.compete.blockchain.domain import ChainFollower
from tests.integration.chain.conftest import Ledger
from tests.integration.epochs.stage import Stage

TOKEN = 7


class OnChain(Stage):
    """A stage whose bots' owners are read from a chain."""

    chain: ChainFollower

    async def are_owners_known(self, at: datetime) -> bool:
        return await self.chain.knows_owners_at(at)


@pytest.fixture
def stage(ledger: Ledger, rls: RlsDatabase, monkeypatch: pytest.MonkeyPatch) -> OnChain:
    """A day in the future: the blocks of the test's chain are never of the past."""
    monkeypatch.setattr("tests.integration.epochs.stage.DAY", date(2100, 2, 12))
    monkeypatch.setattr(
        "tests.integration.epochs.stage.MIDNIGHT", datetime(2100, 2, 12, tzinfo=UTC)
    )
    return OnChain(ledger.database, rls)


async def test_after_a_reorganisation_the_owner_at_the_freeze_is_paid(
    ledger: Ledger, stage: OnChain
) -> None:
    net = ledger.net
    _, ada, bob, cyd, *_ = net.accounts
    epoch_id = await stage.open()
    bot = await stage.bot()
    await give_to_the_chain(ledger, minted_for=ada)
    freeze_at = (await stage.day()).freeze_at
    async with ledger.reading(confirmations=1) as stage.chain:
        assert await ledger.read(stage.chain)
        await stage.claim(bot, 0, "x", at_s=5)
        net.travel(freeze_at - timedelta(seconds=60))
        fork = net.evm.take_snapshot()
        net.give(ada, bob, TOKEN)
        net.mine(1)
        assert await ledger.read(stage.chain)
        assert await ledger.owner(bot.bot_id) == bob
        await stage.finish()
        assert (await stage.day()).phase == "snapshot"  # the chain has not come to the freeze

        net.evm.revert_to_snapshot(fork)  # on the other branch ada gives it away, but later
        net.mine(3)
        net.travel(freeze_at + timedelta(seconds=1))
        net.give(ada, cyd, TOKEN)
        net.mine(1)
        assert await ledger.read(stage.chain)
        assert ledger.metrics(stage.chain).reorganisations == 1
        assert await ledger.owner(bot.bot_id) == cyd
        await stage.scheduler.tick()
    assert (await stage.day()).phase == "archive"
    paid = [(p.recipient_address, p.bps) for p in await stage.store.list_payouts(epoch_id)]
    assert paid == [(ada, 10_000)]
    assert await stage.steps.verify(epoch_id) == []


async def give_to_the_chain(ledger: Ledger, *, minted_for: str) -> None:
    """Let the bot be a token of the chain, of which only the chain tells the owners."""
    await ledger.do("DELETE FROM bot_identity_owners")
    await ledger.do(
        "UPDATE bot_identities SET chain_id = $1, contract_address = $2, token_id = $3",
        *ledger.net.contract,
        TOKEN,
    )
    await ledger.do("UPDATE bot_tokens SET created_by_address = $1", minted_for)
    await ledger.do("INSERT INTO wallets SELECT $1, user_id FROM wallets", minted_for)
    ledger.net.issuer(minted_for, TOKEN)
    ledger.net.mine(1)
