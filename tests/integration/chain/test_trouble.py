"""A chain's node that is wrong, down or lying stops the reading and nothing else."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from persistence.blockchain.store import Contract
from server.domains.compete.blockchain.errors import (
    AnswerTooLarge,
    InvalidAnswer,
    NodeUnreachable,
    NotErc721,
    RpcRefused,
)
from server.domains.compete.blockchain.indexer import IndexerOptions
from server.domains.compete.blockchain.rpc import RpcClient
from tests.integration.chain.conftest import Ledger
from tests.integration.chain.devnet import KEY, Devnet


async def test_wrong_chain_is_refused_and_nothing_is_read(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    ledger.net.chain_id = 1
    ledger.net.issuer(ledger.net.accounts[1], 1)
    async with ledger.reading() as chain:
        with caplog.at_level(logging.WARNING):
            assert not await ledger.read(chain)
        assert await ledger.count("chain_cursors") == 0
        assert "follows chain 1, and PLAYHALL_CHAIN_CONTRACTS names chain 31337" in caplog.text
        ledger.net.chain_id = 31337
        assert await ledger.read(chain)
    assert await ledger.count("chain_transfers") == 1


async def test_node_that_was_down_is_followed_again(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    net = ledger.net
    _, ada, bob, *_ = net.accounts
    bot = await ledger.register(1)
    net.issuer(ada, 1)
    chain = ledger.chain(RpcClient(net.url), IndexerOptions(0))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(chain.run())
        await _until(lambda: ledger.metrics(chain).transfers == 1)
        await net.close()
        await _until(lambda: ledger.metrics(chain).errors > 0)
        assert not chain.status().contracts[0].is_well
        net.give(ada, bob, 1)
        await net.open()
        await _until(lambda: ledger.metrics(chain).transfers == 2)
        await _until(lambda: chain.status().contracts[0].is_well)
        task.cancel()
    assert await ledger.owner(bot) == bob
    assert "is not followed: eth_" in caplog.text
    assert KEY not in caplog.text
    assert "127.0.0.1" not in caplog.text


async def test_refusal_is_logged_without_the_key(net: Devnet) -> None:
    net.range_max = 0
    async with RpcClient(net.url) as node:
        with pytest.raises(RpcRefused, match="query exceeds max block range 0") as refused:
            await node.read_transfers(net.contract, first=1, last=1)
    assert KEY not in str(refused.value)


async def test_silent_node_is_given_up() -> None:
    over = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with RpcClient(f"http://127.0.0.1:{port}/{KEY}", timeout_s=0.05) as node:
            with pytest.raises(AnswerTooLarge, match=r"eth_chainId: no answer within 0\.05 s"):
                await node.chain_id()
        over.set()


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (b"<html>", NodeUnreachable, "no JSON came"),
        (b"[]", NodeUnreachable, "no JSON-RPC came"),
        (b'{"id": 99, "result": "0x1"}', InvalidAnswer, "does not match its request"),
        (b'{"id": 1, "result": 1}', InvalidAnswer, "the chain's id is not a hexadecimal number"),
        (
            b'{"id": 1, "error": {"code": -32000, "message": "no\\nluck"}}',
            RpcRefused,
            "no luck",
        ),
        (
            b'{"id": 1, "result": "' + b"0" * 70_000 + b'"}',
            AnswerTooLarge,
            "larger than 65536 bytes",
        ),
    ],
    ids=["html", "list", "other", "number", "error", "huge"],
)
async def test_bad_answers_are_refused(
    answer: bytes, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.domains.compete.blockchain.rpc.ANSWER_BYTES_MAX", 65_536)
    async with serving(answer) as url, RpcClient(url) as node:
        with pytest.raises(error, match=message):
            await node.chain_id()


async def test_contract_that_is_none_is_named(net: Devnet) -> None:
    nowhere = Contract(31337, "0x" + "9" * 40)
    async with RpcClient(net.url) as node:
        with pytest.raises(NotErc721, match="there is no contract at this address"):
            await node.read_token_owner(nowhere, 1, at=1)
        assert await node.read_token_owner(net.contract, 1, at=net.head()) is None


@asynccontextmanager
async def serving(answer: bytes) -> AsyncIterator[str]:
    """Answer every question with the same bytes."""

    async def respond(_: web.Request) -> web.Response:
        return web.Response(body=answer)

    app = web.Application()
    app.router.add_post("/", respond)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.01)
