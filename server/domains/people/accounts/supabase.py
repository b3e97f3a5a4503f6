"""Accounts that Supabase keeps: its tokens are accepted, and ours are switched off.

A token is believed if a key of the project signed it, with the algorithm that is the key's own:
HS256 for the shared secret, what the published key says for any other.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import aiohttp
import jwt
from pydantic import BaseModel, Field, ValidationError

from persistence.accounts.store import AccountStatus, AccountStore, NoSuchUser, UsernameTaken
from protocol.errors import BadToken, Overloaded, SignInElsewhere, TokenExpired, Unavailable
from protocol.ids import UUID_PATTERN, SessionId, UserId
from protocol.limits import NAME_CHARS_MAX, TOKEN_CHARS_MAX
from protocol.reserved_names import is_reserved
from protocol.text import readable
from server.domains.people.accounts.discord import NotJson, json_of
from server.domains.people.accounts.names import (
    NUMBER_BITS,
    GuestNames,
    generate_names,
    name_suffix,
    slug_from_name,
)
from server.domains.people.accounts.service import NAME_DRAWS_MAX, new_person, require_not_banned
from server.gateway.http.endpoints import Endpoint, HttpRequest
from server.gateway.session.identity import Identity

log = logging.getLogger(__name__)

AUDIENCE: Final = "authenticated"
ALGORITHMS: Final = frozenset({"ES256", "RS256", "EdDSA"})
FETCH_AGAIN_S: Final = 10.0  # at the earliest, when a token names a key that is not known
KEYS_KEPT_S: Final = 600.0  # before they are fetched anew, so that a withdrawn key is forgotten
FETCH_TIMEOUT_S: Final = 5.0
KEYS_MAX: Final = 32

_OFF: Final = ("/v1/auth/", "/v1/me/methods", "/v1/me/password", "/v1/me/sessions")
_OFFER: Final = "/v1/auth/methods"
_CALLED: Final = ("user_name", "preferred_username", "full_name", "name")


class _Claims(BaseModel):
    sub: str = Field(pattern=UUID_PATTERN)
    session_id: str = Field(pattern=UUID_PATTERN)
    role: str = Field(pattern=f"^{AUDIENCE}$")
    exp: float
    user_metadata: dict[str, Any] = {}

    @property
    def called(self) -> str | None:
        """Say what the person is called at Supabase; they can write anything there."""
        names = (self.user_metadata.get(key) for key in _CALLED)
        return next((name for name in names if isinstance(name, str) and name.strip()), None)


class SupabaseKeys:
    """The keys that a project publishes.

    Fetched when a token names one that is not known, and again after a while. Where that fails, the
    keys stay, so that players are not locked out while Supabase is down.
    """

    def __init__(self, url: str, *, now: Callable[[], float]) -> None:
        self._url = f"{url}/auth/v1/.well-known/jwks.json"
        self._now = now
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -FETCH_AGAIN_S
        self._fetching = asyncio.Lock()

    async def find(self, kid: str) -> jwt.PyJWK:
        """Find a key; raise `BadToken`, or `Unavailable` if none could be fetched yet."""
        if kid not in self._keys or self._should_fetch(kid):
            async with self._fetching:
                if self._should_fetch(kid):  # another token may have fetched them meanwhile
                    await self._fetch()
        if (key := self._keys.get(kid)) is None:
            raise (
                BadToken
                if self._keys
                else Unavailable("The keys of Supabase have not been fetched yet.")
            )
        return key

    def _should_fetch(self, kid: str) -> bool:
        age_s = self._now() - self._fetched_at
        return age_s >= (KEYS_KEPT_S if kid in self._keys else FETCH_AGAIN_S)

    async def _fetch(self) -> None:
        self._fetched_at = self._now()  # first, so that tokens of known keys do not wait
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.get(self._url, allow_redirects=False) as answer,
            ):
                published = await json_of(answer)
            self._keys = {key.key_id: key for key in _usable(published) if key.key_id}
        except (aiohttp.ClientError, TimeoutError, NotJson, jwt.PyJWTError) as error:
            log.warning("the keys of Supabase could not be fetched: %s", type(error).__name__)


class SupabaseAccounts:
    """Authenticates by Supabase's tokens; `logged_out` closes the connections of a session here."""

    def __init__(
        self,
        *,
        url: str,
        secret: str | None,
        store: AccountStore,
        logged_out: Callable[[SessionId], None],
        now: Callable[[], float],
    ) -> None:
        self._issuer = f"{url}/auth/v1" if url else None
        self._secret = secret
        self._store = store
        self._logged_out = logged_out
        self._keys = SupabaseKeys(url, now=now) if url else None

    async def authenticate(self, token: str) -> Identity:
        """Say who a token speaks for; raise `BadToken`, `TokenExpired` or `Banned`.

        Whoever comes for the first time gets a profile and a player.
        """
        claims = await self._verify(token)
        user_id = UserId(claims.sub)
        status = await self._store.account_status(user_id)
        if status is None:
            status = await self._welcome(user_id, claims.called)
        require_not_banned(status.ban)
        return Identity(
            user_id=user_id,
            player_id=status.player_id,
            session_id=SessionId(claims.session_id),
            display_name=status.display_name,
            expires_at=claims.exp,
            roles=status.roles,
        )

    async def end_session(self, session_id: SessionId) -> None:
        """Close the connections of a session here; the session itself is Supabase's to end."""
        asyncio.get_running_loop().call_soon(self._logged_out, session_id)

    async def _verify(self, token: str) -> _Claims:
        key, algorithm = await self._key_of(token)
        required = ["exp", "sub", "aud", *(["iss"] if self._issuer else [])]
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=AUDIENCE,
                issuer=self._issuer,
                options={"require": required, "strict_aud": True},
            )
            return _Claims.model_validate(claims)
        except jwt.ExpiredSignatureError:
            raise TokenExpired("The token has expired; get a new one from Supabase.") from None
        except (jwt.InvalidTokenError, ValidationError):
            raise BadToken from None

    async def _key_of(self, token: str) -> tuple[Any, str]:
        """Find the key that a token names, and the one algorithm that is right for it."""
        if len(token) > TOKEN_CHARS_MAX or not token.isascii():
            raise BadToken
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise BadToken from None
        if header.get("alg") == "HS256" and self._secret is not None:
            return self._secret, "HS256"
        kid = header.get("kid")
        if self._keys is None or not isinstance(kid, str):
            raise BadToken
        key = await self._keys.find(kid)
        return key.key, key.algorithm_name

    async def _welcome(self, user_id: UserId, called: str | None) -> AccountStatus:
        slug = slug_from_name(called or "")
        if slug is not None and is_reserved(slug):
            slug = None
        for draw in range(NAME_DRAWS_MAX):
            number = secrets.randbits(NUMBER_BITS)
            names = generate_names(number)
            if slug is not None:
                username = slug if draw == 0 else f"{slug}_{name_suffix(number)}"
                names = GuestNames(username, names.display_name, names.avatar_seed, names.color)
            try:
                guest = new_person(names, _display_name(called), user_id=user_id)
                await self._store.welcome_person(guest)
            except UsernameTaken:
                continue
            except NoSuchUser:
                raise BadToken("This account no longer exists.") from None
            status = await self._store.account_status(user_id)
            if status is not None:
                return status
        raise Overloaded


def disabled_endpoints(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Let the addresses of our own sign-in say where one signs in instead."""
    return [
        replace(endpoint, handler=_elsewhere, auth="none", body=None)
        if endpoint.path.startswith(_OFF) and endpoint.path != _OFFER
        else endpoint
        for endpoint in endpoints
    ]


async def _elsewhere(_: HttpRequest) -> Any:
    raise SignInElsewhere


def _usable(published: object) -> list[jwt.PyJWK]:
    """Read the keys that name an algorithm of ours; the others are not meant for us."""
    keys = published.get("keys", []) if isinstance(published, dict) else []
    return [
        jwt.PyJWK(key)
        for key in keys[:KEYS_MAX]
        if isinstance(key, dict) and key.get("alg") in ALGORITHMS
    ]


def _display_name(called: str | None) -> str | None:
    name = readable(called or "", chars_max=NAME_CHARS_MAX)
    return None if not name or is_reserved(name) else name
