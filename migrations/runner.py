"""Brings a database to a revision: `upgrade`, `downgrade`, `status`.

Synchronous: call it before the event loop runs, or in a thread. Data source names are
those of libpq: `postgresql://user@host/name`, or a unix socket's folder as `?host=/path`.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

from persistence.database import SERVER_ROLE, translate_open_errors
from persistence.dsn import normalise_dsn
from persistence.errors import NotMigrated, UnknownRevision
from persistence.preflight import plain_connection, require_usable_database
from persistence.queries import load_queries

if TYPE_CHECKING:
    import psycopg
    from alembic.config import Config
    from sqlalchemy import Connection

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10
# What the steps rely upon, whatever the login and the database have as their defaults.
SESSION: Final = {
    "role": "none",
    "row_security": "on",
    "search_path": "public",
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
HEAD: Final = "head"
BASE: Final = "base"

_FOLDER = Path(__file__).parent
_queries = load_queries("sql/runner", package="migrations")


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database stands, and the steps it has still to take, oldest first."""

    current: str | None
    pending: tuple[str, ...]


def revisions() -> list[str]:
    """List every revision, oldest first, by the names of the files."""
    return sorted(path.name[:15] for path in (_FOLDER / "versions").glob("[0-9]*.py"))


def status(dsn: str) -> Status:
    """Read a database's revision and what is pending.

    Raises `NotMigrated` if the database is newer than this program, `Unavailable` or
    `StartRefused` if it cannot be asked.
    """
    # Asked without Alembic: importing it takes longer than all the rest of a start-up.
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        current = runner.run(_current(dsn))
    known = revisions()
    if current is not None and current not in known:
        raise NotMigrated(
            f"The database is at revision {current}, which this version of Playhall does not "
            "know; run the newer version, or migrate the database down with it first."
        )
    return Status(current, tuple(known[known.index(current) + 1 :] if current else known))


def upgrade(dsn: str, to: str = HEAD) -> None:
    """Take the steps up to a revision; a database that is there already costs one query."""
    _require(to, HEAD)
    if pending := status(dsn).pending:
        log.info("upgrading the database, %d steps", len(pending))
        with _said_plainly(dsn), _connection(dsn) as connection:
            _take_steps(connection, up=to)


def choose_memory_search(dsn: str) -> str:
    """Have memories compared by pgvector where it is installed by now.

    Returns `pgvector` or `plain`. For a database at the newest revision.
    """
    with _said_plainly(dsn), _connection(dsn) as connection:
        chosen: str = connection.exec_driver_sql(_queries["choose_memory_search"]).scalar_one()
    return chosen


def choose_event_form(dsn: str) -> str:
    """Have events cheaper to append where the server is PostgreSQL 18 or newer by now.

    Returns `virtual` or `stored`, which is how their ids are made. For a database at the newest
    revision.
    """
    with _said_plainly(dsn), _connection(dsn) as connection:
        chosen: str = connection.exec_driver_sql(_queries["choose_event_form"]).scalar_one()
    return chosen


def downgrade(dsn: str, to: str) -> None:
    """Take the steps back down to a revision, or to "base": their tables and rows go."""
    _require_below(dsn, to)
    with _said_plainly(dsn), _connection(dsn) as connection:
        _take_steps(connection, down=to)


def losses(dsn: str, to: str) -> list[str]:
    """List what the way down to a revision would delete, as `games: 12 rows`; empty if nothing.

    The way is taken in a transaction that is rolled back, so the tables are locked meanwhile.
    """
    _require_below(dsn, to)
    with _said_plainly(dsn), _connection(dsn) as connection:
        rows = _counted(connection)
        columns = _columns(connection)
        _take_steps(connection, down=to)
        tables_left, columns_left = _counted(connection), _columns(connection)
        connection.rollback()
    lost = [
        f"{table}: {count} row{'' if count == 1 else 's'}"
        for table, count in rows.items()
        if count > tables_left.get(table, 0)
    ]
    return lost + [
        f"{table}.{column}: a column of {rows[table]} row{'' if rows[table] == 1 else 's'}"
        for table, column in sorted(columns - columns_left)
        if table in tables_left and rows[table]
    ]


def _require_below(dsn: str, to: str) -> None:
    _require(to, BASE)
    current = status(dsn).current
    if to != BASE and (current is None or to > current):
        raise UnknownRevision(
            f"The database is at {current or BASE}, which is before {to}; "
            "use `playhall migrate --to` to upgrade."
        )


def _counted(connection: "Connection") -> dict[str, int]:
    """Count the rows of every table of ours but the one that says where the database stands."""
    tables = connection.exec_driver_sql(_queries["tables"]).scalars().all()
    return {
        table: int(connection.exec_driver_sql(f"{_queries['count']} {table}").scalar_one())
        for table in tables
    }


def _columns(connection: "Connection") -> set[tuple[str, str]]:
    found = connection.exec_driver_sql(_queries["columns"])
    return {(table, column) for table, column in found}


def _require(to: str, end: str) -> None:
    known = revisions()
    if to not in {end, *known}:
        raise UnknownRevision(
            f"There is no revision {to}; write `{end}`, or one of: {', '.join(known)}."
        )


@contextmanager
def _said_plainly(dsn: str) -> Iterator[None]:
    """Turn what the database says against a step into a sentence."""
    import psycopg
    from psycopg import errors

    try:
        yield
    except errors.InsufficientPrivilege as error:
        raise NotMigrated(
            "The database must be migrated, but this login is not allowed to; run `playhall "
            "migrate` with PLAYHALL_DATABASE_URL naming the database's owner."
        ) from error
    except (
        errors.DuplicateTable,  # and other relations
        errors.DuplicateObject,
        errors.DuplicateFunction,
        errors.DuplicateSchema,
    ) as error:
        raise NotMigrated(
            f"The database already has an object of this name: {error.diag.message_primary}. "
            "Nothing was changed; give Playhall a database of its own."
        ) from error
    except errors.DependentObjectsStillExist as error:
        raise NotMigrated(
            f"{_dependent_packages(dsn)} ({error.diag.message_primary}). Nothing was changed."
        ) from error
    except psycopg.OperationalError as error:
        raise NotMigrated(
            f"The database rejected the migration: {str(error).partition(chr(10))[0]}. Nothing was "
            "changed; try again."
        ) from error


def _dependent_packages(dsn: str) -> str:
    """Say what has to be removed before the tables that it refers to can be."""
    from migrations import packages

    if not (installed := packages.installed(dsn)):
        return "The database has other objects that depend on what would be removed"
    commands = ", ".join(f"`playhall migrate --remove {package}`" for package in installed)
    names = ", ".join(installed)
    return f"The tables of {names} depend on what would be removed; run {commands} first"


async def _current(dsn: str) -> str | None:
    dsn = normalise_dsn(dsn)
    with translate_open_errors(dsn, SERVER_ROLE):
        async with plain_connection(dsn) as connection:
            await require_usable_database(connection, dsn)
            try:
                async with connection.transaction():
                    await connection.execute(_queries["as_the_login"])
                    revision: str | None = await connection.fetchval(_queries["revision"])
            except asyncpg.UndefinedTableError:
                return None
    return revision


@contextmanager
def _connection(dsn: str) -> Iterator["Connection"]:
    """Open a connection in a transaction that holds the lock on migrating this database."""
    from sqlalchemy import create_engine, pool
    from sqlalchemy.exc import DBAPIError

    def connect() -> "psycopg.Connection":
        import psycopg

        # As it is, not in the words of another library: it would read the name differently.
        connection = psycopg.connect(normalise_dsn(dsn), connect_timeout=CONNECT_TIMEOUT_S)
        for name, value in SESSION.items():
            connection.execute(_queries["set"], [name, value])
        connection.commit()
        return connection

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=pool.NullPool)
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(_queries["lock"])
            yield connection
    except DBAPIError as error:
        raise (error.orig or error) from error


def _take_steps(
    connection: "Connection", *, up: str | None = None, down: str | None = None
) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    if up:
        command.upgrade(config, up)
    if down:
        command.downgrade(config, down)


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config
