"""What the chain takes back is taken back here."""

import logging

import pytest

from tests.integration.chain.conftest import Ledger, Owned


async def test_reorganisation_moves_ownership_back(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, cyd, *_ = net.accounts
    bot, bystander = await ledger.register(1), await ledger.register(2)
    net.issuer(ada, 1)
    minted = net.time(net.head())
    net.issuer(cyd, 2)
    fork = net.evm.take_snapshot()
    async with ledger.reading() as chain:
        net.give(ada, bob, 1)
        net.mine(2)
        assert await ledger.read(chain)
        assert await ledger.owner(bot) == bob
        untouched = await _ids(ledger, bystander)
        net.evm.revert_to_snapshot(fork)
        net.mine(4)  # another branch, in which nobody gave anything away
        assert await ledger.read(chain)
        assert ledger.metrics(chain).reorganisations == 1
        assert ledger.metrics(chain).taken_back == 1
    assert await ledger.history(bot) == [Owned(ada, "onchain", minted, None)]
    assert await _ids(ledger, bystander) == untouched
    assert await ledger.count("chain_transfers") == 2


async def test_other_branch_has_another_owner(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, cyd, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    fork = net.evm.take_snapshot()
    async with ledger.reading() as chain:
        net.give(ada, bob, 1)
        net.mine(2)
        assert await ledger.read(chain)
        net.evm.revert_to_snapshot(fork)
        net.mine(2)
        net.give(ada, cyd, 1)
        given = net.time(net.head())
        assert await ledger.read(chain)
    assert await ledger.owner(bot) == cyd
    assert await ledger.owner_at(bot, given - 1) == ada


async def test_token_minted_on_a_lost_branch_has_no_owner(ledger: Ledger) -> None:
    net = ledger.net
    bot = await ledger.register(1)
    net.mine(2)
    fork = net.evm.take_snapshot()
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        net.issuer(net.accounts[1], 1)
        assert await ledger.read(chain)
        assert await ledger.owner(bot) == net.accounts[1]
        net.evm.revert_to_snapshot(fork)
        net.mine(3)
        assert await ledger.read(chain)
    assert await ledger.history(bot) == []


async def test_reorganisation_below_the_confirmations_touches_nothing(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    net.mine(3)
    async with ledger.reading(confirmations=3) as chain:
        assert await ledger.read(chain)
        fork = net.evm.take_snapshot()
        net.give(ada, bob, 1)
        net.mine(1)
        assert await ledger.read(chain)
        net.evm.revert_to_snapshot(fork)
        net.mine(9)
        assert await ledger.read(chain)
        assert ledger.metrics(chain).reorganisations == 0
    assert await ledger.owner(bot) == ada


async def test_server_that_was_away_notices_what_changed_meanwhile(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    fork = net.evm.take_snapshot()
    net.give(ada, bob, 1)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
    net.evm.revert_to_snapshot(fork)
    net.mine(5)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        assert ledger.metrics(chain).reorganisations == 1
    assert await ledger.owner(bot) == ada


async def test_node_that_lags_takes_nothing_back(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        net.give(ada, bob, 1)
        net.mine(2)
        assert await ledger.read(chain)
        net.head_max = net.head() - 3  # another one behind the balancer, as it was before
        assert await ledger.read(chain)
        assert await ledger.owner(bot) == bob
        net.head_max = net.head()
        assert await ledger.read(chain)
        assert ledger.metrics(chain).reorganisations == 0


async def test_shorter_chain_of_another_branch_takes_back(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, cyd, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        fork = net.evm.take_snapshot()
        net.give(ada, bob, 1)
        assert await ledger.read(chain)
        net.mine(6)
        assert await ledger.read(chain)
        net.evm.revert_to_snapshot(fork)
        net.give(ada, cyd, 1)  # at a height that was read; the chain now ends far before the cursor
        assert await ledger.read(chain)
    assert await ledger.owner(bot) == cyd


async def test_chain_that_shares_nothing_is_refused_and_nothing_is_lost(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    net = ledger.net
    _, ada, *_ = net.accounts
    fork = net.evm.take_snapshot()
    net.mine(2)
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    async with ledger.reading(start_block=net.head()) as chain:
        assert await ledger.read(chain)
        net.evm.revert_to_snapshot(fork)
        net.mine(9)
        with caplog.at_level(logging.WARNING):
            assert not await ledger.read(chain)
        assert not await ledger.read(chain)
        assert ledger.metrics(chain).errors == 2
    assert "delete its row in chain_cursors" in caplog.text
    assert await ledger.owner(bot) == ada


async def test_correction_is_compared_again_after_a_reorganisation(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    fork = net.evm.take_snapshot()
    net.give(ada, bob, 1)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        # On this branch bob has it, but the history was damaged, and then corrected.
        await ledger.do("UPDATE bot_identity_owners SET owner_address = $1", net.accounts[9])
        await ledger.do("UPDATE chain_cursors SET reconciled_at = NULL")
        net.mine(1)
        assert await ledger.read(chain)
        assert await ledger.owner(bot) == bob
        net.evm.revert_to_snapshot(fork)
        net.mine(4)
        assert await ledger.read(chain)
        assert await ledger.owner(bot) == ada
        sources = [period.source for period in await ledger.history(bot)]
        assert sources == ["onchain", "admin_correction", "admin_correction"]


@pytest.mark.parametrize("fork_is_deep", [False, True])
async def test_chain_that_changes_while_it_is_read_is_read_again(
    ledger: Ledger, fork_is_deep: bool
) -> None:
    net = ledger.net
    _, ada, bob, cyd, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    async with ledger.reading() as chain:
        deep = net.evm.take_snapshot()
        net.mine(1)
        assert await ledger.read(chain)
        fork = deep if fork_is_deep else net.evm.take_snapshot()
        net.give(ada, bob, 1)
        net.mine(2)

        def reorganise() -> None:
            net.evm.revert_to_snapshot(fork)
            net.mine(2)
            net.give(ada, cyd, 1)
            net.mine(3)

        net.on_logs = reorganise
        assert not await ledger.read(chain)
        assert await ledger.owner(bot) == ada
        assert await ledger.count("chain_transfers") == 1
        assert await ledger.read(chain)
    assert [period.owner for period in await ledger.history(bot)] == [ada, cyd]


async def _ids(ledger: Ledger, bot_id: str) -> list[str]:
    async with ledger.database.acquire() as connection:
        rows = await connection.fetch(
            "SELECT id FROM bot_identity_owners WHERE bot_identity_id = $1", bot_id
        )
    return [row["id"] for row in rows]
