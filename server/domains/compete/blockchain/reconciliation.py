"""The nightly comparison: what the contract says of each bot's owner, and what the history says."""

import logging
from datetime import datetime
from typing import Final

from persistence.blockchain.store import (
    NOBODY,
    BlockHeader,
    ConcurrentWrite,
    Contract,
    OwnerCorrection,
    TokenBot,
    TransferStore,
)
from server.domains.compete.blockchain.errors import ChainReorganised
from server.domains.compete.blockchain.metrics import ContractReadMetrics
from server.domains.compete.blockchain.rpc import RpcClient, gather_all

log = logging.getLogger(__name__)

TRIES: Final = 5  # of one page, while other nodes read on


class OwnerReconciliation:
    """Compares the owners of one contract's bots at the block until which it was read."""

    def __init__(
        self,
        contract: Contract,
        *,
        node: RpcClient,
        store: TransferStore,
        metrics: ContractReadMetrics,
    ) -> None:
        self._contract = contract
        self._node = node
        self._store = store
        self._metrics = metrics

    async def run(self, now: datetime) -> int:
        """Compare all of them, page by page; give how many were wrong.

        Raises `ChainError`, `ConcurrentWrite` and the database's errors; what was corrected until
        then stays, and the rest is compared next time.
        """
        wrong, page = 0, await self._store.list_bots(self._contract)
        while page:
            # So that nobody on the page is found without owners only for being new.
            await self._store.derive_late_owners(self._contract)
            wrong += await self._compare_in_peace(page)
            page = await self._store.list_bots(self._contract, page[-1].bot_id)
        await self._store.note_reconciled(self._contract, now)
        return wrong

    async def _compare_in_peace(self, page: list[TokenBot]) -> int:
        for _ in range(TRIES - 1):
            try:
                return await self._compare(page)
            except ConcurrentWrite:
                continue
        return await self._compare(page)

    async def _compare(self, page: list[TokenBot]) -> int:
        at = await self._read_until()
        owners = await gather_all(
            self._node.read_token_owner(self._contract, bot.token_id, at=at.block.number)
            for bot in page
        )
        said = {bot.bot_id: owner or NOBODY for bot, owner in zip(page, owners, strict=True)}
        if (await self._node.read_block(at.block.number)) != at:
            raise ChainReorganised(
                f"block {at.block.number} was replaced while owners were asked for"
            )
        wrong = await self._store.correct_owners(self._contract, said, since=at.block, at=at.at)
        self._metrics.corrections += len(wrong)
        for correction in wrong:
            self._log(correction, at)
        return len(wrong)

    async def _read_until(self) -> BlockHeader:
        cursor = await self._store.read_position(self._contract)
        found = None if cursor is None else await self._node.read_block(cursor.block.number)
        if cursor is None or found is None or found.block != cursor.block:
            raise ChainReorganised("the last block that was read is not on the chain")
        return found

    def _log(self, correction: OwnerCorrection, at: BlockHeader) -> None:
        log.warning(
            "chain: bot %s is owned by %s at block %d, not by %s; the history was corrected",
            correction.bot_id, correction.is_owned_by, at.block.number, correction.recorded,
        )  # fmt: skip
