"""One contract, from its transfers to the owners of bots, step by step."""

import logging
from typing import Final, NamedTuple

from persistence.blockchain.store import Block, Contract, Cursor, Header, TransferStore
from server.domains.compete.blockchain.block_ranges import Stretches
from server.domains.compete.blockchain.errors import ChainLost
from server.domains.compete.blockchain.metrics import ContractMetrics
from server.domains.compete.blockchain.rpc import ChainNode

log = logging.getLogger(__name__)

CONFIRMATIONS: Final = 12


class Terms(NamedTuple):
    """From which block a contract is read, and how deep a block must be to count."""

    confirmations: int = CONFIRMATIONS
    start_block: int = 0


class Indexer:
    """Follows one contract; nothing is kept in memory that a restart would miss."""

    def __init__(
        self,
        contract: Contract,
        *,
        node: ChainNode,
        store: TransferStore,
        terms: Terms,
        metrics: ContractMetrics,
    ) -> None:
        self._contract = contract
        self._node = node
        self._store = store
        self._terms = terms
        self._metrics = metrics
        self._stretches = Stretches(node, contract)

    async def step(self) -> bool:
        """Read one stretch, or take a reorganisation back; say whether there is more at once.

        Raises `ChainTrouble`, `Outrun` where another node was faster, and the database's errors.
        """
        head = await self._node.head()
        confirmed = head - self._terms.confirmations
        cursor = await self._cursor(confirmed)
        self._measure(cursor, head)
        if cursor is None:
            return False
        if common := await self._left_behind(head):
            await self._take_back(cursor.block, common)
            return True
        more = confirmed > cursor.block.number
        if more:
            await self._advance(cursor.block, confirmed)
        await self._store.derive_late(self._contract)
        return more

    async def _cursor(self, confirmed: int) -> Cursor | None:
        """Find where to go on; begin where that has been confirmed."""
        cursor = await self._store.cursor(self._contract)
        begin = max(self._terms.start_block - 1, 0)
        if cursor is None and begin <= confirmed:
            await self._store.begin(self._contract, await self._stretches.header(begin))
            cursor = await self._store.cursor(self._contract)
        return cursor

    async def _left_behind(self, head: int) -> Header | None:
        """Find the last block kept that is still on the chain, if not all are.

        Where the chain is shorter than what was read but the same so far, all are: a node behind
        a balancer lags now and then, and nothing was taken back.
        """
        kept = await self._store.kept_blocks(self._contract)
        reached = [block for block in kept if block.number <= head]
        for block in reached:
            found = await self._node.block(block.number)
            if found is not None and found.block == block:
                return None if block == reached[0] else found
        raise ChainLost(
            f"none of the last {len(kept)} blocks that were read is on the node's chain: it was "
            "reset, or reorganised more deeply than can be taken back. Look which; to read the "
            "contract anew, delete its row in chain_cursors."
        )

    async def _take_back(self, since: Block, common: Header) -> None:
        gone = await self._store.take_back(self._contract, since=since, common=common)
        self._metrics.reorganisations += 1
        self._metrics.taken_back += gone
        log.warning(
            "chain: %s was reorganised after block %d; %d transfers until block %d were taken back",
            self._contract.address, common.block.number, gone, since.number,
        )  # fmt: skip

    async def _advance(self, since: Block, confirmed: int) -> None:
        stretch = await self._stretches.read(since, confirmed=confirmed)
        await self._store.advance(
            self._contract, since=since, until=stretch.until, transfers=stretch.transfers
        )
        self._metrics.transfers += len(stretch.transfers)
        self._metrics.block = stretch.until.block.number
        self._metrics.blocks_behind = confirmed - stretch.until.block.number

    def _measure(self, cursor: Cursor | None, head: int) -> None:
        confirmed = head - self._terms.confirmations
        self._metrics.head = head
        self._metrics.block = None if cursor is None else cursor.block.number
        begun = self._terms.start_block if cursor is None else cursor.block.number
        self._metrics.blocks_behind = max(confirmed - begun, 0)
