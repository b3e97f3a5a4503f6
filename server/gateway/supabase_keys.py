"""The anonymous and the service key of the Supabase clients, and whom a request is for.

Both keys are JWTs that one secret signs. That is Supabase's own form, so a project that moves here
with its secret keeps its keys. They say a role, and nothing about a person. The anonymous key is
public: it opens what everybody may read. The service key reaches every row and stays on servers.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, NamedTuple

import jwt

from persistence.rls import Requester
from protocol.errors import BadToken
from protocol.limits import TOKEN_CHARS_MAX
from server.gateway.session.identity import Identity, find_scope_error

ApiRole = Literal["anon", "service_role"]

ALGORITHM: Final = "HS256"
ISSUER: Final = "playhall"
KEY_YEARS: Final = 10
_YEAR_S: Final = 31_557_600
_KNOWN_MAX: Final = 100


def make_api_key(secret: str, role: ApiRole, *, issued_at: int) -> str:
    """Sign a key that is good for ten years; `issued_at` is seconds since 1970."""
    claims = {
        "iss": ISSUER,
        "role": role,
        "iat": issued_at,
        "exp": issued_at + KEY_YEARS * _YEAR_S,
    }
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


class ApiClient(NamedTuple):
    """For whom a request is: a role, and the account where it is a person's."""

    role: Literal["anon", "authenticated", "service_role"]
    identity: Identity | None = None

    @property
    def requester(self) -> Requester | None:
        """The account that row level security applies to; None for a key alone."""
        return None if self.identity is None else self.identity.requester


class ApiKeys:
    """Reads the keys and tokens of requests."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._known: dict[str, ApiRole] = {}
        # Beginnings of tokens, which name their algorithm, that are not those of keys. There is one
        # for each key that signs people's tokens.
        self._others: set[str] = set()

    async def identify(
        self,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        authenticate: Callable[[str], Awaitable[Identity]],
    ) -> ApiClient:
        """Say for whom a request is; raise `BadToken`, `TokenExpired`, `Banned` or `Forbidden`.

        The client sends its key as `apikey` and, where nobody is signed in, as the bearer too.
        """
        key = headers.get("apikey") or query.get("apikey", "")
        scheme, _, bearer = headers.get("Authorization", "").partition(" ")
        if scheme and scheme.lower() != "bearer":
            raise BadToken("The Authorization header must be: Bearer <access token>.")
        if key:
            role = self.read_role(key)
            if role is None:
                raise BadToken("Invalid API key; `playhall keys supabase` prints those that are.")
        if not bearer:
            if not key:
                raise BadToken("No API key found: send the anonymous key as `apikey`.")
            assert role is not None
            return ApiClient(role)
        if (role := self.read_role(bearer)) is not None:
            return ApiClient(role)
        identity = await authenticate(bearer)
        if (refused := find_scope_error(identity, "player")) is not None:
            raise refused
        return ApiClient("authenticated", identity)

    def read_role(self, key: str) -> ApiRole | None:
        """Say which role a key has; None for one that is not good, or another kind of token."""
        if (known := self._known.get(key)) is not None:
            return known
        head = key.partition(".")[0]
        if head in self._others:
            return None
        role = self._read(key, head)
        if role is not None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[key] = role
        return role

    def _read(self, key: str, head: str) -> ApiRole | None:
        if len(key) > TOKEN_CHARS_MAX or not key.isascii():
            return None
        try:
            if jwt.get_unverified_header(key).get("alg") != ALGORITHM:
                if len(self._others) >= _KNOWN_MAX:
                    self._others.clear()
                self._others.add(head)
                return None
            claims = jwt.decode(
                key, self._secret, algorithms=[ALGORITHM], options={"verify_aud": False}
            )
        except jwt.InvalidTokenError:
            return None
        role = claims.get("role")
        return role if role in ("anon", "service_role") and "sub" not in claims else None
