"""A chain, a database, and the reading of the one into the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import NamedTuple

import pytest

from persistence.blockchain.store import TransferStore
from persistence.database import Database
from server.core.clock import Clock
from server.domains.compete.blockchain.domain import ChainFollower, PollIntervals
from server.domains.compete.blockchain.indexer import IndexerOptions
from server.domains.compete.blockchain.metrics import ContractReadMetrics
from server.domains.compete.blockchain.rpc import RpcClient
from server.domains.compete.blockchain.rules import build_ownership_periods
from tests.integration.chain.devnet import Devnet

NEVER_S = 31_536_000.0


class Owned(NamedTuple):
    """A row of the history, its times in seconds as the chain tells them."""

    owner: str
    source: str
    since: float
    until: float | None


@dataclass
class Ledger:
    """The test's chain, and what the database says of it."""

    net: Devnet
    database: Database
    _numbers: "count[int]" = field(default_factory=count)

    @asynccontextmanager
    async def reading(
        self, *, confirmations: int = 0, start_block: int = 0
    ) -> AsyncIterator[ChainFollower]:
        """Make a server's reader; another one is another server, or the same after a restart."""
        async with RpcClient(self.net.url) as node:
            yield self.chain(node, IndexerOptions(confirmations, start_block))

    def chain(self, node: RpcClient, options: IndexerOptions) -> ChainFollower:
        return ChainFollower(
            [self.net.contract],
            node=node,
            store=TransferStore(self.database, build_ownership_periods),
            options=options,
            intervals=PollIntervals(poll_s=0.05, reconcile_s=NEVER_S),
            clock=Clock(),
        )

    async def read(self, chain: ChainFollower) -> bool:
        """Read as far as is confirmed; says whether all went well."""
        return await chain.follow(self.net.contract)

    def metrics(self, chain: ChainFollower) -> ContractReadMetrics:
        return chain.metrics[self.net.contract]

    async def register(self, token: int) -> str:
        """Make a token a bot; gives its id."""
        number = next(self._numbers)
        async with self.database.acquire() as connection:
            bot_id: str = await connection.fetchval(
                "WITH player AS (INSERT INTO players (display_name, avatar_seed, color, is_bot)"
                " VALUES ('Bot', 'bot', '#000000', true) RETURNING id)"
                " INSERT INTO bot_identities"
                " (id, slug, player_id, chain_id, contract_address, token_id)"
                " SELECT $1, $2, id, $3, $4, $5 FROM player RETURNING id",
                f"00000000-0000-4000-8000-{number:012x}",
                f"bot-{number}",
                *self.net.contract,
                token,
            )
        return bot_id

    async def history(self, bot_id: str) -> list[Owned]:
        """Read who owned a bot and when, the oldest first."""
        async with self.database.acquire() as connection:
            rows = await connection.fetch(
                "SELECT owner_address, source, extract(epoch FROM effective_from)::float,"
                " extract(epoch FROM effective_to)::float FROM bot_identity_owners"
                " WHERE bot_identity_id = $1 ORDER BY effective_from",
                bot_id,
            )
        return [Owned(*row) for row in rows]

    async def owner(self, bot_id: str) -> str | None:
        """Say who owns it now."""
        async with self.database.acquire() as connection:
            owner: str | None = await connection.fetchval(
                "SELECT owner_address FROM v_current_bot_identity_owner WHERE bot_identity_id = $1",
                bot_id,
            )
        return owner

    async def owner_at(self, bot_id: str, second: int) -> str | None:
        """Say who owned it then, as settlement asks."""
        async with self.database.acquire() as connection:
            owner: str | None = await connection.fetchval(
                "SELECT owner_address FROM bot_identity_owners WHERE bot_identity_id = $1"
                " AND effective_from <= $2 AND (effective_to IS NULL OR effective_to > $2)",
                bot_id,
                datetime.fromtimestamp(second, UTC),
            )
        return owner

    async def do(self, statement: str, *values: object) -> None:
        async with self.database.acquire() as connection:
            await connection.execute(statement, *values)

    async def count(self, table: str) -> int:
        async with self.database.acquire() as connection:
            return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))


@pytest.fixture
async def net() -> AsyncIterator[Devnet]:
    net = Devnet()
    await net.open()
    yield net
    await net.close()


@pytest.fixture
async def ledger(net: Devnet, database: Database) -> Ledger:
    return Ledger(net, database)
