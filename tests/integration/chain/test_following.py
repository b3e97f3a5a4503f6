"""Owners, as a deployed ERC-721 contract tells them."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.integration.chain.conftest import Ledger, Owned

TOKEN = 2**255 + 7  # tokens are 256 bits


async def test_mint_and_transfers_become_periods_at_the_blocks_times(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(TOKEN)
    net.issuer(ada, TOKEN)
    minted = net.time(net.head())
    net.mine(3)
    net.give(ada, bob, TOKEN)
    given = net.time(net.head())
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
    assert await ledger.history(bot) == [
        Owned(ada, "onchain", minted, given),
        Owned(bob, "onchain", given, None),
    ]
    assert await ledger.owner_at(bot, given - 1) == ada
    assert await ledger.owner_at(bot, given) == bob
    assert await ledger.owner_at(bot, minted - 1) is None


async def test_last_transfer_in_a_block_counts(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, cyd, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    minted = net.time(net.head())
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        net.in_one_block((ada, bob, 1), (bob, cyd, 1))
        assert await ledger.read(chain)
        given = net.time(net.head())
        net.in_one_block((cyd, bob, 1), (bob, cyd, 1))  # there and back changes nothing
        assert await ledger.read(chain)
    assert await ledger.history(bot) == [
        Owned(ada, "onchain", minted, given),
        Owned(cyd, "onchain", given, None),
    ]
    assert await ledger.count("chain_transfers") == 5


async def test_burn_leaves_nobody_and_mint_begins_anew(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    minted = net.time(net.head())
    net.burn(ada, 1)
    burned = net.time(net.head())
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        assert await ledger.owner(bot) is None
        net.issuer(bob, 1)
        assert await ledger.read(chain)
    again = net.time(net.head())
    assert await ledger.history(bot) == [
        Owned(ada, "onchain", minted, burned),
        Owned(bob, "onchain", again, None),
    ]


async def test_bot_registered_late_has_its_whole_history(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    net.issuer(ada, 1)
    net.issuer(ada, 2)
    net.give(ada, bob, 1)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        assert await ledger.count("bot_identity_owners") == 0
        bot = await ledger.register(1)
        assert await ledger.read(chain)
    assert [period.owner for period in await ledger.history(bot)] == [ada, bob]


async def test_only_confirmed_blocks_count(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    net.mine(3)
    async with ledger.reading(confirmations=3) as chain:
        assert await ledger.read(chain)
        net.give(ada, bob, 1)
        net.mine(2)
        assert await ledger.read(chain)
        assert await ledger.owner(bot) == ada
        net.mine(1)
        assert await ledger.read(chain)
        assert await ledger.owner(bot) == bob


async def test_owners_are_known_before_the_last_block_that_was_read(ledger: Ledger) -> None:
    net = ledger.net
    net.mine(2)
    async with ledger.reading(confirmations=1) as chain:
        assert not await chain.knows_owners_at(at(0))
        assert await ledger.read(chain)
        confirmed = net.time(net.head() - 1)
        assert await chain.knows_owners_at(at(confirmed - 1))
        assert not await chain.knows_owners_at(at(confirmed))
        fork = net.evm.take_snapshot()
        net.mine(2)
        assert await ledger.read(chain)
        assert await chain.knows_owners_at(at(confirmed))
        net.evm.revert_to_snapshot(fork)
        net.issuer(net.accounts[1], 1)
        assert await ledger.read(chain)
        assert not await chain.knows_owners_at(at(net.time(net.head() - 1)))


async def test_reading_begins_at_its_first_block(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    net.give(ada, bob, 1)
    first = net.head()
    async with ledger.reading(start_block=first) as chain:
        assert await ledger.read(chain)
    assert await ledger.count("chain_transfers") == 1
    assert await ledger.owner(bot) == bob


async def test_restart_goes_on_where_it_stopped(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
    net.mine(2)
    net.give(ada, bob, 1)
    net.ranges.clear()
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
    assert net.ranges == [3]
    assert [period.owner for period in await ledger.history(bot)] == [ada, bob]


async def test_reader_that_is_cut_off_is_taken_up_by_another(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    for _ in range(5):
        net.mine(5)
        net.give(ada, bob, 1)
        net.give(bob, ada, 1)
    net.range_max = 2
    async with ledger.reading() as chain, asyncio.TaskGroup() as group:
        task = group.create_task(ledger.read(chain))
        while ledger.metrics(chain).transfers < 4:
            await asyncio.sleep(0)
        task.cancel()
    assert 4 <= await ledger.count("chain_transfers") < 11
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
    assert await ledger.count("chain_transfers") == 11
    assert [period.owner for period in await ledger.history(bot)] == [ada, *[bob, ada] * 5]


async def test_many_transfers_are_kept_a_part_at_a_time(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.domains.compete.blockchain.indexer.BLOCKS_WITH_TRANSFERS_MAX", 2)
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bots = [await ledger.register(token) for token in range(5)]
    for token in range(5):
        net.issuer(ada if token < 4 else bob, token)
    net.in_one_block((ada, bob, 3), (bob, ada, 4))
    net.mine(2)
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
        assert ledger.metrics(chain).transfers == 7
        assert ledger.metrics(chain).blocks_behind == 0
    assert [await ledger.owner(bot) for bot in bots] == [ada, ada, ada, bob, ada]


async def test_refused_ranges_are_halved_until_they_are_taken(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    net.mine(40)
    net.give(ada, bob, 1)
    net.range_max = 7
    async with ledger.reading() as chain:
        assert await ledger.read(chain)
    assert max(size for size in net.ranges if size <= 7) > 3
    assert sum(size for size in net.ranges if size <= 7) == net.head()
    assert [period.owner for period in await ledger.history(bot)] == [ada, bob]


async def test_two_servers_read_the_same_chain_once(ledger: Ledger) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    net.mine(30)
    net.give(ada, bob, 1)
    net.range_max = 5
    async with ledger.reading() as one, ledger.reading() as other:
        await asyncio.gather(ledger.read(one), ledger.read(other))
        assert await ledger.read(one)
        assert await ledger.read(other)
        kept = ledger.metrics(one).transfers + ledger.metrics(other).transfers
    assert kept == await ledger.count("chain_transfers") == 2
    assert [period.owner for period in await ledger.history(bot)] == [ada, bob]


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
