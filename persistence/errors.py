"""Errors of storage: why persistence refuses to start, and which database errors are temporary.

StartRefused
├── UnusableFolder     the bundled PostgreSQL cannot work in its folder
├── UnsafeDatabase     the database could lose moves, or lets the server do too much
├── NotMigrated        the schema is not the one that this program is written for
└── UnknownRevision    the schema cannot be brought to what was asked for
"""

import logging
from typing import Final

import asyncpg

from protocol.errors import Overloaded, Unavailable


class StartRefused(Exception):
    """The server cannot start like this."""


class UnusableFolder(StartRefused):
    """The bundled PostgreSQL cannot work in its data folder."""


class UnsafeDatabase(StartRefused):
    """The database could lose what it has confirmed, or gives the server too much power."""


class NotMigrated(StartRefused):
    """The schema is older or newer than this program."""


class UnknownRevision(StartRefused):
    """The schema cannot be brought to what was asked for."""


class ArchiveDamaged(Exception):
    """The archived log of a game cannot be read; the sentence says which and why."""


# Everything that a statement may end with, but for bugs of ours.
DATABASE_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    ValueError,
    Overloaded,
    Unavailable,
)

# SQLSTATE classes of errors that may pass: connection, rollback, resources, object not
# available, operator intervention, system error.
_PASSING: Final = frozenset({"08", "40", "53", "55", "57", "58"})
# A server that became a standby by a failover: the next connection may find the primary.
_READ_ONLY: Final = "25006"

_DATA_EXCEPTION: Final = "22"


def is_transient(error: BaseException) -> bool:
    """Say whether an error may pass, or is a refusal of the rows themselves."""
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate)
        return state[:2] in _PASSING or state == _READ_ONLY
    return not isinstance(error, ValueError)  # what asyncpg cannot encode


def is_bad_value(error: BaseException) -> bool:
    """Say whether the rows hold values that no column can: they will never be stored."""
    if isinstance(error, asyncpg.PostgresError):
        return str(error.sqlstate)[:2] == _DATA_EXCEPTION
    return isinstance(error, ValueError)  # what asyncpg cannot encode


def log_without_traceback(record: logging.LogRecord) -> bool:
    """Take the trace off what the driver logs of a connection that it cannot make for now.

    A filter for its loggers: it keeps every record.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, DATABASE_ERRORS) and is_transient(error):
        record.msg, record.args = "the database cannot be connected to for now: %s", (error,)
        record.exc_info = record.exc_text = None
    return True
