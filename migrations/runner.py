"""Brings a database to a revision: `upgrade`, `downgrade`, `status`.

Synchronous: call it before the event loop runs, or in a thread. Data source names are
those of libpq: `postgresql://user@host/name`, or a unix socket's folder as `?host=/path`.
"""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

from persistence.database import SERVER_ROLE, start_errors
from persistence.queries import load
from persistence.refusals import NotMigrated, UnknownRevision

if TYPE_CHECKING:
    from alembic.config import Config

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S: Final = 10
INSUFFICIENT_PRIVILEGE: Final = "42501"  # SQLSTATE
HEAD: Final = "head"
BASE: Final = "base"

_FOLDER = Path(__file__).parent
_queries = load("runner", package="migrations")


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database stands, and the steps it has still to take, oldest first."""

    current: str | None
    pending: tuple[str, ...]


def revisions() -> list[str]:
    """List every revision, oldest first, by the names of the files."""
    return sorted(path.name[:15] for path in (_FOLDER / "versions").glob("[0-9]*.py"))


def status(dsn: str) -> Status:
    """Tell a database's revision and what is pending.

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
        log.info("bringing the database up to date, %d steps", len(pending))
        _as_owner(dsn, up=to)


def downgrade(dsn: str, to: str) -> None:
    """Take the steps back down to a revision, or to "base": their tables and rows go."""
    _require(to, BASE)
    current = status(dsn).current
    if to != BASE and (current is None or to > current):
        raise UnknownRevision(
            f"The database is at {current or BASE}, which is before {to}; "
            "up goes `playhall migrate --to`."
        )
    _as_owner(dsn, down=to)


def _require(to: str, end: str) -> None:
    known = revisions()
    if to not in {end, *known}:
        raise UnknownRevision(
            f"There is no revision {to}; write `{end}`, or one of: {', '.join(known)}."
        )


def _as_owner(dsn: str, *, up: str | None = None, down: str | None = None) -> None:
    from sqlalchemy.exc import DBAPIError

    try:
        _migrate(dsn, up=up, down=down)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != INSUFFICIENT_PRIVILEGE:
            raise
        raise NotMigrated(
            "The database must be migrated, and this login may not do that; run `playhall "
            "migrate` with PLAYHALL_DATABASE_URL naming the database's owner."
        ) from error


async def _current(dsn: str) -> str | None:
    with start_errors(SERVER_ROLE):
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
        try:
            revision: str | None = await connection.fetchval(_queries["revision"])
        except asyncpg.UndefinedTableError:
            return None
        finally:
            await connection.close()
    return revision


def _migrate(dsn: str, *, up: str | None = None, down: str | None = None) -> None:
    from alembic import command
    from sqlalchemy import create_engine, pool

    engine = create_engine(
        "postgresql+psycopg://" + dsn.partition("://")[2],
        poolclass=pool.NullPool,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "options": "-c search_path=public"},
    )
    with engine.begin() as connection:
        connection.exec_driver_sql(_queries["lock"])
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
