"""A real EVM behind JSON-RPC: eth-tester's chain, with our ERC-721 contract deployed on it."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

from aiohttp import web
from eth_utils.crypto import keccak

from persistence.blockchain.store import Contract

Json: TypeAlias = dict[str, Any]

BYTECODE = (Path(__file__).parent / "erc721.hex").read_text().strip()
CHAIN_ID = 31337  # what the node says; eth-tester's own is too large for the column
GAS = 3_000_000
KEY = "sesame-0123456789"  # in the URL, as hosted nodes want it


class RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}


class Devnet:
    """The chain, and the ways in which a node in front of it misbehaves.

    `range_max`: the most blocks that eth_getLogs answers for; `ranges` are those that were asked
    for. `head_max`: what the node knows of the chain. `on_logs` happens once, before logs come.
    """

    def __init__(self) -> None:
        # Importing it takes two seconds, which the workers without tests of the chain are spared.
        from eth_tester import EthereumTester, PyEVMBackend
        from eth_tester.exceptions import BlockNotFound, TransactionFailed

        self._block_not_found: type[Exception] = BlockNotFound
        self._transaction_failed: type[Exception] = TransactionFailed
        self.evm = EthereumTester(PyEVMBackend())
        self.accounts = [account.lower() for account in self.evm.get_accounts()]
        self.chain_id = CHAIN_ID
        self.range_max = 10_000
        self.ranges: list[int] = []
        self.on_logs: Callable[[], None] | None = None
        self.head_max = 2**62
        self.contract = self.deploy()
        self.url = ""
        self._port = 0
        self._runner: web.AppRunner | None = None

    # ------------------------------------------------------------------ the chain

    def deploy(self) -> Contract:
        sent = self.evm.send_transaction({"from": self.accounts[0], "gas": GAS, "data": BYTECODE})
        receipt = self.evm.get_transaction_receipt(sent)
        return Contract(CHAIN_ID, receipt["contract_address"].lower())

    def issuer(self, to: str, token: int) -> None:
        self._send(self.accounts[0], "mint(address,uint256)", to, token)

    def give(self, sender: str, to: str, token: int) -> None:
        self._send(sender, "transferFrom(address,address,uint256)", sender, to, token)

    def burn(self, owner: str, token: int) -> None:
        self._send(owner, "burn(uint256)", token)

    def in_one_block(self, *gifts: tuple[str, str, int]) -> None:
        """Give several times, each by another sender, in a block of their own."""
        self.evm.disable_auto_mine_transactions()
        for gift in gifts:
            self.give(*gift)
        self.evm.enable_auto_mine_transactions()

    def mine(self, blocks: int = 1) -> None:
        self.evm.mine_blocks(blocks)

    def travel(self, to: datetime) -> None:
        """Let the next block be of this time, later than the machine's."""
        self.evm.time_travel(int(to.timestamp()))

    def head(self) -> int:
        return int(self.evm.get_block_by_number("latest")["number"])

    def time(self, number: int) -> int:
        return int(self.evm.get_block_by_number(number)["timestamp"])

    def _send(self, sender: str, signature: str, *arguments: str | int) -> None:
        words = [f"{int(a, 16) if isinstance(a, str) else a:064x}" for a in arguments]
        data = "0x" + keccak(signature.encode()).hex()[:8] + "".join(words)
        self.evm.send_transaction(
            {"from": sender, "to": self.contract.address, "gas": 300_000, "data": data}
        )

    # ------------------------------------------------------------------ the node

    async def open(self) -> None:
        """Answer, on the same port as ever."""
        app = web.Application()
        app.router.add_post(f"/v2/{KEY}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}/v2/{KEY}"

    async def close(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        asked = await request.json()
        answer: Json = {"jsonrpc": "2.0", "id": asked["id"]}
        try:
            answer["result"] = getattr(self, asked["method"])(*asked["params"])
        except RpcError as refused:
            answer["error"] = refused.error
        return web.json_response(answer)

    def eth_chainId(self) -> str:  # noqa: N802 - the method's name
        return hex(self.chain_id)

    def eth_blockNumber(self) -> str:  # noqa: N802 - the method's name
        return hex(min(self.head(), self.head_max))

    def eth_getBlockByNumber(self, number: str, _: bool) -> Json | None:  # noqa: N802 - likewise
        if int(number, 16) > self.head_max:
            return None
        try:
            block = self.evm.get_block_by_number(int(number, 16))
        except self._block_not_found:
            return None
        return {
            "number": hex(block["number"]),
            "hash": block["hash"],
            "parentHash": block["parent_hash"],
            "timestamp": hex(block["timestamp"]),
        }

    def eth_getLogs(self, wanted: Json) -> list[Json]:  # noqa: N802 - the method's name
        first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
        self.ranges.append(last - first + 1)
        if last - first + 1 > self.range_max:
            raise RpcError(-32005, f"/v2/{KEY}: query exceeds max block range {self.range_max}")
        if self.on_logs is not None:
            happen, self.on_logs = self.on_logs, None
            happen()
        found = self.evm.get_logs(
            from_block=first, to_block=last, address=wanted["address"], topics=wanted["topics"]
        )
        return [_log(log) for log in found]

    def eth_call(self, call: Json, number: str) -> str:
        wanted = {"from": self.accounts[0], "gas": GAS, **call}
        try:
            return str(self.evm.call(wanted, block_number=int(number, 16)))
        except self._transaction_failed as failed:
            raise RpcError(3, f"execution reverted: {failed}") from None


def _log(log: Json) -> Json:
    # eth-tester counts a transaction's logs; nodes count a block's. The order is what matters.
    index = log["transaction_index"] * 1_000 + log["log_index"]
    return {
        "address": log["address"],
        "topics": list(log["topics"]),
        "data": log["data"],
        "blockNumber": hex(log["block_number"]),
        "blockHash": log["block_hash"],
        "logIndex": hex(index),
        "removed": False,
    }
