"""One contract, from its transfers to the owners of bots, step by step."""

import logging
from datetime import datetime
from typing import Final, NamedTuple

from persistence.blockchain.store import (
    Block,
    BlockHeader,
    Contract,
    ReadPosition,
    Transfer,
    TransferStore,
)
from server.domains.compete.blockchain.decoding import TransferLog
from server.domains.compete.blockchain.errors import (
    AnswerTooLarge,
    ChainHistoryLost,
    ChainReorganised,
    RpcRefused,
)
from server.domains.compete.blockchain.metrics import ContractReadMetrics
from server.domains.compete.blockchain.rpc import RpcClient, gather_all

log = logging.getLogger(__name__)

CONFIRMATIONS: Final = 12


class IndexerOptions(NamedTuple):
    """From which block a contract is read, and how deep a block must be to count."""

    confirmations: int = CONFIRMATIONS
    start_block: int = 0


BLOCKS_MAX: Final = 2_000  # asked for at once
BLOCKS_WITH_TRANSFERS_MAX: Final = 200  # kept at once; each is asked for its time
GROW_AFTER: Final = 8  # stretches without a refusal


class BlockRange(NamedTuple):
    """What happened in the blocks until one."""

    until: BlockHeader
    transfers: list[Transfer]


class BlockRangeReader:
    """Reads a contract range by range of blocks, each whole and of one branch of the chain.

    Asks for fewer blocks where a node refuses many, and for more again.
    """

    def __init__(
        self, node: RpcClient, contract: Contract, *, blocks_max: int = BLOCKS_MAX
    ) -> None:
        self._node = node
        self._contract = contract
        self._most = blocks_max
        self._blocks = blocks_max
        self._unrefused = 0
        self.refusals = 0

    async def read(self, after: Block, *, confirmed: int) -> BlockRange:
        """Read on after a block, up to `confirmed`; raise `ChainReorganised`, `RpcError`."""
        while True:
            last = min(after.number + self._blocks, confirmed)
            try:
                block_range = await self._read(after, last)
            except (RpcRefused, AnswerTooLarge) as refusal:
                if last == after.number + 1:
                    raise
                self._shrink(last - after.number, refusal)
            else:
                self._grow()
                return block_range

    async def _read(self, after: Block, last: int) -> BlockRange:
        # The end before and after, and the beginning in between: then all is of one branch.
        end = await self.header(last)
        if (await self.header(after.number)).block != after:
            raise ChainReorganised(f"block {after.number} is not the one that was read")
        logs = await self._node.read_transfers(self._contract, first=after.number + 1, last=last)
        kept, cut = _first_blocks(logs)
        times = await self._times(kept)
        if (await self.header(last)).block != end.block:
            raise ChainReorganised(f"block {last} was replaced")
        until = BlockHeader(kept[-1].block, times[kept[-1].block]) if cut else end
        return BlockRange(until, [Transfer(*each, at=times[each.block]) for each in kept])

    async def header(self, number: int) -> BlockHeader:
        """Read a block's head; raise `ChainReorganised` where there is none."""
        found = await self._node.read_block(number)
        if found is None:
            raise ChainReorganised(f"block {number} is not known to the node")
        return found

    async def _times(self, logs: list[TransferLog]) -> dict[Block, datetime]:
        blocks = {each.block for each in logs}
        headers = await gather_all(self.header(block.number) for block in blocks)
        times = {found.block: found.at for found in headers}
        if times.keys() != blocks:
            raise ChainReorganised("a transfer is of a block that was replaced")
        return times

    def _shrink(self, asked: int, refusal: Exception) -> None:
        self._blocks = max(asked // 2, 1)
        self._unrefused = 0
        self.refusals += 1
        log.info("chain: %d blocks at once were refused, now %d: %s", asked, self._blocks, refusal)

    def _grow(self) -> None:
        self._unrefused += 1
        if self._unrefused >= GROW_AFTER:
            self._unrefused = 0
            self._blocks = min(self._blocks * 2, self._most)


def _first_blocks(logs: list[TransferLog]) -> tuple[list[TransferLog], bool]:
    """Keep whole blocks, as many as are kept at once; say whether others were cut off."""
    numbers = sorted({each.block.number for each in logs})
    if len(numbers) <= BLOCKS_WITH_TRANSFERS_MAX:
        return logs, False
    last = numbers[BLOCKS_WITH_TRANSFERS_MAX - 1]
    return [each for each in logs if each.block.number <= last], True


class Indexer:
    """Follows one contract; nothing is kept in memory that a restart would miss."""

    def __init__(
        self,
        contract: Contract,
        *,
        node: RpcClient,
        store: TransferStore,
        options: IndexerOptions,
        metrics: ContractReadMetrics,
    ) -> None:
        self._contract = contract
        self._node = node
        self._store = store
        self._options = options
        self._metrics = metrics
        self._ranges = BlockRangeReader(node, contract)

    async def index_next_range(self) -> bool:
        """Read one range of blocks, or undo a reorganisation; say whether there is more at once.

        Raises `ChainError`, `ConcurrentWrite` where another node was faster, and the database's
        errors.
        """
        head = await self._node.newest_block_number()
        confirmed = head - self._options.confirmations
        cursor = await self._cursor(confirmed)
        self._measure(cursor, head)
        if cursor is None:
            return False
        if common := await self._left_behind(head):
            await self._roll_back(cursor.block, common)
            return True
        more = confirmed > cursor.block.number
        if more:
            await self._advance(cursor.block, confirmed)
        await self._store.derive_late_owners(self._contract)
        return more

    async def _cursor(self, confirmed: int) -> ReadPosition | None:
        """Find where to go on; begin where that has been confirmed."""
        cursor = await self._store.read_position(self._contract)
        begin = max(self._options.start_block - 1, 0)
        if cursor is None and begin <= confirmed:
            await self._store.begin_reading(self._contract, await self._ranges.header(begin))
            cursor = await self._store.read_position(self._contract)
        return cursor

    async def _left_behind(self, head: int) -> BlockHeader | None:
        """Find the last block kept that is still on the chain, if not all are.

        Where the chain is shorter than what was read but the same so far, all are: a node behind
        a balancer lags now and then, and nothing was taken back.
        """
        kept = await self._store.list_recent_blocks(self._contract)
        reached = [block for block in kept if block.number <= head]
        for block in reached:
            found = await self._node.read_block(block.number)
            if found is not None and found.block == block:
                return None if block == reached[0] else found
        raise ChainHistoryLost(
            f"none of the last {len(kept)} blocks that were read is on the node's chain: it was "
            "reset, or reorganised more deeply than can be taken back. Look which; to read the "
            "contract anew, delete its row in chain_cursors."
        )

    async def _roll_back(self, since: Block, common: BlockHeader) -> None:
        gone = await self._store.roll_back(self._contract, since=since, common=common)
        self._metrics.reorganisations += 1
        self._metrics.taken_back += gone
        log.warning(
            "chain: %s was reorganised after block %d; %d transfers until block %d were taken back",
            self._contract.address, common.block.number, gone, since.number,
        )  # fmt: skip

    async def _advance(self, since: Block, confirmed: int) -> None:
        block_range = await self._ranges.read(since, confirmed=confirmed)
        await self._store.store_blocks(
            self._contract, since=since, until=block_range.until, transfers=block_range.transfers
        )
        self._metrics.transfers += len(block_range.transfers)
        self._metrics.block = block_range.until.block.number
        self._metrics.blocks_behind = confirmed - block_range.until.block.number

    def _measure(self, cursor: ReadPosition | None, head: int) -> None:
        confirmed = head - self._options.confirmations
        self._metrics.head = head
        self._metrics.block = None if cursor is None else cursor.block.number
        begun = self._options.start_block if cursor is None else cursor.block.number
        self._metrics.blocks_behind = max(confirmed - begun, 0)
