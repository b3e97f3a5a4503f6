"""The ledger, what it moves, and the review queue, in PostgreSQL.

What people read of their own is decided by row level security. Transactions are written as the
server: `lock` holds the slot and then the account until the caller's transaction ends, `add` puts
the transaction on record, and the database applies its entries to what is held.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import asyncpg
import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.errors import ProfileNotFound
from protocol.ids import UserId
from protocol.inventory import AssetNotFound, FlagDecided, FlagNotFound, FlagStatus, Kind
from protocol.saves import SaveSlotNotFound

SQL: Final = load_queries("inventory/store")
SEQ_MAX: Final = 2**63 - 1

AssetKind: TypeAlias = Literal["item", "currency"]
Unlocked: TypeAlias = tuple[str, str]  # lore or cosmetic, and which


class PlayTime(NamedTuple):
    """How long was played, in seconds: in the slot that is asked for, and in all of the account."""

    in_slot: int
    in_all: int


class LockedSlot(NamedTuple):
    """What decides about gains in the slot, or the account, that is held."""

    play_time: PlayTime
    is_modded: bool


class StoredAsset(NamedTuple):
    """An item or a currency, and what somebody has of it.

    `held` and `gained` (ever) are the slot's, or the account's for a currency of the account;
    `last_hour` and `last_day` are the account's gains in all slots, 0 where they are not limited.
    """

    kind: AssetKind
    id: str
    is_server_owned: bool
    is_retired: bool
    scope: Literal["account", "slot"]
    use_bundle: Any
    holding_max: int
    limits: Mapping[str, Any]
    held: int
    gained: int
    last_hour: int
    last_day: int


class HoldingChange(NamedTuple):
    """What a player gets (or loses) of one stack or currency."""

    kind: AssetKind
    id: str
    slot_id: str | None
    amount: int
    stack_key: str = ""
    metadata: Mapping[str, Any] = {}


class NewTransaction(NamedTuple):
    """A transaction to be put on record."""

    account_id: UserId
    slot_id: str | None
    key: str
    content_hash: str
    kind: Kind
    reason: str


class StoredLedgerEntry(NamedTuple):
    """A player's entry."""

    slot_id: str | None
    item_id: str | None
    stack_key: str
    currency_id: str | None
    amount: int
    balance: int


class StoredTransaction(NamedTuple):
    """A transaction with the player's entries, and what it unlocked."""

    seq: int
    transaction_id: str
    kind: Kind
    slot_id: str | None
    key: str
    reason: str
    at: datetime
    changes: Sequence[StoredLedgerEntry]
    unlocked: Sequence[Unlocked]


class StoredStack(NamedTuple):
    """A stack of an inventory; `metadata` is JSON."""

    entry_id: str
    item_id: str
    quantity: int
    stack_key: str
    metadata: bytes


class StackPosition(NamedTuple):
    """Where in an inventory a page begins."""

    item_id: str = ""
    stack_key: str = ""


class StoredUnlock(NamedTuple):
    """Something that an account has unlocked."""

    unlock_id: str
    slot_id: str | None
    at: datetime


class NewReviewEntry(NamedTuple):
    """Something for the review queue."""

    account_id: UserId
    slot_id: str | None
    transaction_id: str | None
    rule: str
    asset: str
    reason: str
    was_refused: bool


class StoredReviewEntry(NamedTuple):
    """An entry of the review queue."""

    seq: int
    flag_id: str
    account_id: str
    slot_id: str | None
    transaction_id: str | None
    rule: str
    asset: str
    reason: str
    was_refused: bool
    times: int
    status: FlagStatus
    note: str
    first_at: datetime
    last_at: datetime
    decided_at: datetime | None


class EconomyTransaction:
    """What the server does in an open transaction, its own or another domain's."""

    def __init__(self, connection: Connection, account_id: UserId, slot_id: str | None) -> None:
        self.connection = connection
        self.account_id = account_id
        self.slot_id = slot_id

    async def find_transaction(
        self, key: str, content_hash: str
    ) -> tuple[StoredTransaction, str] | None:
        """Find the transaction of a key, and the hash of its content.

        Of several, which only a merge of accounts can lead to: the one with this content.
        """
        row = await self.connection.fetchrow(
            SQL["find_transaction"], self.account_id, key, content_hash, self.slot_id
        )
        if row is None:
            return None
        *fields, found_hash = row
        (found,) = await _complete(self.connection, self.account_id, [tuple(fields)])
        return found, found_hash

    async def lock_holdings(self) -> LockedSlot:
        """Hold the slot and the account; raise `SaveSlotNotFound` or `ProfileNotFound`."""
        if self.slot_id is not None:
            row = await self.connection.fetchrow(SQL["lock_slot"], self.slot_id, self.account_id)
            if row is None:
                raise SaveSlotNotFound
            locked = LockedSlot(PlayTime(row["play_time_s"], row["in_all"]), row["is_modded"])
        else:
            in_all = await self.connection.fetchval(SQL["read_play_time"], self.account_id)
            if in_all is None:
                raise ProfileNotFound(field="account_id")
            locked = LockedSlot(PlayTime(in_all, in_all), is_modded=False)
        await self.connection.execute(SQL["lock_account"], self.account_id)
        return locked

    async def read_assets(
        self, items: Collection[str], currencies: Collection[str]
    ) -> dict[tuple[AssetKind, str], StoredAsset]:
        """Read items and currencies, with what is held of them; unknown ones are left out."""
        rows = await self.connection.fetch(
            SQL["read_assets"], self.account_id, self.slot_id, list(items), list(currencies)
        )
        assets = {}
        for row in rows:
            fields = dict(row)
            bundle = fields["use_bundle"]
            fields["use_bundle"] = None if bundle is None else orjson.loads(bundle)
            fields["limits"] = orjson.loads(fields["limits"])
            asset = StoredAsset(**fields)
            assets[asset.kind, asset.id] = asset
        return assets

    async def read_stacks(self, items: Collection[str]) -> dict[tuple[str, str], int]:
        """Read how much there is in each stack of some items."""
        rows = await self.connection.fetch(SQL["read_stacks"], self.slot_id, list(items))
        return {(row["item_id"], row["stack_key"]): row["quantity"] for row in rows}

    async def book(
        self, new: NewTransaction, moves: Sequence[HoldingChange], unlocks: Sequence[Unlocked]
    ) -> StoredTransaction:
        """Put a transaction on record and carry it out; its key must not be used."""
        head = await self.connection.fetchrow(SQL["add_transaction"], *new)
        assert head is not None  # whoever holds the account has looked for the key
        transaction_id = head["transaction_id"]
        changes: list[StoredLedgerEntry] = []
        if moves:
            values = (
                [move.slot_id for move in moves],
                [move.id if move.kind == "item" else None for move in moves],
                [move.stack_key for move in moves],
                [orjson.dumps(move.metadata) for move in moves],
                [move.id if move.kind == "currency" else None for move in moves],
                [move.amount for move in moves],
            )
            try:
                rows = await self.connection.fetch(
                    SQL["add_entries"], transaction_id, self.account_id, *values
                )
            except asyncpg.ForeignKeyViolationError as error:
                raise AssetNotFound from error  # it was deleted a moment ago
            changes = [StoredLedgerEntry(*each) for holder, *each in rows if holder == "player"]
        unlocked: list[Unlocked] = []
        if unlocks:
            kinds, ids = [kind for kind, _ in unlocks], [each for _, each in unlocks]
            named = (self.account_id, transaction_id, self.slot_id, kinds, ids)
            rows = await self.connection.fetch(SQL["add_unlocks"], *named)
            unlocked = sorted((row["kind"], row["unlock_id"]) for row in rows)
        return StoredTransaction(*(*head, changes, unlocked))

    async def remove_unlocks(self, unlocked: Sequence[Unlocked]) -> None:
        """Take unlocks back."""
        kinds, ids = [kind for kind, _ in unlocked], [each for _, each in unlocked]
        await self.connection.execute(SQL["remove_unlocks"], self.account_id, kinds, ids)

    async def add_review_entry(self, flag: NewReviewEntry) -> None:
        """Put something on the review queue."""
        await self.connection.execute(SQL["add_flag"], *flag)

    async def read_holdings(self) -> tuple[dict[str, int], dict[str, int]]:
        """Read what is held: items and currencies, by id."""
        rows = await self.connection.fetch(SQL["read_holdings"], self.account_id, self.slot_id)
        items = {row["id"]: row["held"] for row in rows if row["kind"] == "item"}
        return items, {row["id"]: row["held"] for row in rows if row["kind"] == "currency"}

    async def held_in_slot(self) -> dict[str, int]:
        """Read what the slot alone holds, by item and currency."""
        rows = await self.connection.fetch(SQL["read_held_in_slot"], self.account_id, self.slot_id)
        return {row["id"]: row["held"] for row in rows}


class EconomyStore:
    """The economy in PostgreSQL, beside what is done in open transactions."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self.database = database
        self._rls = rls

    # ------------------------------------------------------------------ as the person

    async def list_inventory(
        self, who: Requester, slot_id: str, *, after: StackPosition, limit: int
    ) -> tuple[list[StoredStack], dict[str, int]]:
        """List stacks of a slot and all balances; raise `SaveSlotNotFound`."""
        async with self._rls.as_user(who) as connection:
            if not await connection.fetchval(SQL["has_slot"], slot_id, who.user_id):
                raise SaveSlotNotFound
            stacks = await connection.fetch(SQL["list_items"], slot_id, *after, limit, who.user_id)
            balances = await connection.fetch(SQL["list_balances"], who.user_id, slot_id)
        return [StoredStack(*row) for row in stacks], {
            row["currency_id"]: row["balance"] for row in balances
        }

    async def list_unlocks(
        self, who: Requester, kind: str, *, after: str, limit: int
    ) -> list[StoredUnlock]:
        """List what somebody has unlocked."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["list_unlocks"], who.user_id, kind, after, limit)
        return [StoredUnlock(*row) for row in rows]

    async def list_own_ledger(
        self, who: Requester, slot_id: str | None, *, below: int, limit: int
    ) -> list[StoredTransaction]:
        """List somebody's own transactions."""
        async with self._rls.as_user(who) as connection:
            return await _ledger(connection, who.user_id, slot_id, below=below, limit=limit)

    # ------------------------------------------------------------------ as the server, for staff

    async def list_ledger(
        self, account_id: UserId, slot_id: str | None, *, below: int, limit: int, actor: UserId
    ) -> list[StoredTransaction]:
        """List anybody's transactions, which is put on record."""
        async with self.database.transaction() as connection:
            await record_entry(connection, actor=actor, action="ledger_read", target=account_id)
            return await _ledger(connection, account_id, slot_id, below=below, limit=limit)

    async def add_review_entries(self, flags: Sequence[NewReviewEntry]) -> None:
        """Put on the review queue what was refused, now that nothing else came of it."""
        async with self.database.transaction() as connection:
            for flag in flags:
                await connection.execute(SQL["add_flag"], *flag)

    async def list_review_entries(
        self, status: FlagStatus, account_id: str | None, *, below: int, limit: int
    ) -> list[StoredReviewEntry]:
        """List a part of the review queue, newest first."""
        async with self.database.acquire() as connection:
            rows = await connection.fetch(SQL["list_flags"], status, account_id, below, limit)
        return [StoredReviewEntry(*row) for row in rows]

    async def decide_review_entry(
        self, flag_id: str, decision: FlagStatus, note: str, *, actor: UserId
    ) -> StoredReviewEntry:
        """Decide an entry of the review queue, on record; raise `FlagNotFound`, `FlagDecided`."""
        async with self.database.transaction() as connection:
            row = await connection.fetchrow(SQL["lock_flag"], flag_id)
            if row is None:
                raise FlagNotFound
            before = StoredReviewEntry(*row)
            if before.status != "open":
                raise FlagDecided(f"This was {before.status} already.")
            row = await connection.fetchrow(SQL["decide_flag"], flag_id, decision, note)
            await record_entry(
                connection,
                actor=actor,
                action="economy_flag",
                target=before.account_id,
                before={"flag_id": flag_id, "rule": before.rule, "asset": before.asset},
                after={"decision": decision, "note": note},
            )
            assert row is not None
            return StoredReviewEntry(*row)


async def _ledger(
    connection: Connection, account_id: UserId, slot_id: str | None, *, below: int, limit: int
) -> list[StoredTransaction]:
    rows = await connection.fetch(SQL["list_transactions"], account_id, slot_id, below, limit)
    return await _complete(connection, account_id, [tuple(row) for row in rows])


async def _complete(
    connection: Connection, account_id: UserId, rows: Sequence[tuple[Any, ...]]
) -> list[StoredTransaction]:
    """Read what belongs to transactions."""
    ids = [row[1] for row in rows]
    changes: dict[str, list[StoredLedgerEntry]] = {each: [] for each in ids}
    unlocked: dict[str, list[Unlocked]] = {each: [] for each in ids}
    if ids:
        for transaction_id, *fields in await connection.fetch(SQL["read_changes"], ids):
            changes[transaction_id].append(StoredLedgerEntry(*fields))
        for transaction_id, kind, unlock_id in await connection.fetch(
            SQL["read_unlocked"], account_id, ids
        ):
            unlocked[transaction_id].append((kind, unlock_id))
    return [StoredTransaction(*(*row, changes[row[1]], unlocked[row[1]])) for row in rows]
