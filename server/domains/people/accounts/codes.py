"""One-time codes: made, mailed or put on a redirect, and good once."""

import secrets
from datetime import timedelta
from typing import Final, Literal, NamedTuple

import orjson

from persistence.accounts.sign_in import NewCode, RecordedCode, SignInStore
from persistence.sealing import Seal, Unsealable
from protocol.errors import BadCode
from protocol.ids import UserId
from server.core.clock import Clock
from server.domains.people.accounts.refresh_tokens import token_hash
from server.domains.people.accounts.sealed import code_context, folded_email

# `email`: whoever knows it has read the mail. `redirect` and `mailed` travel in an address, so they
# are good for those alone who have the verifier, too; a `mailed` one stands for an `email` one.
Purpose = Literal["email", "redirect", "mailed"]
EMAIL: Final = "email"
REDIRECT: Final = "redirect"
MAILED: Final = "mailed"
LIFETIMES_S: Final[dict[Purpose, int]] = {EMAIL: 3600, REDIRECT: 120, MAILED: 3600}

Contents = dict[str, str | None]


class UnknownCode(BadCode):
    """The link or code is invalid, expired, or already used; request a new one."""


class VerifiedCode(NamedTuple):
    """A good code: what it says, and the account that it links something to."""

    code_hash: bytes
    user_id: UserId | None
    contents: Contents


class OneTimeCodes:
    """Makes codes and reads them. Using one up is part of the transaction that it allows."""

    def __init__(self, *, store: SignInStore, seal: Seal, clock: Clock) -> None:
        self._store = store
        self._seal = seal
        self._clock = clock

    async def make(
        self,
        purpose: Purpose,
        contents: Contents,
        *,
        user_id: UserId | None = None,
        asked_with: str | None = None,
        record: RecordedCode | None = None,
    ) -> str:
        """Make a code that proves its contents to whoever has it.

        `asked_with` is the address that `find_pending` finds it by, `record` what the audit log
        keeps of it.
        """
        code = secrets.token_urlsafe(32)
        code_hash = token_hash(code)
        sealed = self._seal.seal(orjson.dumps(contents), about=code_context(code_hash))
        expires_at = self._clock.now() + timedelta(seconds=LIFETIMES_S[purpose])
        lookup = None if asked_with is None else self._lookups(asked_with)[0]
        new = NewCode(code_hash, purpose, user_id, sealed, expires_at, lookup)
        await self._store.add_code(new, record=record)
        return code

    async def find_pending(self, address: str, *, is_link: bool) -> VerifiedCode | None:
        """Find what was mailed last for an address: to link it to an account, or to sign in."""
        found = await self._store.find_pending_code(
            self._lookups(address), EMAIL, self._clock.now(), is_link=is_link
        )
        if found is None:
            return None
        try:
            opened = self._seal.open(found.sealed, about=code_context(found.code_hash))
        except Unsealable:
            return None
        return VerifiedCode(found.code_hash, found.user_id, orjson.loads(opened))

    def _lookups(self, address: str) -> list[bytes]:
        return self._seal.blind_indexes(folded_email(address), about="code")

    async def read(self, purpose: Purpose, code: str) -> VerifiedCode:
        """Read a code without using it up; raise `BadCode`, `UnknownCode` if there is none."""
        code_hash = token_hash(code)
        stored = await self._store.read_code(code_hash, purpose, self._clock.now())
        if stored is None:
            raise UnknownCode
        try:
            opened = self._seal.open(stored.sealed, about=code_context(code_hash))
        except Unsealable as error:
            raise BadCode from error
        return VerifiedCode(code_hash, stored.user_id, orjson.loads(opened))
