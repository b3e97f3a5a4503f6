"""The way into PostgreSQL: bounded connections, one shape of values, safety checked first.

On every connection a `uuid` is lowercase text, `jsonb` is bytes both ways (what orjson
writes and reads), and a `timestamptz` is an aware datetime.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from time import perf_counter
from typing import Any, Final, NamedTuple, Self, TypeAlias, cast

import asyncpg
from asyncpg.pool import Pool, PoolConnectionProxy

from persistence.array_types import Connection as OwnConnection
from persistence.dsn import normalise_dsn
from persistence.errors import UnsafeDatabase
from persistence.preflight import (
    CONNECT_TIMEOUT_S,
    require_sessions,
    require_usable_database,
    start_errors,
)
from persistence.queries import load_queries
from persistence.query_times import QUERY_TIMES
from protocol.errors import BadToken, Overloaded, PlayhallError, Unavailable

SERVER_ROLE: Final = "playhall_server"
POOL_MAX: Final = 20
ACQUIRE_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 20.0  # the server's own comes first: it says what went wrong
# All that is relied upon, whatever the login, the database or the server have as their defaults;
# written as `current_setting` gives it back.
SESSION: Final = {
    "application_name": "playhall",
    "search_path": "public",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "row_security": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "idle_session_timeout": "0",
}

Connection: TypeAlias = asyncpg.Connection | PoolConnectionProxy

_BUSY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.TooManyConnectionsError,
)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,  # after a failover, this server is the standby
    OSError,
)
_MERGED: Final = "PH001"  # of triggers that refuse rows for an account that was merged
_ANSWER_LOST = (
    "The database did not answer; check whether the command was executed before you repeat it."
)
_NO_ROOM = "The database is out of space and nothing was changed; try again later."
_queries = load_queries("database")


class _PooledConnection(OwnConnection):
    """A connection that knows whether the loan that ends left its session as it was."""

    __slots__ = ("is_unchanged",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.is_unchanged = False

    def note_unchanged(self) -> None:
        """Have the session not reset when this loan ends."""
        self.is_unchanged = True


class PoolUse(NamedTuple):
    """How a pool is used: connections now and at most, and loans since the start."""

    size: int
    used: int
    size_max: int
    loans: int
    wait_s: float  # for these loans, in all
    timeouts: int  # loans that were given up


class Loan:
    """A connection of the pool, for a block; no generator, since a request has several of them."""

    __slots__ = ("_changes_session", "_connection", "_database")

    _connection: PoolConnectionProxy

    def __init__(self, database: "Database", *, changes_session: bool) -> None:
        self._database = database
        self._changes_session = changes_session

    async def __aenter__(self) -> Connection:
        self._connection = await self._database.lend()
        return self._connection

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        translated = None
        if error is not None:
            translated = _translate(error, self._connection, _ANSWER_LOST)
        elif not self._changes_session:
            cast("_PooledConnection", self._connection).note_unchanged()
        await self._database.release(self._connection)
        if translated is not None:
            raise translated from error


class Database:
    """A pool of connections that work as one role."""

    def __init__(self, pool: Pool, *, dsn: str, role: str, is_pooled: bool = False) -> None:
        self._pool = pool
        self._loans = 0
        self._wait_s = 0.0
        self._timeouts = 0
        self._dsn = dsn
        self._role = role
        self._is_pooled = is_pooled

    @classmethod
    async def open(
        cls,
        dsn: str,
        *,
        embedded: bool = False,
        role: str = SERVER_ROLE,
        pool_max: int = POOL_MAX,
        allow_unsafe: bool = False,
        only_reads: bool = False,
    ) -> Self:
        """Connect, and refuse a database that is unsafe to play on.

        `embedded`: accept a login that owns the tables or is a superuser, as in tests.
        `allow_unsafe`: accept that confirmed moves may be lost when the machine fails.
        `only_reads`: accept a standby.
        Raises `Unavailable`, or a `StartRefused` that says what to do.
        """
        dsn = normalise_dsn(dsn)
        with translate_open_errors(dsn, role):
            try:
                database = await cls._connected(
                    dsn, role, pool_max, is_pooled=False, only_reads=only_reads
                )
            except (asyncpg.ProtocolViolationError, _SettingsDropped):
                # A pooler does not pass on what a session is opened with.
                await require_sessions(dsn)
                database = await cls._connected(
                    dsn, role, pool_max, is_pooled=True, only_reads=only_reads
                )
        try:
            await database._require_safety(embedded=embedded, allow_unsafe=allow_unsafe)
        except BaseException:
            database._pool.terminate()
            raise
        return database

    @classmethod
    async def _connected(
        cls, dsn: str, role: str, pool_max: int, *, is_pooled: bool, only_reads: bool
    ) -> Self:
        """Connect; raise `_SettingsDropped` where a session is not as it was asked for.

        `is_pooled`: settings are made after connecting and after each reset, since what is in
        between knows no others; it costs a round trip.
        """
        pool = _pool(dsn, role, pool_max=pool_max, is_pooled=is_pooled)
        try:
            await pool
            async with pool.acquire() as connection:
                await require_usable_database(connection, dsn, only_reads=only_reads)
                await _require_settings(connection, role)
        except BaseException:
            pool.terminate()
            raise
        return cls(pool, dsn=dsn, role=role, is_pooled=is_pooled)

    @classmethod
    def unopened(cls) -> Self:
        """Make one that reaches nothing, for what only describes its users."""
        nowhere = "postgresql://nowhere.invalid/"
        pool = _pool(nowhere, SERVER_ROLE, pool_max=1, is_pooled=False)
        return cls(pool, dsn=nowhere, role=SERVER_ROLE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; one still in use is cut, and what it did rolls back."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    def pool_use(self) -> PoolUse:
        """Say how the pool is used."""
        size, idle, most = (
            self._pool.get_size(),
            self._pool.get_idle_size(),
            self._pool.get_max_size(),
        )
        return PoolUse(size, size - idle, most, self._loans, self._wait_s, self._timeouts)

    async def open_unpooled_connection(self) -> asyncpg.Connection:
        """Open a connection outside the pool, alike in all else; the caller closes it."""
        with _Translated():
            connection = await asyncpg.connect(
                self._dsn,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=COMMAND_TIMEOUT_S,
                connection_class=OwnConnection,
                server_settings=None if self._is_pooled else _session(self._role),
            )
            await _prepare(connection, role=self._role if self._is_pooled else None)
            return connection

    def acquire(self, *, changes_session: bool = False) -> AbstractAsyncContextManager[Connection]:
        """Borrow a connection; each statement commits by itself.

        `changes_session`: the block changes what outlives a transaction, such as a setting, or a
        lock of the session. Then the session is reset, which costs a round trip; a block that
        fails has it reset in any case.

        Raises `Unavailable` if the database is gone, `Overloaded` if it has no time.
        """
        return Loan(self, changes_session=changes_session)

    @property
    def connections_max(self) -> int:
        """Say how many connections can be borrowed at once."""
        return self._pool.get_max_size()

    async def lend(self) -> PoolConnectionProxy:
        """Take a connection out of the pool, and count how long it was waited for."""
        asked_at = perf_counter()
        with _Translated():
            try:
                connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
            except TimeoutError:
                self._timeouts += 1
                raise
        self._loans += 1
        self._wait_s += perf_counter() - asked_at
        return connection

    async def release(self, connection: PoolConnectionProxy) -> None:
        """Put a connection back into the pool."""
        with _Translated():
            await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self, *, changes_session: bool = False) -> AsyncIterator[Connection]:
        """Borrow a connection in a transaction: the block is kept whole or not at all.

        `changes_session`: as for `acquire`.
        """
        async with self.acquire(changes_session=changes_session) as connection:
            transaction = connection.transaction()
            await transaction.start()
            with _Translated(connection):
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
        if found["switched_off"] and not allow_unsafe:
            raise UnsafeDatabase(
                f"The database has {' and '.join(found['switched_off'])} switched off, so a power "
                "failure can lose moves that players saw; switch it on, or allow it explicitly."
            )
        if found["unsecured"]:
            raise UnsafeDatabase(
                f"The table {found['unsecured'][0]} is not under row level security, so users "
                "could be shown other users' rows; run `playhall migrate`, or secure it."
            )
        unsafe = found["is_unbound"] or found["is_owner"] or found["is_service"]
        if unsafe and not embedded:
            raise UnsafeDatabase(
                f"The login {found['login']} is a superuser, bypasses row level security, owns "
                "tables, or is granted service_role; serve with one that is only granted "
                f"{SERVER_ROLE}."
            )


class _SettingsDropped(Exception):
    """What a session was opened with is not in force in it."""


@contextmanager
def translate_open_errors(dsn: str, role: str) -> Iterator[None]:
    """Turn what may go wrong with the first connection into sentences, or `Unavailable`."""
    with _Translated(), start_errors(dsn, role):
        yield


def _pool(dsn: str, role: str, *, pool_max: int, is_pooled: bool) -> Pool:
    set_later = role if is_pooled else None
    return asyncpg.create_pool(
        dsn,
        min_size=1,  # the others are opened once they are needed, which takes milliseconds
        max_size=pool_max,
        init=partial(_prepare, role=set_later),
        reset=partial(_forget_the_loan, role=set_later),
        connection_class=_PooledConnection,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings=None if is_pooled else _session(role),
    )


def _session(role: str) -> dict[str, str]:
    return {**SESSION, "role": role}


def _columns(settings: dict[str, str]) -> tuple[list[str], list[str]]:
    return list(settings), list(settings.values())


async def _prepare(connection: Connection, *, role: str | None) -> None:
    """Agree on the shapes of values; with a `role`, make the settings of a session as well."""
    connection.add_query_logger(QUERY_TIMES.note)
    if role is not None:
        await connection.fetch(_queries["set"], *_columns(_session(role)))
    await connection.set_type_codec(
        "uuid", schema="pg_catalog", encoder=str, decoder=str, format="text"
    )
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_to_jsonb, decoder=_from_jsonb, format="binary"
    )


async def prepare_owner_connection(connection: Connection) -> None:
    """Agree on the shapes of values on a connection of the owner's, outside a pool."""
    await _prepare(connection, role=None)


async def _require_settings(connection: Connection, role: str) -> None:
    if await connection.fetch(_queries["not_in_force"], *_columns(_session(role))):
        raise _SettingsDropped


async def _forget_the_loan(connection: _PooledConnection, *, role: str | None) -> None:
    if connection.is_unchanged:
        connection.is_unchanged = False
        return
    # The driver's own way leaves the role as it was set last; RESET ALL leaves it out.
    await connection.execute(_queries["reset"])
    if role is not None:
        await connection.fetch(_queries["set"], *_columns(_session(role)))


def _to_jsonb(json: bytes) -> bytes:
    return b"\x01" + json  # the one version of jsonb's binary form


def _from_jsonb(data: bytes) -> bytes:
    return data[1:]


class _Translated:
    """Says in the protocol's words that the database is busy or gone.

    `lost`: what to say where a statement may have been carried out unheard.
    """

    __slots__ = ("_connection", "_lost")

    def __init__(self, connection: Connection | None = None, *, lost: str | None = None) -> None:
        self._connection = connection
        self._lost = lost

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None:
            translated = _translate(error, self._connection, self._lost)
            if translated is not None:
                raise translated from error


def _translate(
    error: BaseException, connection: Connection | None, lost: str | None
) -> PlayhallError | None:
    """Find the protocol's words for an error; None for one that is no matter of the database's."""
    if isinstance(error, _BUSY):
        overloaded = Overloaded()
        overloaded.is_deadlock = isinstance(error, asyncpg.DeadlockDetectedError)
        return overloaded
    if isinstance(error, TimeoutError):
        return Unavailable(lost) if lost else Overloaded()
    if isinstance(error, asyncpg.InsufficientResourcesError):
        return Unavailable(_NO_ROOM)
    if isinstance(error, _LOST):
        if connection is not None and isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            connection.terminate()  # the next one may find the primary
        return Unavailable(lost)
    if isinstance(error, asyncpg.PostgresError):
        # Its sessions ended while the request was carried out.
        return BadToken() if error.sqlstate == _MERGED else None
    if isinstance(error, asyncpg.InternalClientError):
        # What the driver says of a connection that was cut while it was being used.
        return Unavailable(lost)
    if (
        isinstance(error, asyncpg.InterfaceError)
        and connection is not None
        and _is_gone(connection)
    ):
        return Unavailable(lost)
    return None


def _is_gone(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has dropped it
        return True
