"""What a database must be like before Playhall works in it, and what to do where it is not.

Also finds poolers: between a connection and its server process, one gives connections process ids
of its own. Playhall needs sessions (its role, its time-outs, prepared statements), so a pooler
that gives every transaction another server process is refused; one that keeps sessions is fine.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

import asyncpg
from asyncpg.exceptions import ClientConfigurationError, TargetServerAttributeNotMatched
from asyncpg.pool import PoolConnectionProxy

from persistence.dsn import host_names
from persistence.errors import NotMigrated, StartRefused, UnsafeDatabase
from persistence.queries import load_queries

MAJOR_VERSION_MIN: Final = 15
CONNECT_TIMEOUT_S: Final = 10.0
# Transactions that are held open at once to see whether they take the session's server process.
PROBES: Final = 4
PROBE_TIMEOUT_S: Final = 5.0

POOLED: Final = (
    "Between Playhall and PostgreSQL is a pooler (such as PgBouncer) that keeps no sessions: {}. "
    "Playhall needs its role and its prepared statements to stay; name PostgreSQL itself (hosting "
    "services call it the direct connection), or a pooler in session mode."
)
NO_SESSIONS: Final = "one transaction gets another server process than the next"
STATEMENT_POOLING: Final = "statement pooling mode"  # PgBouncer's words
# What a pooler that keeps no sessions answers to ordinary work.
_POOLER_ERRORS: Final = (
    asyncpg.DuplicatePreparedStatementError,
    asyncpg.InvalidSQLStatementNameError,
)

_queries = load_queries("preflight")


@asynccontextmanager
async def plain_connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Open a connection without settings of ours, as any pooler lets it through, for a block."""
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0)
    try:
        yield connection
    finally:
        connection.terminate()


async def require_usable_database(
    connection: asyncpg.Connection | PoolConnectionProxy, dsn: str, *, only_reads: bool = False
) -> None:
    """Raise a `StartRefused` that says what to do, unless the database can be worked in."""
    async with connection.transaction():  # so that all of it reaches one server process
        found = await connection.fetchrow(_queries["look"])
    assert found is not None
    if found["major_version"] < MAJOR_VERSION_MIN:
        raise UnsafeDatabase(
            f"PostgreSQL {found['major_version']} is too old; Playhall needs "
            f"{MAJOR_VERSION_MIN} or newer."
        )
    if found["encoding"] != "UTF8":
        raise StartRefused(
            f"The database {found['name']} stores text as {found['encoding']}, which cannot hold "
            "every name; make another with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
        )
    if found["is_standby"] and not only_reads:
        raise StartRefused(
            "This PostgreSQL is a standby, which only reads; name the primary in "
            "PLAYHALL_DATABASE_URL, or name both and add target_session_attrs=read-write."
        )
    if found["is_read_only"] and not only_reads:
        raise StartRefused(
            "Transactions only read here: default_transaction_read_only is on for the login "
            f"{found['login']}, the database or the server; set it to off (hosting services set it "
            "when a disk is full)."
        )
    if found["backend_pid"] != connection.get_server_pid():
        await require_sessions(dsn)


async def require_sessions(dsn: str) -> None:
    """Raise `StartRefused` if a pooler gives a connection's transactions to several processes.

    Nothing is set meanwhile: a setting would stay with a process that others use.
    """
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S), AsyncExitStack() as stack:
            ours = await stack.enter_async_context(plain_connection(dsn))
            before = await _backend(ours)
            for _ in range(PROBES):
                other = await stack.enter_async_context(plain_connection(dsn))
                await stack.enter_async_context(other.transaction())
                if await other.fetchval(_queries["backend"]) == before:
                    raise StartRefused(POOLED.format(NO_SESSIONS))
            if await _backend(ours) != before:
                raise StartRefused(POOLED.format(NO_SESSIONS))
    except TimeoutError:
        # All its server processes were given to the transactions that were held.
        raise StartRefused(POOLED.format("a session waits for another's transaction")) from None
    except (asyncpg.ProtocolViolationError, *_POOLER_ERRORS) as error:
        raise StartRefused(POOLED.format(f"it answers '{error}'")) from error


async def _backend(connection: asyncpg.Connection) -> int:
    async with connection.transaction():
        pid: int = await connection.fetchval(_queries["backend"])
    return pid


@contextmanager
def start_errors(dsn: str, role: str) -> Iterator[None]:
    """Say what to do about a server, a login or a role that does not work."""
    host = host_names(dsn)
    try:
        yield
    except asyncpg.InvalidParameterValueError as error:
        raise NotMigrated(f"The database has no role {role}; migrate it first.") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StartRefused(
            f"The login may not act as {role} ({error}); GRANT {role} to it."
        ) from error
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
    ) as error:
        raise StartRefused(f"The database rejected the login: {error}; correct the DSN.") from error
    except asyncpg.TooManyConnectionsError as error:
        raise StartRefused(
            f"The database at {host} has no free connection ({error}); raise max_connections or "
            "the login's CONNECTION LIMIT, or lower PLAYHALL_DATABASE_POOL."
        ) from error
    except _POOLER_ERRORS as error:
        raise StartRefused(POOLED.format(f"it answers '{error}'")) from error
    except asyncpg.ProtocolViolationError as error:
        raise StartRefused(
            f"What answers at {host} is not PostgreSQL itself, or another version of its "
            f"protocol: {error}; name PostgreSQL in PLAYHALL_DATABASE_URL."
        ) from error
    except asyncpg.ConnectionDoesNotExistError as error:
        if STATEMENT_POOLING not in str(error):
            raise
        raise StartRefused(POOLED.format("it allows no transactions")) from error
    except TargetServerAttributeNotMatched as error:
        raise StartRefused(
            f"No server at {host} is what target_session_attrs asks for; is the primary among them?"
        ) from error
    except ClientConfigurationError as error:
        raise StartRefused(f"PLAYHALL_DATABASE_URL: {error}.") from error
    except asyncpg.CharacterNotInRepertoireError as error:
        raise StartRefused(f"The database rejected UTF-8: {error}.") from error
    except ssl.SSLError as error:
        raise StartRefused(
            f"No trusted TLS connection to {host}: {error.reason or error}; name the file of its "
            "certificate authority with sslrootcert, or correct sslcert, sslkey or the host."
        ) from error
    except socket.gaierror as error:
        raise StartRefused(
            f"There is no host {host} ({error.strerror}); correct PLAYHALL_DATABASE_URL."
        ) from error
    except ConnectionError as error:
        if "rejected SSL" not in str(error):
            raise
        raise StartRefused(
            f"PostgreSQL at {host} does not offer TLS, which sslmode requires; enable it there, or "
            "write sslmode=disable if the network between is private."
        ) from error
