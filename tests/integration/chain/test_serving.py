"""`playhall serve` with a chain: it serves without it, and follows it when it is there."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from tests.fixtures.node import Node
from tests.integration.chain.devnet import KEY, Devnet


async def test_server_serves_without_the_chain_and_follows_it_when_it_is_back(
    net: Devnet, serving_dsn: str, tmp_path: Path
) -> None:
    address = net.contract.address
    net.issuer(net.accounts[1], 1)
    await net.close()
    node = Node(
        tmp_path,
        serving_dsn,
        chain_rpc_url=net.url,
        chain_contracts=f"{net.contract.chain_id}:{address}",
        chain_confirmations=0,
        chain_poll_s=0.1,
    )
    await asyncio.to_thread(node.start)
    try:
        async with aiohttp.ClientSession(node.url) as http:
            assert not (await _status(http))["is_well"]
            assert (await _get(http, "/healthz"))[0] == 200
            await net.open()
            async with asyncio.timeout(20):
                while not (read := await _status(http))["is_well"]:
                    await asyncio.sleep(0.05)
            assert (read["read_block"], read["blocks_behind"]) == (net.head(), 0)
            _, metrics = await _get(http, "/metrics")
        label = f'{{contract="{net.contract.chain_id}:{address}"}}'
        assert f"playhall_chain_transfers_total{label} 1.0" in metrics
        assert await asyncio.to_thread(node.stop) == 0
        assert KEY not in "\n".join(node.output)
    finally:
        node.kill()


async def _status(http: aiohttp.ClientSession) -> dict[str, Any]:
    async with http.get("/v1/chain/status") as answer:
        status: dict[str, Any] = (await answer.json())["contracts"][0]
        return status


async def _get(http: aiohttp.ClientSession, path: str) -> tuple[int, str]:
    async with http.get(path) as answer:
        return answer.status, await answer.text()
