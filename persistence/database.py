"""The way into PostgreSQL: bounded connections, one shape of values, safety checked first.

On every connection a `uuid` is lowercase text, `jsonb` is bytes both ways (what orjson
writes and reads), and a `timestamptz` is an aware datetime.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Self, TypeAlias

import asyncpg
from asyncpg.pool import Pool, PoolConnectionProxy

from persistence.queries import load
from persistence.refusals import NotMigrated, StartRefused, UnsafeDatabase
from protocol.errors import Overloaded, Unavailable

SERVER_ROLE: Final = "playhall_server"
MAJOR_VERSION_MIN: Final = 15
POOL_MIN: Final = 2
POOL_MAX: Final = 20
ACQUIRE_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 20.0  # the server's own comes first: it says what went wrong
SESSION: Final = {
    "application_name": "playhall",
    "search_path": "public",
    "timezone": "UTC",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
}

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy

_BUSY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
)
_LOST = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, OSError)
_ANSWER_LOST = "The database did not answer; look whether it was done before you send it again."
_NO_ROOM = "The database has no room left; nothing was changed, send it again later."
_queries = load("database")


class Database:
    """A pool of connections that work as one role."""

    def __init__(self, pool: Pool, *, dsn: str, role: str) -> None:
        self._pool = pool
        self._dsn = dsn
        self._role = role

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        embedded: bool,
        role: str = SERVER_ROLE,
        pool_min: int = POOL_MIN,
        pool_max: int = POOL_MAX,
        allow_unsafe: bool = False,
    ) -> Self:
        """Connect, and refuse a database that is unsafe to play on.

        `embedded`: it is our own bundled one, where logging in as its owner is right.
        `allow_unsafe`: accept that confirmed moves may be lost when the machine fails.
        Raises `Unavailable`, or a `StartRefused` that says what to do.
        """
        database = cls(_pool(dsn, role, size=(pool_min, pool_max)), dsn=dsn, role=role)
        try:
            with start_errors(role):
                await database._pool
            await database._require_safety(embedded=embedded, allow_unsafe=allow_unsafe)
        except BaseException:
            database._pool.terminate()
            raise
        return database

    @classmethod
    def unopened(cls) -> Self:
        """Make one that reaches nothing, for what only describes its users."""
        nowhere = "postgresql://nowhere.invalid/"
        return cls(_pool(nowhere, SERVER_ROLE, size=(0, 1)), dsn=nowhere, role=SERVER_ROLE)

    async def close(self) -> None:
        """Close every connection; one still in use is cut, and what it did rolls back."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def connect(self) -> asyncpg.Connection:
        """Open a connection outside the pool, alike in all else; the caller closes it."""
        with _translated():
            connection = await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                server_settings={**SESSION, "role": self._role},
            )
            await _shape_values(connection)
            return connection

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """Borrow a connection; each statement commits by itself.

        Raises `Unavailable` if the database is gone, `Overloaded` if it has no time.
        """
        with _translated():
            async with self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                with _translated(connection, lost=_ANSWER_LOST):
                    yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Borrow a connection in a transaction: the block is kept whole or not at all."""
        async with self.acquire() as connection:
            transaction = connection.transaction()
            await transaction.start()
            with _translated(connection):
                try:
                    yield connection
                except BaseException:
                    await transaction.rollback()
                    raise
            await transaction.commit()

    async def _require_safety(self, *, embedded: bool, allow_unsafe: bool) -> None:
        async with self.acquire() as connection:
            found = await connection.fetchrow(_queries["safety"])
        assert found is not None
        if found["major_version"] < MAJOR_VERSION_MIN:
            raise UnsafeDatabase(
                f"PostgreSQL {found['major_version']} is too old; Playhall needs "
                f"{MAJOR_VERSION_MIN} or newer."
            )
        if found["switched_off"] and not allow_unsafe:
            raise UnsafeDatabase(
                f"The database has {' and '.join(found['switched_off'])} switched off, so a power "
                "failure can lose moves that players saw; switch it on, or allow it explicitly."
            )
        if found["unsecured"]:
            raise UnsafeDatabase(
                f"The table {found['unsecured'][0]} is not under row level security, so anybody "
                "could be shown anybody's rows; run `playhall migrate`, or secure it."
            )
        unsafe = found["is_unbound"] or found["is_owner"] or found["is_service"]
        if unsafe and not embedded:
            raise UnsafeDatabase(
                f"The login {found['login']} is a superuser, bypasses row level security, owns "
                "tables, or is granted service_role; serve with one that is only granted "
                f"{SERVER_ROLE}."
            )


@contextmanager
def start_errors(role: str) -> Iterator[None]:
    """Say what to do about a server, a login or a role that does not work."""
    try:
        with _translated():
            yield
    except asyncpg.InvalidParameterValueError as error:
        raise NotMigrated(f"The database has no role {role}; migrate it first.") from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise StartRefused(f"The login may not act as {role}; GRANT {role} to it.") from error
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
    ) as error:
        raise StartRefused(f"The database refuses the login: {error}; correct the DSN.") from error


def _pool(dsn: str, role: str, *, size: tuple[int, int]) -> Pool:
    return asyncpg.create_pool(
        dsn,
        min_size=size[0],
        max_size=size[1],
        init=_shape_values,
        reset=_forget_the_loan,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings={**SESSION, "role": role},
    )


async def _shape_values(connection: Connection) -> None:
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=str, decoder=str, format="text"
    )
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_to_jsonb, decoder=_from_jsonb, format="binary"
    )


async def _forget_the_loan(connection: Connection) -> None:
    # The driver's own way leaves the role as it was set last; RESET ALL leaves it out.
    await connection.execute(_queries["reset"])


def _to_jsonb(json: bytes) -> bytes:
    return b"\x01" + json  # the one version of jsonb's binary form


def _from_jsonb(data: bytes) -> bytes:
    return data[1:]


@contextmanager
def _translated(connection: Connection | None = None, *, lost: str | None = None) -> Iterator[None]:
    """Say in the protocol's words that the database is busy or gone.

    `lost`: what to say where a statement may have been carried out unheard.
    """
    try:
        yield
    except _BUSY as error:
        raise Overloaded from error
    except TimeoutError as error:
        raise (Unavailable(lost) if lost else Overloaded) from error
    except asyncpg.InsufficientResourcesError as error:
        raise Unavailable(_NO_ROOM) from error
    except _LOST as error:
        raise Unavailable(lost) from error
    except asyncpg.InternalClientError as error:
        # What the driver says of a connection that was cut while it was being used.
        raise Unavailable(lost) from error
    except asyncpg.InterfaceError as error:
        if connection is None or not _is_gone(connection):
            raise
        raise Unavailable(lost) from error


def _is_gone(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has dropped it
        return True
