"""What people hold, counted again from the ledger. Nothing is changed."""

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import UserId

SQL: Final = load_queries("inventory/verification")
ACCOUNTS_AT_ONCE: Final = 100
_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"


class LedgerDifference(NamedTuple):
    """Something that is not as the ledger has it; `slot_id` is None for what accounts have."""

    account_id: str
    slot_id: str | None
    what: str


class CheckedAccounts(NamedTuple):
    """What was checked of some accounts, as of one moment."""

    accounts: int
    transactions: int
    differences: list[LedgerDifference]


class EconomyVerification:
    """Compares holdings with the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def check_accounts(
        self, account_id: UserId | None = None
    ) -> AsyncIterator[CheckedAccounts]:
        """Check all accounts, some at a time, or one."""
        last = _FIRST_ID
        while True:
            # Each page is read as of one moment, while people go on playing.
            async with (
                self._database.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                values = (last, account_id, ACCOUNTS_AT_ONCE)
                accounts = [
                    row["id"] for row in await connection.fetch(SQL["list_accounts"], *values)
                ]
                checked = await check_accounts(connection, accounts) if accounts else None
            if checked is None:
                return
            yield checked
            last = accounts[-1]


async def check_accounts(connection: Connection, accounts: Sequence[str]) -> CheckedAccounts:
    """Compare what some accounts hold with the ledger."""
    transactions = await connection.fetchval(SQL["count_transactions"], accounts)
    differences = [
        LedgerDifference(
            row["account_id"],
            None,
            f"transaction {row['transaction_id']} sums to {row['total']} for {row['asset']}",
        )
        for row in await connection.fetch(SQL["unbalanced"], accounts)
    ]
    for query in ("wrong_items", "wrong_balances"):
        for row in await connection.fetch(SQL[query], accounts):
            for what, held, counted in (
                ("held", row["held"], row["counted"]),
                ("earned", row["held_gained"], row["counted_gained"]),
            ):
                if held != counted:
                    said = f"{row['asset']}: {held} {what}, {counted} by the ledger"
                    differences.append(LedgerDifference(row["account_id"], row["slot_id"], said))
    return CheckedAccounts(len(accounts), transactions, differences)
