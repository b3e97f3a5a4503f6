"""One-time codes: made, mailed or put on a redirect, and good once."""

import secrets
from datetime import timedelta
from typing import Final, Literal, NamedTuple

import orjson

from persistence.accounts.sign_in import NewCode, SignInStore
from persistence.sealing import Seal, Unsealable
from protocol.errors import BadCode
from protocol.ids import UserId
from server.core.clock import Clock
from server.domains.people.accounts.refresh_tokens import token_hash
from server.domains.people.accounts.sealed import code_context

Purpose = Literal["email", "redirect"]
REDIRECT: Final = "redirect"
LIFETIMES_S: Final[dict[Purpose, int]] = {"email": 3600, REDIRECT: 120}

Contents = dict[str, str | None]


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
        self, purpose: Purpose, contents: Contents, *, user_id: UserId | None = None
    ) -> str:
        """Make a code that proves its contents to whoever has it."""
        code = secrets.token_urlsafe(32)
        code_hash = token_hash(code)
        sealed = self._seal.seal(orjson.dumps(contents), about=code_context(code_hash))
        expires_at = self._clock.now() + timedelta(seconds=LIFETIMES_S[purpose])
        await self._store.add_code(NewCode(code_hash, purpose, user_id, sealed, expires_at))
        return code

    async def read(self, purpose: Purpose, code: str) -> VerifiedCode:
        """Read a code without using it up; raise `BadCode`."""
        code_hash = token_hash(code)
        stored = await self._store.read_code(code_hash, purpose, self._clock.now())
        if stored is None:
            raise BadCode
        try:
            opened = self._seal.open(stored.sealed, about=code_context(code_hash))
        except Unsealable as error:
            raise BadCode from error
        return VerifiedCode(code_hash, stored.user_id, orjson.loads(opened))
