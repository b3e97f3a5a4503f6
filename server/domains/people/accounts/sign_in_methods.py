"""What accounts sign in with: entering, linking, unlinking."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, NamedTuple

from persistence.accounts.metadata import NO_METADATA, Metadata
from persistence.accounts.sign_in import (
    CodeAlreadyUsed,
    MethodLinkedElsewhere,
    NewSignInMethod,
    SessionHasEnded,
    SignInMethod,
    SignInStore,
)
from persistence.accounts.store import AccountExists, NewAccount, NewSession
from persistence.rls import Requester
from persistence.sealing import Seal, Unsealable
from protocol.accounts import Kind, Tokens
from protocol.errors import BadCode, InvalidField, LastMethod, MethodTaken, NotFound
from protocol.ids import SessionId, UserId
from server.domains.people.accounts.sealed import method_context, method_indexes, renewed_index
from server.domains.people.accounts.service import Accounts, add_named

log = logging.getLogger(__name__)

UNREADABLE: Final = "(unreadable)"


class ProvedSignInMethod(NamedTuple):
    """What somebody has proved to have: an email address, or an id at a provider with a label."""

    kind: Kind
    name: str
    label: str = ""

    @property
    def text(self) -> str:
        """Write it as it is sealed; a name has no blanks."""
        return f"{self.name} {self.label}".rstrip()


class SignInMethodService:
    """The methods of all accounts."""

    def __init__(self, *, store: SignInStore, seal: Seal, accounts: Accounts) -> None:
        self._store = store
        self._seal = seal
        self._accounts = accounts

    async def find_account(self, kind: Kind, name: str) -> SignInMethod | None:
        """Find whose method this is."""
        return await self._store.find_account(kind, method_indexes(self._seal, kind, name))

    async def list_methods(self, user_id: UserId) -> list[SignInMethod]:
        """Read what somebody signs in with."""
        return await self._store.list_methods(user_id)

    async def list_methods_with_merged(self, user_id: UserId) -> list[SignInMethod]:
        """Read what somebody signs in with, also that of accounts merged into theirs."""
        return await self._store.list_methods_with_merged(user_id)

    def read_display_name(self, method: SignInMethod) -> str:
        """Read the address, or what somebody is called at a provider."""
        about = method_context(method.kind, method.user_id)
        try:
            opened = self._seal.open(method.sealed, about=about).decode()
        except Unsealable as error:  # one row is damaged: the account is still its owner's
            log.error("what an account signs in with cannot be read: %s", error)  # noqa: TRY400
            return UNREADABLE
        name, _, label = opened.partition(" ")
        return label or name

    async def create_account(
        self,
        code_hash: bytes,
        proved: ProvedSignInMethod,
        *,
        password_hash: str | None = None,
        display_name: str | None,
        metadata: Metadata = NO_METADATA,
    ) -> Tokens:
        """Make an account that signs in so; raise `BadCode` or `MethodTaken`."""

        async def add(guest: NewAccount, session: NewSession) -> None:
            method = self._new(guest.user_id, proved, password_hash)
            await self._store.create_account(code_hash, guest, method, session, metadata=metadata)

        async with _code_errors():
            return await self._accounts.issuer.add_person(
                add, method=proved.kind, display_name=display_name
            )

    async def link_method(
        self,
        code_hash: bytes,
        user_id: UserId,
        proved: ProvedSignInMethod,
        *,
        password_hash: str | None = None,
        session_id: SessionId | None = None,
    ) -> None:
        """Link a method to an account; raise `BadCode` or `MethodTaken`.

        `session_id` is the session that asked for it, if that must not have ended meanwhile.
        """
        await self.require_free(proved.kind, proved.name, user_id)
        async with _code_errors():
            new = self._new(user_id, proved, password_hash)
            await self._store.link_method(code_hash, user_id, new, session_id=session_id)

    async def link_and_sign_in(
        self, code_hash: bytes, owner: Requester, proved: ProvedSignInMethod
    ) -> Tokens:
        """Link a method to an account and sign in to it with that.

        Raises `BadCode`, also if the owner's session has ended, `MethodTaken`, `Banned` or
        `AccountDeactivated`.
        """
        await self._accounts.require_active(owner.user_id, reactivate=False)
        await self.link_method(code_hash, owner.user_id, proved, session_id=owner.session_id)
        return await self._accounts.open_session(owner.user_id, method=proved.kind)

    async def add_account(
        self,
        proved: ProvedSignInMethod | None,
        *,
        password_hash: str | None = None,
        display_name: str | None,
        metadata: Metadata,
        user_id: UserId | None = None,
    ) -> UserId:
        """Make an account for somebody who is not here; raise `MethodTaken`.

        Raises `InvalidField` for an id that another account has.
        """

        async def add(account: NewAccount) -> None:
            methods = [self._new(account.user_id, proved, password_hash)] if proved else []
            await self._store.add_account(account, methods, metadata=metadata)

        try:
            account = await add_named(add, display_name=display_name, user_id=user_id)
        except MethodLinkedElsewhere:
            raise MethodTaken from None
        except AccountExists:
            raise InvalidField("id: another account has it.", field="id") from None
        return account.user_id

    async def set_method(
        self, user_id: UserId, proved: ProvedSignInMethod, *, password_hash: str | None
    ) -> None:
        """Have an account sign in so, on an operator's word; raise `MethodTaken`."""
        await self.require_free(proved.kind, proved.name, user_id)
        try:
            await self._store.set_method(user_id, self._new(user_id, proved, password_hash))
        except MethodLinkedElsewhere:
            raise MethodTaken from None

    async def require_free(self, kind: Kind, name: str, user_id: UserId) -> None:
        """Raise `MethodTaken` if another account signs in with this."""
        found = await self.find_account(kind, name)
        if found is not None and found.user_id != user_id:
            raise MethodTaken

    async def sign_in_with_code(
        self, code_hash: bytes, method: SignInMethod, *, reactivate: bool
    ) -> Tokens:
        """Sign in by a code that proved a method; raise `BadCode` or `Banned`.

        Raises `AccountDeactivated` before the code is used up, so that it can be sent again.
        """
        await self._accounts.require_active(method.user_id, reactivate=reactivate)
        async with _code_errors():
            await self._store.use_code(code_hash)
        return await self._accounts.open_session(method.user_id, method=method.kind)

    async def reset_password(
        self, code_hash: bytes, method: SignInMethod, password_hash: str, *, reactivate: bool
    ) -> Tokens:
        """Change a forgotten password, end every session, and sign in.

        Raises `AccountDeactivated` before the code is used up, so that it can be sent again.
        """
        await self._accounts.require_active(method.user_id, reactivate=reactivate)
        async with _code_errors():
            await self._store.reset_password(code_hash, method.user_id, password_hash)
        return await self._accounts.open_session(method.user_id, method=method.kind)

    async def unlink_method(self, user_id: UserId, kind: Kind) -> None:
        """Take a method away; raise `NotFound`, or `LastMethod` if no other is left."""
        await self._store.unlink_method(user_id, kind, partial(_require_another, kind))

    def _new(
        self, user_id: UserId, proved: ProvedSignInMethod, password_hash: str | None
    ) -> NewSignInMethod:
        return seal_method(self._seal, user_id, proved, password_hash=password_hash)


def seal_method(
    seal: Seal, user_id: UserId, proved: ProvedSignInMethod, *, password_hash: str | None
) -> NewSignInMethod:
    """Write a method as it is stored."""
    sealed = seal.seal(proved.text.encode(), about=method_context(proved.kind, user_id))
    lookup = method_indexes(seal, proved.kind, proved.name)[0]
    return NewSignInMethod(proved.kind, lookup, sealed, password_hash)


def _require_another(kind: str, kinds: Sequence[str]) -> None:
    if kind not in kinds:
        raise NotFound(f"Your account has no sign-in method {kind}.")
    if len(kinds) == 1:
        raise LastMethod


async def reencrypt_methods(store: SignInStore, seal: Seal) -> int:
    """Seal and index with the newest key what is not; says how many methods that were."""
    resealed = 0
    async for old in store.iterate_methods():
        if seal.is_newest(old.sealed):
            continue
        about = method_context(old.kind, old.user_id)
        plain = seal.open(old.sealed, about=about)
        name = plain.decode().partition(" ")[0]
        lookup = renewed_index(seal, old.kind, name, old.lookup)
        await store.reseal_method(old, lookup=lookup, sealed=seal.seal(plain, about=about))
        resealed += 1
    return resealed


@asynccontextmanager
async def _code_errors() -> AsyncIterator[None]:
    """Say in the protocol's words why nothing came of a code."""
    try:
        yield
    except CodeAlreadyUsed:
        raise BadCode from None
    except SessionHasEnded:
        raise BadCode("The session that asked for this link has ended; sign in again.") from None
    except MethodLinkedElsewhere:
        raise MethodTaken from None
