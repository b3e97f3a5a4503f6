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

import jwt
from pydantic import BaseModel, Field, ValidationError

from persistence.accounts.store import AccountStatus, AccountStore, NoSuchUser, UsernameTaken
from protocol.errors import BadToken, Overloaded, SignInElsewhere, TokenExpired, Unavailable
from protocol.ids import UUID_PATTERN, SessionId, UserId
from protocol.limits import NAME_CHARS_MAX, TOKEN_CHARS_MAX
from protocol.reserved_names import is_reserved
from protocol.text import sanitise_name
from server.core.clock import Clock
from server.core.token_times import check_times, untimed
from server.domains.people.accounts.names import (
    NUMBER_BITS,
    GuestNames,
    generate_names,
    name_suffix,
    slug_from_name,
)
from server.domains.people.accounts.published_keys import NoKeys, PublishedKeys, UnknownKey
from server.domains.people.accounts.service import (
    NAME_DRAWS_MAX,
    ActivityChanged,
    draft_account,
    require_active,
    require_not_banned,
)
from server.gateway.http.endpoints import Endpoint, HttpRequest
from server.gateway.session.identity import Identity

log = logging.getLogger(__name__)

AUDIENCE: Final = "authenticated"
ALGORITHMS: Final = frozenset({"ES256", "RS256", "EdDSA"})

_OFF: Final = ("/v1/auth/", "/v1/me/merge", "/v1/me/methods", "/v1/me/password", "/v1/me/sessions")
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


class SupabaseAccounts:
    """Authenticates by Supabase's tokens; `logged_out` closes the connections of a session here."""

    def __init__(
        self,
        *,
        url: str,
        secret: str | None,
        store: AccountStore,
        logged_out: Callable[[SessionId], None],
        clock: Clock,
        activity_changed: ActivityChanged | None = None,
    ) -> None:
        self._activity_changed = activity_changed
        self._issuer = f"{url}/auth/v1" if url else None
        self._secret = secret
        self._store = store
        self._logged_out = logged_out
        self._clock = clock
        self._keys = _keys_of(url, clock.monotonic) if url else None

    async def authenticate(self, token: str) -> Identity:
        """Say who a token speaks for.

        Raises `BadToken`, `TokenExpired`, `Banned` or `AccountDeactivated`.

        Whoever comes for the first time gets a profile and a player.
        """
        claims = await self._verify(token)
        user_id = UserId(claims.sub)
        status = await self._store.read_account_status(user_id)
        if status is None:
            status = await self._welcome(user_id, claims.called)
        require_not_banned(status.ban)
        require_active(status.deactivated_by)
        return Identity(
            user_id=user_id,
            player_id=status.player_id,
            session_id=SessionId(claims.session_id),
            display_name=status.display_name,
            expires_at=claims.exp,
            roles=status.roles,
        )

    async def deactivate(self, user_id: UserId) -> None:
        """Deactivate an account for its owner."""
        await self._store.deactivate_own(user_id)
        if self._activity_changed is not None:
            self._activity_changed(user_id, is_active=False)

    async def reactivate(self, token: str) -> UserId:
        """Reactivate the account of a token, whose owner deactivated it.

        Raises what `authenticate` raises.
        """
        user_id = UserId((await self._verify(token)).sub)
        status = await self._store.read_account_status(user_id)
        if status is None:
            raise BadToken("There is no account of this token here; connect with it first.")
        require_not_banned(status.ban)
        is_changed = await self._store.reactivate_own(user_id)
        if is_changed and self._activity_changed is not None:
            self._activity_changed(user_id, is_active=True)
        require_active(await self._store.find_deactivation(user_id))
        return user_id

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
                options=untimed(*required, strict_aud=True),
            )
            check_times(claims, self._clock.now().timestamp())
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
        try:
            key = await self._keys.find_key(kid)
        except UnknownKey:
            raise BadToken from None
        except NoKeys:
            raise Unavailable("The keys of Supabase have not been fetched yet.") from None
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
                guest = draft_account(names, _display_name(called), user_id=user_id)
                await self._store.ensure_profile_and_player(guest)
            except UsernameTaken:
                continue
            except NoSuchUser:
                raise BadToken("This account no longer exists.") from None
            status = await self._store.read_account_status(user_id)
            if status is not None:
                return status
        raise Overloaded


def make_disabled_endpoints(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    """Let the addresses of our own sign-in say where one signs in instead."""
    return [
        replace(endpoint, handler=_elsewhere, auth="none", body=None)
        if endpoint.path.startswith(_OFF) and endpoint.path != _OFFER
        else endpoint
        for endpoint in endpoints
    ]


async def _elsewhere(_: HttpRequest) -> Any:
    raise SignInElsewhere


def _keys_of(url: str, now: Callable[[], float]) -> PublishedKeys:
    return PublishedKeys(
        f"{url}/auth/v1/.well-known/jwks.json",
        of="Supabase",
        algorithms=ALGORITHMS,
        is_alg_named=True,
        now=now,
    )


def _display_name(called: str | None) -> str | None:
    name = sanitise_name(called or "", chars_max=NAME_CHARS_MAX)
    return None if not name or is_reserved(name) else name
