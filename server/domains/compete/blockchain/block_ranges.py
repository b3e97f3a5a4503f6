"""Reading a contract block range by block range, each whole and of one branch of the chain."""

import logging
from datetime import datetime
from typing import Final, NamedTuple

from persistence.blockchain.store import Block, Contract, Header, Transfer
from server.domains.compete.blockchain.decoding import TransferLog
from server.domains.compete.blockchain.errors import ChainMoved, Refused, TooMuch
from server.domains.compete.blockchain.rpc import ChainNode, together

log = logging.getLogger(__name__)

BLOCKS_MAX: Final = 2_000  # asked for at once
BLOCKS_WITH_TRANSFERS_MAX: Final = 200  # kept at once; each is asked for its time
GROW_AFTER: Final = 8  # stretches without a refusal


class Stretch(NamedTuple):
    """What happened in the blocks until one."""

    until: Header
    transfers: list[Transfer]


class Stretches:
    """Reads one contract; asks for fewer blocks where a node refuses many, and for more again."""

    def __init__(
        self, node: ChainNode, contract: Contract, *, blocks_max: int = BLOCKS_MAX
    ) -> None:
        self._node = node
        self._contract = contract
        self._most = blocks_max
        self._blocks = blocks_max
        self._unrefused = 0
        self.refusals = 0

    async def read(self, after: Block, *, confirmed: int) -> Stretch:
        """Read on after a block, as far as a block at most; raise `ChainMoved`, `RpcFailed`."""
        while True:
            last = min(after.number + self._blocks, confirmed)
            try:
                stretch = await self._read(after, last)
            except (Refused, TooMuch) as refusal:
                if last == after.number + 1:
                    raise
                self._shrink(last - after.number, refusal)
            else:
                self._grow()
                return stretch

    async def _read(self, after: Block, last: int) -> Stretch:
        # The end before and after, and the beginning in between: then all is of one branch.
        end = await self.header(last)
        if (await self.header(after.number)).block != after:
            raise ChainMoved(f"block {after.number} is not the one that was read")
        logs = await self._node.transfers(self._contract, first=after.number + 1, last=last)
        kept, cut = _first_blocks(logs)
        times = await self._times(kept)
        if (await self.header(last)).block != end.block:
            raise ChainMoved(f"block {last} was replaced")
        until = Header(kept[-1].block, times[kept[-1].block]) if cut else end
        return Stretch(until, [Transfer(*each, at=times[each.block]) for each in kept])

    async def header(self, number: int) -> Header:
        """Read a block's head; raise `ChainMoved` where there is none."""
        found = await self._node.block(number)
        if found is None:
            raise ChainMoved(f"block {number} is not known to the node")
        return found

    async def _times(self, logs: list[TransferLog]) -> dict[Block, datetime]:
        told = {each.block for each in logs}
        headers = await together(self.header(block.number) for block in told)
        times = {found.block: found.at for found in headers}
        if times.keys() != told:
            raise ChainMoved("a transfer is of a block that was replaced")
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
