"""Passes: short-lived tokens of other rooms, signed with the keys that sign access tokens.

What a pass is for is its type and its audience, so that none is good for anything else.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

import jwt

from protocol.errors import BadToken
from protocol.limits import TOKEN_CHARS_MAX
from server.core.clock import Clock, wire_time
from server.domains.people.accounts.keys import ALGORITHM, ISSUER, Keys

_REQUIRED: Final = ["iss", "aud", "exp"]


class ScopedToken(NamedTuple):
    """A pass, and until when it is good (ISO 8601, UTC)."""

    token: str
    expires_at: str


class ScopedTokens:
    """Writes and reads passes of one kind, for example `peer`."""

    def __init__(self, kind: str, *, keys: Keys, clock: Clock, lifetime_s: int) -> None:
        self._type = f"{kind}+jwt"
        self._audience = f"{ISSUER}-{kind}"
        self._keys = keys
        self._clock = clock
        self._lifetime_s = lifetime_s

    def write(self, claims: Mapping[str, str]) -> ScopedToken:
        """Sign what a pass says."""
        expires_at = self._clock.now() + timedelta(seconds=self._lifetime_s)
        key = self._keys.newest
        token = jwt.encode(
            {**claims, "iss": ISSUER, "aud": self._audience, "exp": expires_at},
            key.private,
            algorithm=ALGORITHM,
            headers={"kid": key.kid, "typ": self._type},
        )
        return ScopedToken(token, wire_time(expires_at))

    async def read(self, token: str) -> Mapping[str, str]:
        """Give what a pass says; raise `BadToken` for any that is not good, or not of this kind."""
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise BadToken
        try:
            key = await self._keys.find(self._kid(token))
            claims: Mapping[str, str] = jwt.decode(
                token,
                key.public,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=self._audience,
                options={"require": _REQUIRED, "strict_aud": True},
            )
        except jwt.InvalidTokenError:
            raise BadToken from None
        return claims

    def _kid(self, token: str) -> str:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        if header.get("typ") != self._type or not isinstance(kid, str):
            raise BadToken
        return kid
