"""The audit log: what was done by those with power over others. It is only ever added to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries

SQL = load_queries("accounts/audit_log")

CONSOLE: Final = "console"  # whoever may use the command line
SERVICE_KEY: Final = "service_role"  # a server of the application's, by the service key


class AuditEntry(NamedTuple):
    """Something that was done; `before` and `after` are JSON, or nothing."""

    id: int
    actor: str
    action: str
    target: str
    before: bytes | None
    after: bytes | None
    at: datetime


async def record_entry(
    connection: Connection,
    *,
    actor: str,
    action: str,
    target: str,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Put an act on record, in the transaction that does it.

    `actor` and `target` are ids. The connection works as the server, not on somebody's rls.
    """
    states = (None if state is None else orjson.dumps(state) for state in (before, after))
    await connection.execute(SQL["record"], actor, action, target, *states)


async def read_entries(
    database: Database,
    *,
    below: int,
    limit: int,
    target: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[AuditEntry]:
    """Read acts with ids below one, newest first; all, or those that these name."""
    which = (target, actor, action, since, until)
    async with database.acquire() as connection:
        rows = await connection.fetch(SQL["read"], below, limit, *which)
    return [AuditEntry(*row) for row in rows]
