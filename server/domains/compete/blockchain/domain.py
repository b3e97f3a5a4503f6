"""The reading of the chain as a task of the server, and what it says of itself."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from persistence.blockchain.store import ConcurrentWrite, Contract, TransferStore
from persistence.database import Database
from persistence.errors import StartRefused
from protocol.blockchain import ChainStatus, ContractStatus
from protocol.errors import PlayhallError
from server.core.clock import Clock
from server.core.containment import log_failure
from server.core.extras import BLOCKCHAIN
from server.domains.compete.blockchain.contracts import InvalidContracts, parse_contracts
from server.domains.compete.blockchain.errors import ChainError, WrongChain
from server.domains.compete.blockchain.indexer import Indexer, IndexerOptions
from server.domains.compete.blockchain.metrics import ChainCollector, ContractReadMetrics
from server.domains.compete.blockchain.reconciliation import OwnerReconciliation
from server.domains.compete.blockchain.rpc import RpcClient
from server.domains.compete.blockchain.rules import build_ownership_periods
from server.domains.compete.blockchain.settings import BlockchainSettings
from server.domains.contract import Domain, Job, provide
from server.domains.interfaces import ChainProgress
from server.domains.services import Services
from server.gateway.http.endpoints import Endpoint, HttpRequest

log = logging.getLogger(__name__)

PAUSE_MAX_S: Final = 300.0  # between tries, while the chain's node does not work
STEPS_MAX: Final = 100  # before a pause, also on a long way to catch up


class PollIntervals(NamedTuple):
    """How often new blocks are looked for, and owners compared."""

    poll_s: float
    reconcile_s: float


class ChainFollower:
    """All followed contracts of one chain; `run` is its task."""

    def __init__(
        self,
        contracts: Sequence[Contract],
        *,
        node: RpcClient,
        store: TransferStore,
        options: IndexerOptions,
        intervals: PollIntervals,
        clock: Clock,
    ) -> None:
        self._node = node
        self._store = store
        self._intervals = intervals
        self._clock = clock
        self._is_checked = False
        self.metrics = {contract: ContractReadMetrics() for contract in contracts}
        self._indexers = {
            contract: Indexer(contract, node=node, store=store, options=options, metrics=metrics)
            for contract, metrics in self.metrics.items()
        }
        self.collector = ChainCollector(self.metrics, clock.monotonic)

    def endpoints(self) -> list[Endpoint]:
        """List its address, which is there also where no chain is configured."""
        meaning = "Say how far this server has read the contracts that bots are tokens of."
        ask = partial(Endpoint, "GET", auth="none", answer=ChainStatus, tag="chain")
        return [ask("/v1/chain/status", meaning, self._read_status)]

    async def run(self) -> None:
        """Follow the contracts, for ever and each at its own pace; an error ends nothing."""
        async with self._node, asyncio.TaskGroup() as group:
            for contract in self.metrics:
                group.create_task(self._keep_following(contract))

    async def follow(self, contract: Contract) -> bool:
        """Bring a contract up to the confirmed blocks; say whether all went well."""
        metrics = self.metrics[contract]
        try:
            await self._check(contract)
            await self._catch_up(contract)
        except ConcurrentWrite:
            return True  # another node is at it, which is as good
        except (ChainError, PlayhallError) as error:
            self._is_checked = False  # another node may stand behind the URL when it is back
            metrics.count_failure()
            log.warning("chain: %s is not followed: %s", contract.address, error)
            return False
        except Exception:
            # A bug of ours: logged with its trace; games go on without new owners.
            metrics.count_failure()
            log_failure(f"chain: following {contract.address}")
            return False
        metrics.note_success(self._clock.monotonic())
        return True

    async def knows_owners_at(self, at: datetime) -> bool:
        """Say whether every contract was read beyond a time, by whichever node."""
        cursors = [await self._store.read_position(contract) for contract in self.metrics]
        return all(cursor is not None and cursor.at > at for cursor in cursors)

    def status(self) -> ChainStatus:
        """Say how far each contract was read."""
        now = self._clock.monotonic()
        return ChainStatus(
            contracts=[
                ContractStatus(
                    chain_id=contract.chain_id,
                    contract_address=contract.address,
                    head_block=metrics.head,
                    read_block=metrics.block,
                    blocks_behind=metrics.blocks_behind,
                    success_age_s=metrics.age_s(now),
                    is_well=metrics.is_well,
                )
                for contract, metrics in self.metrics.items()
            ]
        )

    async def _read_status(self, _: HttpRequest) -> ChainStatus:
        return self.status()

    async def _keep_following(self, contract: Contract) -> None:
        pause_s = self._intervals.poll_s
        while True:
            went_well = await self.follow(contract)
            pause_s = self._intervals.poll_s if went_well else min(pause_s * 2, PAUSE_MAX_S)
            await asyncio.sleep(max(pause_s, self._intervals.poll_s))

    async def _check(self, contract: Contract) -> None:
        if self._is_checked:
            return
        found = await self._node.chain_id()
        if found != contract.chain_id:
            raise WrongChain(
                f"the node at PLAYHALL_CHAIN_RPC_URL follows chain {found}, and "
                f"PLAYHALL_CHAIN_CONTRACTS names chain {contract.chain_id}; correct one of them."
            )
        self._is_checked = True

    async def _catch_up(self, contract: Contract) -> None:
        for _ in range(STEPS_MAX):
            if not await self._indexers[contract].index_next_range():
                break
        else:
            return  # still behind: owners are compared once it has caught up
        await self._reconcile(contract)

    async def _reconcile(self, contract: Contract) -> None:
        cursor, now = await self._store.read_position(contract), self._clock.now()
        every = timedelta(seconds=self._intervals.reconcile_s)
        if cursor is None or (cursor.reconciled_at and now - cursor.reconciled_at < every):
            return
        metrics = self.metrics[contract]
        work = OwnerReconciliation(contract, node=self._node, store=self._store, metrics=metrics)
        wrong = await work.run(now)
        log.info("chain: owners of %s were compared, %d corrected", contract.address, wrong)


def build(services: Services) -> Domain:
    """Put the domain together. Raise `StartRefused` for settings that cannot be used."""
    settings = services.settings(BlockchainSettings)
    chain = build_chain_follower(settings, database=services.database, clock=services.clock)
    return Domain(
        name="blockchain",
        settings=BlockchainSettings,
        endpoints=chain.endpoints(),
        metrics=[chain.collector],
        provides=[provide(ChainProgress, chain)],
        jobs=[Job("chain", chain.run)] if chain.metrics else [],
    )


def build_chain_follower(
    settings: BlockchainSettings, *, database: Database, clock: Clock
) -> ChainFollower:
    """Make it as configured, which may be to follow nothing; raise `StartRefused`."""
    url = "" if settings.chain_rpc_url is None else settings.chain_rpc_url.get_secret_value()
    if bool(url) != bool(settings.chain_contracts):
        raise StartRefused(
            "PLAYHALL_CHAIN_RPC_URL and PLAYHALL_CHAIN_CONTRACTS go together; set both or none."
        )
    if url and not url.startswith(("https://", "http://")):
        raise StartRefused("PLAYHALL_CHAIN_RPC_URL must be https://… or http://….")
    if url and not BLOCKCHAIN.is_installed:  # nobody could link the wallet that owns a bot
        raise StartRefused(
            f"PLAYHALL_CHAIN_CONTRACTS needs {BLOCKCHAIN.requirement}; install it, or leave the "
            "PLAYHALL_CHAIN settings empty."
        )
    return ChainFollower(
        _contracts(settings.chain_contracts),
        node=RpcClient(url),
        store=TransferStore(database, build_ownership_periods),
        options=IndexerOptions(settings.chain_confirmations, settings.chain_start_block),
        intervals=PollIntervals(settings.chain_poll_s, settings.chain_reconcile_s),
        clock=clock,
    )


def _contracts(text: str) -> Sequence[Contract]:
    try:
        return parse_contracts(text) if text else ()
    except InvalidContracts as error:
        raise StartRefused(f"PLAYHALL_CHAIN_CONTRACTS {error}.") from error
