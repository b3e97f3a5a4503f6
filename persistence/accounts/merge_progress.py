"""What a merge does with saves, holdings, the ledger and consents; see `merges.py`.

Slots move with all that refers to them. Transactions of the ledger move too: they change their
account and nothing else, so what they sum to and what they explain stays. Balances of accounts are
added; an undo counts what goes back from the transactions that go back.

Locks are taken in the order of every other change: slots, then streams, then profiles. Whoever
writes progress holds one of these, and so either commits before the merge or finds it done.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import asyncpg

from persistence.database import Connection
from persistence.inventory.verification import check_accounts
from persistence.queries import load_queries
from protocol.ids import UserId

SQL: Final = load_queries("accounts/merge_progress")

LEDGER: Final = "public.ledger_transactions.account_id"
MOVED_AT_ONCE: Final = 2000  # transactions
BALANCES: Final = "public.currency_balances.account_id"


class RenamedSlot(NamedTuple):
    """A slot that moved, whose name the account that stays has already."""

    slot_id: str
    name: str
    renamed: str


class MovedBalance(NamedTuple):
    """How much of a currency of accounts moved, and how much that makes."""

    currency_id: str
    moved: int
    total: int


class HoldingsChanged(Exception):
    """A merge or an undo would change what is held: a bug. Nothing is stored."""


class TooMuch(Exception):
    """Two balances add up to more than a balance can be."""


class JointHoldings(NamedTuple):
    """What two accounts hold together, and whether their ledgers say the same."""

    totals: list[tuple[object, ...]]
    is_sound: bool


async def lock_progress(connection: Connection, user_ids: Sequence[UserId]) -> None:
    """Let nobody else write progress of some accounts until the transaction ends."""
    await connection.fetch(SQL["lock_slots"], user_ids)
    await connection.execute(SQL["lock_streams"], user_ids)


async def read_holdings(connection: Connection, user_ids: Sequence[UserId]) -> JointHoldings:
    """Read what some accounts hold."""
    rows = await connection.fetch(SQL["read_totals"], user_ids)
    checked = await check_accounts(connection, user_ids)
    return JointHoldings([tuple(row) for row in rows], is_sound=not checked.differences)


async def require_same(
    connection: Connection, user_ids: Sequence[UserId], before: JointHoldings
) -> None:
    """Raise `HoldingsChanged` unless the accounts together hold what they held."""
    after = await read_holdings(connection, user_ids)
    if after.totals != before.totals or (before.is_sound and not after.is_sound):
        raise HoldingsChanged(f"of {' and '.join(user_ids)}")


async def read_balances(
    connection: Connection, stays: UserId, merged: UserId
) -> list[MovedBalance]:
    """Read which balances will be added."""
    rows = await connection.fetch(SQL["read_balances"], merged, stays)
    return [MovedBalance(*row) for row in rows]


async def move_ledger(connection: Connection, merge_id: str) -> int:
    """Move transactions; gives how many."""
    return await _move_all(connection, "move_ledger", merge_id)


async def move_balances(connection: Connection, merge_id: str) -> int:
    """Add balances; gives how many. Raise `TooMuch`."""
    try:
        count: int = await connection.fetchval(SQL["move_balances"], merge_id)
    except asyncpg.CheckViolationError as error:
        raise TooMuch from error
    return count


async def rename_slots(connection: Connection, merge_id: str) -> list[RenamedSlot]:
    """Rename slots that moved where their names are taken."""
    rows = await connection.fetch(SQL["rename_moved_slots"], merge_id)
    return [RenamedSlot(*row) for row in rows]


async def move_progress_back(connection: Connection, merge_id: str) -> int:
    """Undo all of this but the moves of slots; gives how many transactions went back.

    Raises `asyncpg.CheckViolationError`, which says what was spent.
    """
    await connection.execute(SQL["move_balances_back"], merge_id)
    count = await _move_all(connection, "move_ledger_back", merge_id)
    await connection.execute(SQL["finish_move_back"], merge_id)
    return count


async def _move_all(connection: Connection, query: str, merge_id: str) -> int:
    """Move transactions, some at a time: a statement has a timeout, and a ledger no bound."""
    count = 0
    while moved := await connection.fetchval(SQL[query], merge_id, MOVED_AT_ONCE):
        count += moved
    return count


async def refuse_as_merged(connection: Connection, stays: UserId, merged: UserId) -> list[str]:
    """Refuse each purpose that the merged account refuses; gives those that are refused by it."""
    rows = await connection.fetch(SQL["refuse_as_merged"], stays, merged)
    return sorted(row["purpose"] for row in rows)


async def grant_as_before(connection: Connection, stays: UserId) -> None:
    """Grant again what only a merge had refused."""
    await connection.execute(SQL["grant_as_before"], stays)
