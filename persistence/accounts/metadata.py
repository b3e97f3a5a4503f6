"""What an application keeps of accounts beside their profiles, and the list of all accounts."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from persistence.accounts.audit_log import SERVICE_KEY, record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.errors import InvalidField
from protocol.ids import UserId

SQL = load_queries("accounts/metadata")

METADATA_BYTES_MAX: Final = 16_384

Data = Mapping[str, Any]


EMPTY: Final[Data] = MappingProxyType({})


class Metadata(NamedTuple):
    """What the person wrote, and what the application's own server did."""

    user_data: Data = EMPTY
    app_data: Data = EMPTY


NO_METADATA: Final = Metadata()


class MetadataStore:
    """Metadata in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, user_id: UserId) -> Metadata:
        """Read what is kept of an account."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_metadata"], user_id)
        return Metadata() if row is None else Metadata(*map(orjson.loads, row))

    async def merge(self, user_id: UserId, change: Metadata) -> None:
        """Change keys; a null takes one away. Raise `InvalidField` for too much."""
        async with self._database.acquire() as connection:
            await merge_metadata(connection, user_id, change)

    async def merge_on_record(self, user_id: UserId, change: Metadata) -> None:
        """Change keys by the service key; raise `InvalidField` for too much.

        The audit log says which kind changed, and no more: it is kept when a person is erased.
        """
        if not any(change):
            return
        changed = {
            "user_metadata": bool(change.user_data),
            "app_metadata": bool(change.app_data),
        }
        async with self._database.transaction() as connection:
            await merge_metadata(connection, user_id, change)
            await record_entry(
                connection,
                actor=SERVICE_KEY,
                action="set_metadata",
                target=user_id,
                after=changed,
            )

    async def record_read(self, user_id: UserId) -> None:
        """Put on record that the service key has read an account."""
        async with self._database.acquire() as connection:
            await record_entry(connection, actor=SERVICE_KEY, action="account_read", target=user_id)

    async def list_accounts(self, *, limit: int, offset: int) -> tuple[list[UserId], int]:
        """List a page of accounts, the newest first; and how many there are in all."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_accounts"], limit, offset)
            total = rows[0]["total"] if rows else await connection.fetchval(SQL["count_accounts"])
        return [row["user_id"] for row in rows], total


async def merge_metadata(connection: Connection, user_id: UserId, change: Metadata) -> None:
    """Change keys in the caller's transaction."""
    if not any(change):
        return
    try:
        await connection.execute(
            SQL["merge_metadata"], user_id, *(orjson.dumps(dict(each)) for each in change)
        )
    except asyncpg.CheckViolationError:
        raise InvalidField(
            f"data: an account's metadata has at most {METADATA_BYTES_MAX} bytes.", field="data"
        ) from None
    except asyncpg.UntranslatableCharacterError:
        raise InvalidField("data: leave out the character U+0000.", field="data") from None
