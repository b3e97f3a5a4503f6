"""What people sign in with, and the one-time codes that prove it, as they are stored."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from persistence.accounts.audit_log import SERVICE_KEY, record_entry
from persistence.accounts.metadata import NO_METADATA, Metadata, merge_metadata
from persistence.accounts.store import (
    NewAccount,
    NewSession,
    insert_account,
    insert_account_of_absent,
)
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.accounts import Kind
from protocol.ids import SessionId, UserId

SQL = load_queries("accounts/sign_in")

PAGE: Final = 500
SAMPLES_PER_KEY_MAX: Final = 3
NO_ACCOUNT: Final = "codes"  # the target of a code that may make an account
ADDED: Final = "admin"  # what somebody signed up by whose account the service key made
_FIRST: Final = ("00000000-0000-0000-0000-000000000000", "")


class NewCode(NamedTuple):
    """A one-time code, by its hash; `user_id` is the account that it links something to.

    `lookup` is the index of the address that it was asked for with, if it may be asked for again.
    """

    code_hash: bytes
    purpose: str
    user_id: UserId | None
    sealed: bytes
    expires_at: datetime
    lookup: bytes | None = None


class RecordedCode(NamedTuple):
    """What the audit log keeps of a code that the service key has made: for whom, and for what.

    `target` is an account's id, or `NO_ACCOUNT`.
    """

    target: str
    type: str


class StoredCode(NamedTuple):
    """What a code that is good says."""

    user_id: UserId | None
    sealed: bytes


class PendingCode(NamedTuple):
    """A code that was mailed and not used yet."""

    code_hash: bytes
    user_id: UserId | None
    sealed: bytes


class NewSignInMethod(NamedTuple):
    """What somebody will sign in with; without a password hash, the present one stays."""

    kind: str
    lookup: bytes
    sealed: bytes
    password_hash: str | None


class SignInMethod(NamedTuple):
    """What somebody signs in with."""

    user_id: UserId
    kind: Kind
    sealed: bytes
    password_hash: str | None
    linked_at: datetime


class SealedSignInMethod(NamedTuple):
    """A method as far as it is sealed."""

    user_id: UserId
    kind: str
    lookup: bytes
    sealed: bytes


class CodeAlreadyUsed(Exception):
    """Somebody has used the code meanwhile."""


class SessionHasEnded(Exception):
    """The session that asked for something has ended."""


class MethodLinkedElsewhere(Exception):
    """The method belongs to another account."""


class SignInStore:
    """Methods and codes in PostgreSQL. A code is spent in the transaction that it allows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_code(self, code: NewCode, *, record: RecordedCode | None = None) -> None:
        """Write down a one-time code; one that the service key is given, on record."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["add_code"], *code)
            if record is not None:
                await record_entry(
                    connection,
                    actor=SERVICE_KEY,
                    action="make_code",
                    target=record.target,
                    after={"type": record.type},
                )

    async def read_code(self, code_hash: bytes, purpose: str, now: datetime) -> StoredCode | None:
        """Read a code that is good, without using it up."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_code"], code_hash, purpose, now)
        return None if row is None else StoredCode(*row)

    async def find_pending_code(
        self, indexes: list[bytes], purpose: str, now: datetime, *, is_link: bool
    ) -> PendingCode | None:
        """Find the newest good code that was asked for with an address."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(
                SQL["find_pending_code"], indexes, purpose, now, is_link
            )
        return None if row is None else PendingCode(*row)

    async def find_account(self, kind: str, indexes: list[bytes]) -> SignInMethod | None:
        """Find whose method this is."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["find_method"], kind, indexes)
        return None if row is None else SignInMethod(*row)

    async def list_methods(self, user_id: UserId) -> list[SignInMethod]:
        """Read what somebody signs in with."""
        async with self._database.acquire() as connection:
            return [
                SignInMethod(*row) for row in await connection.fetch(SQL["methods_of"], user_id)
            ]

    async def list_methods_with_merged(self, user_id: UserId) -> list[SignInMethod]:
        """Read what somebody signs in with, also that of accounts merged into theirs."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["merged_methods_of"], user_id)
        return [SignInMethod(*row) for row in rows]

    async def create_account(
        self,
        code_hash: bytes,
        guest: NewAccount,
        method: NewSignInMethod,
        session: NewSession,
        *,
        metadata: Metadata = NO_METADATA,
    ) -> None:
        """Make an account with this sign-in method.

        Raises `CodeAlreadyUsed`, `MethodLinkedElsewhere` or `UsernameTaken`.
        """
        async with self._spending(code_hash) as connection:
            await insert_account(connection, guest, session)
            await link_method(connection, guest.user_id, method)
            await merge_metadata(connection, guest.user_id, metadata)

    async def add_account(
        self, account: NewAccount, methods: Sequence[NewSignInMethod], *, metadata: Metadata
    ) -> None:
        """Make an account for somebody who signs in later, on record.

        Raises `MethodLinkedElsewhere`, `UsernameTaken`, or `AccountExists` for an id that is taken.
        """
        async with self._database.transaction() as connection:
            await insert_account_of_absent(connection, account, method=ADDED)
            for method in methods:
                await link_method(connection, account.user_id, method)
            await merge_metadata(connection, account.user_id, metadata)
            await record_entry(
                connection, actor=SERVICE_KEY, action="create_account", target=account.user_id
            )

    async def link_method(
        self,
        code_hash: bytes,
        user_id: UserId,
        method: NewSignInMethod,
        *,
        session_id: SessionId | None = None,
    ) -> None:
        """Link a method to an account; of two codes for it, the one that is used first does.

        Raises `CodeAlreadyUsed`, `MethodLinkedElsewhere`, or `SessionHasEnded` for the session
        that asked for it.
        """
        async with self._spending(code_hash, session_id) as connection:
            await connection.fetchrow(SQL["lock_person"], user_id)
            await link_method(connection, user_id, method)
            await connection.execute(SQL["forget_links"], user_id)

    async def use_code(self, code_hash: bytes) -> None:
        """Use a code up; raise `CodeAlreadyUsed`."""
        async with self._spending(code_hash):
            pass

    async def set_method(self, user_id: UserId, method: NewSignInMethod) -> None:
        """Link a method without a code, on record; raise `MethodLinkedElsewhere`."""
        async with self._database.transaction() as connection:
            await link_method(connection, user_id, method)
            await connection.execute(SQL["forget_links"], user_id)
            await record_entry(
                connection,
                actor=SERVICE_KEY,
                action="set_method",
                target=user_id,
                after={"kind": method.kind, "password": method.password_hash is not None},
            )

    async def reset_password(self, code_hash: bytes, user_id: UserId, password_hash: str) -> None:
        """Change a forgotten password and end every session; raise `CodeAlreadyUsed`."""
        async with self._spending(code_hash) as connection:
            await connection.execute(SQL["set_password"], user_id, password_hash)
            await connection.execute(SQL["end_sessions"], user_id)
            await connection.execute(SQL["forget_links"], user_id)

    async def set_password(self, user_id: UserId, password_hash: str) -> None:
        """Change a password."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["set_password"], user_id, password_hash)
            await connection.execute(SQL["forget_links"], user_id)

    async def unlink_method(
        self, user_id: UserId, kind: str, require: Callable[[Sequence[str]], None]
    ) -> None:
        """Take a method away; `require` gets the kinds that there are, and may raise."""
        async with self._database.transaction() as connection:
            await connection.fetchrow(SQL["lock_person"], user_id)
            rows = await connection.fetch(SQL["merged_methods_of"], user_id)
            require(sorted({row["kind"] for row in rows}))
            await connection.execute(SQL["unlink_method"], user_id, kind)

    async def iterate_methods(self) -> AsyncIterator[SealedSignInMethod]:
        """Go through the methods of every account."""
        after: tuple[str, str] = _FIRST
        while True:
            async with self._database.acquire() as connection:
                rows = await connection.fetch(SQL["methods_after"], *after, PAGE)
            for row in rows:
                yield SealedSignInMethod(*row)
            if len(rows) < PAGE:
                return
            after = rows[-1]["user_id"], rows[-1]["kind"]

    async def sample_sealed_methods(self) -> list[SealedSignInMethod]:
        """Read up to `SAMPLES_PER_KEY_MAX` methods of each key that sealed any."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["sealed_samples"], SAMPLES_PER_KEY_MAX)
        return [SealedSignInMethod(*row) for row in rows]

    async def count_sealed_by(self, key_id: str) -> int:
        """Count the methods that a key sealed."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["count_sealed_by"], key_id.encode()))

    async def delete_sealed_by(self, key_id: str, *, actor: str) -> int:
        """Delete the methods that a key sealed, on record; returns how many."""
        async with self._database.transaction() as connection:
            deleted = int(await connection.fetchval(SQL["forget_sealed_by"], key_id.encode()))
            await record_entry(
                connection,
                actor=actor,
                action="forget_key",
                target=key_id,
                before={"methods": deleted},
            )
        return deleted

    async def reseal_method(self, old: SealedSignInMethod, *, lookup: bytes, sealed: bytes) -> None:
        """Store a method under another key; nothing happens if it has changed meanwhile."""
        values = (old.user_id, old.kind, old.sealed, lookup, sealed)
        async with self._database.acquire() as connection:
            await connection.execute(SQL["reseal_method"], *values)

    @asynccontextmanager
    async def _spending(
        self, code_hash: bytes, session_id: SessionId | None = None
    ) -> AsyncIterator[Connection]:
        async with self._database.transaction() as connection:
            # Before the code, in the order in which sessions end and their codes are forgotten.
            if session_id is not None:
                held = await connection.fetchval(SQL["hold_session"], session_id)
                if held is None:
                    raise SessionHasEnded
            if await connection.fetchrow(SQL["spend_code"], code_hash) is None:
                raise CodeAlreadyUsed
            yield connection


async def link_method(connection: Connection, user_id: UserId, method: NewSignInMethod) -> None:
    """Link a method in the caller's transaction; raise `MethodLinkedElsewhere`."""
    try:
        await connection.execute(SQL["link_method"], user_id, *method)
    except asyncpg.UniqueViolationError as error:
        raise MethodLinkedElsewhere from error
    await connection.execute(SQL["mark_known"], user_id)
