"""What is published to the devices of an account: a numbered stream for each account.

A change is appended in the transaction that makes it. Appending holds the account's row until the
commit, so numbers have no gaps and are committed in their order.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import UserId

SQL: Final = load_queries("saves/changes")
CHANGES_KEPT: Final = 200  # of an account, for devices that come back
READ_AT_ONCE: Final = 5000


class ChangeRow(NamedTuple):
    """A change; `data` is JSON."""

    account_id: UserId
    number: int
    kind: str
    slot_id: str | None
    data: bytes
    at: datetime


class ProgressStore:
    """The streams in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(
        self,
        connection: Connection,
        account_id: UserId,
        kind: str,
        slot_id: str | None,
        data: Mapping[str, object],
    ) -> ChangeRow:
        """Append a change in the caller's transaction."""
        json = orjson.dumps(data)
        row = await connection.fetchrow(
            SQL["append_change"], account_id, kind, slot_id, json, CHANGES_KEPT
        )
        assert row is not None
        return ChangeRow(account_id, row["number"], kind, slot_id, json, row["at"])

    async def read_changes(
        self, account_id: UserId, after: int | None
    ) -> tuple[int, list[ChangeRow]]:
        """Read the number of an account's newest change, and the kept changes after a number."""
        async with self._database.acquire() as connection:
            head = await connection.fetchval(SQL["read_head"], account_id) or 0
            if after is None or after >= head:
                return head, []
            rows = await connection.fetch(SQL["read_changes"], account_id, after, CHANGES_KEPT)
        changes = [ChangeRow(account_id, *row) for row in rows]
        # What was committed between the two statements counts as read.
        return max(head, changes[-1].number if changes else 0), changes

    async def read_after(self, after: Mapping[UserId, int]) -> list[ChangeRow]:
        """Read the changes of several accounts, each after its own number."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                SQL["read_changes_of"], list(after), list(after.values()), READ_AT_ONCE
            )
        return [ChangeRow(*row) for row in rows]
