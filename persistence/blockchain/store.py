"""What was read of ERC-721 contracts, and the history of owners that follows from it.

Whatever is written is written under one lock a contract, and only if the cursor still stands
where the writer saw it: nodes may read the same blocks at once, but only one keeps them.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from persistence.database import Connection, Database
from persistence.queries import load_queries

SQL = load_queries("blockchain/store")

BLOCKS_KEPT_MAX: Final = 256
BOTS_PAGE: Final = 100
BEFORE_ALL_IDS: Final = "00000000-0000-0000-0000-000000000000"


NOBODY: Final = "0x" + "0" * 40

Source: TypeAlias = Literal["onchain", "admin_correction"]


class OwnerChange(NamedTuple):
    """From a time on, somebody owns it, or `NOBODY`."""

    at: datetime
    owner: str


class OwnershipPeriod(NamedTuple):
    """Somebody owned it from a time until before another; `until` is none while it lasts."""

    owner: str
    source: Source
    since: datetime
    until: datetime | None


# The history of a token's owners, from its transfers and from what was corrected.
History: TypeAlias = Callable[[Sequence[OwnerChange], Sequence[OwnerChange]], list[OwnershipPeriod]]


class Contract(NamedTuple):
    """An ERC-721 contract; the address in lowercase."""

    chain_id: int
    address: str


class Block(NamedTuple):
    """A block that was read."""

    number: int
    hash: str


class BlockHeader(NamedTuple):
    """A block and its time."""

    block: Block
    at: datetime


class ReadPosition(NamedTuple):
    """Until which block a contract was read, and when its owners were last compared."""

    block: Block
    at: datetime
    reconciled_at: datetime | None


class Transfer(NamedTuple):
    """One token going from somebody to somebody, in a block at a time."""

    block: Block
    log_index: int
    token_id: int
    sender: str
    recipient: str
    at: datetime


class TokenBot(NamedTuple):
    """A registered bot, and its token."""

    bot_id: str
    token_id: int


class OwnerCorrection(NamedTuple):
    """A bot whose history had another owner than the contract."""

    bot_id: str
    recorded: str
    is_owned_by: str


class ConcurrentWrite(Exception):
    """Another node has just written about this contract, or is about to."""


class TransferStore:
    """Transfers, blocks, cursors and owners in PostgreSQL.

    `history` says what follows from them for a token.
    """

    def __init__(self, database: Database, history: History) -> None:
        self._database = database
        self._history = history

    async def read_position(self, contract: Contract) -> ReadPosition | None:
        """Say how far a contract was read, if at all."""
        async with self._database.acquire() as connection:
            return await _cursor(connection, contract)

    async def list_recent_blocks(self, contract: Contract) -> list[Block]:
        """List the last blocks read, the newest first; at most `BLOCKS_KEPT_MAX`."""
        async with self._database.acquire() as connection:
            return [Block(*row) for row in await connection.fetch(SQL["list_blocks"], *contract)]

    async def begin_reading(self, contract: Contract, header: BlockHeader) -> None:
        """Begin reading after a block, unless it was begun."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["begin_reading"], *contract, *header.block, header.at)
            await _keep_blocks(connection, contract, [header.block])

    async def store_blocks(
        self, contract: Contract, *, since: Block, until: BlockHeader, transfers: Sequence[Transfer]
    ) -> None:
        """Keep what was read between two blocks, and the owners that follow.

        Raises `ConcurrentWrite`.
        """
        async with self._alone(contract, since) as connection:
            await connection.execute(SQL["move_cursor"], *contract, *until.block, until.at)
            await _keep_blocks(connection, contract, [until.block, *(t.block for t in transfers)])
            await _keep_transfers(connection, contract, transfers)
            await self._derive(connection, contract, {t.token_id for t in transfers})

    async def roll_back(self, contract: Contract, *, since: Block, common: BlockHeader) -> int:
        """Take back what was read after a common block; give how many transfers that were.

        Owners are to be compared again soon: corrections may rest on what is gone. Raises
        `ConcurrentWrite`.
        """
        async with self._alone(contract, since) as connection:
            after = common.block.number
            gone = await connection.fetch(SQL["take_back_transfers"], *contract, after)
            await connection.execute(SQL["take_back_blocks"], *contract, after)
            await connection.execute(SQL["move_cursor"], *contract, *common.block, common.at)
            await connection.execute(SQL["note_reconciled"], *contract, None)
            await self._derive(connection, contract, {int(row["token_id"]) for row in gone})
        return sum(row["transfers"] for row in gone)

    async def derive_owners(self, chain_id: int, address: str, token_id: int) -> None:
        """Write the owners of the bot that is a token, from the transfers that were read."""
        contract = Contract(chain_id, address)
        async with self._database.transaction() as connection:
            await connection.execute(SQL["await_contract"], *map(str, contract))
            await self._derive(connection, contract, {token_id})

    async def derive_late_owners(self, contract: Contract) -> int:
        """Write the owners of bots that were registered after their transfers; count them."""
        found, after = 0, BEFORE_ALL_IDS
        while bots := await self._page(contract, "find_late_bots", after):
            for bot in bots:
                await self.derive_owners(*contract, bot.token_id)
            found, after = found + len(bots), bots[-1].bot_id
        return found

    async def list_bots(self, contract: Contract, after: str = BEFORE_ALL_IDS) -> list[TokenBot]:
        """List the bots of a contract after one, by their ids; at most `BOTS_PAGE`."""
        return await self._page(contract, "list_bots", after)

    async def correct_owners(
        self, contract: Contract, owners: Mapping[str, str], *, since: Block, at: datetime
    ) -> list[OwnerCorrection]:
        """Correct the history where bots' owners (id to address or `NOBODY`) differ at a time.

        `since` is the block, and `at` its time, that the owners were asked for. Raises
        `ConcurrentWrite`.
        """
        async with self._alone(contract, since) as connection:
            await connection.execute(SQL["lock_bots"], list(owners))
            rows = await connection.fetch(SQL["owners_at"], list(owners), at)
            recorded = {row["bot_identity_id"]: row["owner_address"] for row in rows}
            wrong = [
                OwnerCorrection(bot_id, recorded.get(bot_id, NOBODY), owner)
                for bot_id, owner in owners.items()
                if recorded.get(bot_id, NOBODY) != owner
            ]
            for correction in wrong:
                await _correct(connection, correction, at)
        return wrong

    async def note_reconciled(self, contract: Contract, at: datetime) -> None:
        """Note when the owners were compared."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["note_reconciled"], *contract, at)

    async def _derive(self, connection: Connection, contract: Contract, tokens: set[int]) -> None:
        bots = await connection.fetch(SQL["find_bots_of_tokens"], *contract, sorted(tokens))
        for bot in bots:
            transfers = await connection.fetch(SQL["list_transfers"], *contract, bot["token_id"])
            corrected = await connection.fetch(SQL["list_corrections"], bot["id"])
            history = self._history(
                [OwnerChange(*row) for row in transfers], [OwnerChange(*row) for row in corrected]
            )
            await _keep_periods(connection, bot["id"], history)

    async def _page(self, contract: Contract, query: str, after: str) -> list[TokenBot]:
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL[query], *contract, after, BOTS_PAGE)
        return [TokenBot(row["id"], int(row["token_id"])) for row in rows]

    @asynccontextmanager
    async def _alone(self, contract: Contract, since: Block) -> AsyncIterator[Connection]:
        """Write about a contract as the only one, whose cursor stands at a block."""
        async with self._database.transaction() as connection:
            if not await connection.fetchval(SQL["lock_contract"], *map(str, contract)):
                raise ConcurrentWrite
            cursor = await _cursor(connection, contract)
            if cursor is None or cursor.block != since:
                raise ConcurrentWrite
            yield connection


async def _cursor(connection: Connection, contract: Contract) -> ReadPosition | None:
    row = await connection.fetchrow(SQL["find_cursor"], *contract)
    if row is None:
        return None
    return ReadPosition(Block(*row[:2]), *row[2:])


async def _keep_blocks(connection: Connection, contract: Contract, blocks: Sequence[Block]) -> None:
    numbers, hashes = zip(*sorted(set(blocks)), strict=True)
    await connection.execute(SQL["keep_blocks"], *contract, numbers, hashes)
    await connection.execute(SQL["forget_old_blocks"], *contract, BLOCKS_KEPT_MAX)


async def _keep_transfers(
    connection: Connection, contract: Contract, transfers: Sequence[Transfer]
) -> None:
    rows = [(t.block.number, *t[1:]) for t in transfers]
    if rows:
        await connection.execute(SQL["keep_transfers"], *contract, *zip(*rows, strict=True))


async def _keep_periods(
    connection: Connection, bot_id: str, history: list[OwnershipPeriod]
) -> None:
    owners, sources, since, until = (
        [getattr(period, field) for period in history] for field in OwnershipPeriod._fields
    )
    await connection.execute(SQL["forget_periods"], bot_id, owners, sources, since)
    await connection.execute(SQL["close_periods"], bot_id, since, until)
    await connection.execute(SQL["keep_periods"], bot_id, owners, sources, since, until)


async def _correct(connection: Connection, correction: OwnerCorrection, at: datetime) -> None:
    bot_id, _, owner = correction
    until = await connection.fetchval(SQL["close_for_correction"], bot_id, at)
    if owner == NOBODY:
        until = at
    await connection.execute(SQL["write_correction"], bot_id, owner, at, until)
