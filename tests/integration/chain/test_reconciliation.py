"""Every night, `ownerOf` against the history."""

import logging

import pytest

from tests.integration.chain.conftest import Ledger, Owned

DUE = "UPDATE chain_cursors SET reconciled_at = now() - interval '2 years'"


async def test_damaged_row_is_corrected_logged_and_counted(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    net = ledger.net
    _, ada, bob, mallory, *_ = net.accounts
    bot, other = await ledger.register(1), await ledger.register(2)
    net.issuer(ada, 1)
    minted = net.time(net.head())
    net.issuer(bob, 2)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        net.mine(1)
        await ledger.do(
            "UPDATE bot_identity_owners SET owner_address = $1 WHERE bot_identity_id = $2",
            mallory,
            bot,
        )
        assert await ledger.read(chain)
        assert await ledger.owner(bot) == mallory  # not due
        await ledger.do(DUE)
        with caplog.at_level(logging.WARNING):
            assert await ledger.read(chain)
        assert ledger.metrics(chain).corrections == 1
        noticed = net.time(net.head())
        assert await ledger.history(bot) == [
            Owned(mallory, "onchain", minted, noticed),
            Owned(ada, "admin_correction", noticed, None),
        ]
        assert await ledger.owner(other) == bob
        await ledger.do(DUE)
        assert await ledger.read(chain)
        assert ledger.metrics(chain).corrections == 1  # nothing is wrong any more
    assert f"bot {bot} is owned by {ada}" in caplog.text
    assert mallory in caplog.text


async def test_correction_holds_until_the_next_transfer(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, mallory, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    minted = net.time(net.head())
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        net.mine(1)
        noticed = net.time(net.head())
        await ledger.do("UPDATE bot_identity_owners SET owner_address = $1", mallory)
        await ledger.do(DUE)
        assert await ledger.read(chain)
        net.give(ada, bob, 1)
        given = net.time(net.head())
        assert await ledger.read(chain)
    assert await ledger.history(bot) == [
        Owned(ada, "onchain", minted, noticed),
        Owned(ada, "admin_correction", noticed, given),
        Owned(bob, "onchain", given, None),
    ]


async def test_token_from_before_the_first_block_read_gets_its_owner(ledger: Ledger) -> None:
    net = ledger.net
    net.issuer(net.accounts[1], 1)
    net.mine(2)
    bot = await ledger.register(1)
    async with ledger.reading(start_block=net.head()) as chain:
        assert await ledger.read(chain)
    assert await ledger.owner(bot) == net.accounts[1]
    assert [period.source for period in await ledger.history(bot)] == ["admin_correction"]


async def test_owner_of_a_burned_token_ends_and_stays_ended(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, mallory, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    net.burn(ada, 1)
    burned = net.time(net.head())
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        net.mine(1)
        noticed = net.time(net.head())
        await ledger.do("UPDATE bot_identity_owners SET owner_address = $1", mallory)
        await ledger.do("UPDATE bot_identity_owners SET effective_to = NULL")
        await ledger.do(DUE)
        assert await ledger.read(chain)
        assert await ledger.owner(bot) is None
        assert await ledger.owner_at(bot, noticed) is None
        assert await ledger.owner_at(bot, burned) == mallory
        await ledger.do(DUE)
        assert await ledger.read(chain)
        assert ledger.metrics(chain).corrections == 1
        net.issuer(ada, 1)
        assert await ledger.read(chain)
    assert await ledger.owner(bot) == ada


async def test_missing_transfer_is_made_up_for(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    net.give(ada, bob, 1)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        await ledger.do("DELETE FROM chain_transfers WHERE to_address = $1", bob)
        await ledger.do("DELETE FROM bot_identity_owners WHERE owner_address = $1", bob)
        await ledger.do("UPDATE bot_identity_owners SET effective_to = NULL")
        await ledger.do(DUE)
        assert await ledger.read(chain)
    assert await ledger.owner(bot) == bob


async def test_many_bots_are_compared_page_by_page(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persistence.blockchain.store.BOTS_PAGE", 2)
    net = ledger.net
    bots = [await ledger.register(token) for token in range(5)]
    for token in range(5):
        net.issuer(net.accounts[token], token)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        net.mine(1)
        await ledger.do("UPDATE bot_identity_owners SET owner_address = $1", net.accounts[9])
        await ledger.do(DUE)
        assert await ledger.read(chain)
        assert ledger.metrics(chain).corrections == 5
    assert [await ledger.owner(bot) for bot in bots] == net.accounts[:5]


async def test_bot_that_is_new_is_not_taken_for_wrong(ledger: Ledger) -> None:
    net = ledger.net
    net.issuer(net.accounts[1], 1)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        net.mine(1)
        await ledger.do(DUE)
        bot = await ledger.register(1)
        assert await ledger.read(chain)
        assert ledger.metrics(chain).corrections == 0
    assert [period.source for period in await ledger.history(bot)] == ["onchain"]
