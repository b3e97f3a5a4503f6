"""Signing in with any OpenID provider (OpenID Connect Core 1.0): code flow, PKCE, nonce, ID token.

The provider describes itself at `{issuer}/.well-known/openid-configuration`. Only the issuer is
configured, and the description must name it to the letter. Who signed in is read from the ID token
alone, which must be signed by a key of the provider with the one algorithm that was configured,
name the issuer, this client and the nonce of this trip, and not have expired.
"""

import asyncio
import hmac
from base64 import b64encode
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import jwt
from pydantic import BaseModel, Field, ValidationError

from protocol.limits import TOKEN_CHARS_MAX
from server.core.clock import Clock
from server.core.token_times import check_times, untimed
from server.domains.people.accounts.fetching import NotJson, read_json_answer
from server.domains.people.accounts.providers import (
    PROVIDER_TIMEOUT_S,
    OAuthState,
    ProviderIdentity,
    ProviderRefused,
    compute_challenge,
    display_name_of,
)
from server.domains.people.accounts.published_keys import NoKeys, PublishedKeys, UnknownKey
from server.domains.people.accounts.settings import OidcProvider, is_safe_url

DESCRIBED_S: Final = 3600.0  # how long a description is used before it is fetched anew
DESCRIBE_AGAIN_S: Final = 10.0  # at the earliest, after one could not be fetched
CLOCK_SKEW_S: Final = 60
ID_TOKEN_CHARS_MAX: Final = 4 * TOKEN_CHARS_MAX
_REQUIRED: Final = ["iss", "sub", "aud", "exp", "iat", "nonce"]


class _Description(BaseModel):
    issuer: str
    authorization_endpoint: str = Field(max_length=2000)
    token_endpoint: str = Field(max_length=2000)
    jwks_uri: str = Field(max_length=2000)
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]


class _Token(BaseModel):
    id_token: str = Field(max_length=ID_TOKEN_CHARS_MAX)


class _Claims(BaseModel):
    sub: str = Field(min_length=1, max_length=255)
    aud: str | list[str]
    azp: str | None = None
    nonce: str
    name: Any = None
    preferred_username: Any = None
    nickname: Any = None


class OpenIdProvider:
    """One OpenID provider."""

    def __init__(self, provider: OidcProvider, *, clock: Clock) -> None:
        self.id = provider.id
        self.name = provider.name
        self._provider = provider
        self._clock = clock
        self._now = clock.monotonic
        self._description: _Description | None = None
        self._keys: PublishedKeys | None = None
        self._describe_at = clock.monotonic()
        self._describing = asyncio.Lock()

    async def authorize_url(self, trip: OAuthState, callback: str) -> str:
        """Give where the browser is sent to; raise `ProviderRefused`."""
        there = (await self._described()).authorization_endpoint
        query = {
            "response_type": "code",
            "client_id": self._provider.client_id,
            "redirect_uri": callback,
            "scope": "openid profile",
            "state": trip.state,
            "nonce": trip.nonce,
            "code_challenge": compute_challenge(trip.verifier),
            "code_challenge_method": "S256",
        }
        return f"{there}{'&' if '?' in there else '?'}{urlencode(query)}"

    async def identify(self, trip: OAuthState, callback: str, code: str) -> ProviderIdentity:
        """Trade the provider's code for an ID token, and read that; raise `ProviderRefused`."""
        token = await self._id_token(trip, callback, code)
        claims = await self._verified(token)
        if not hmac.compare_digest(claims.nonce.encode(), trip.nonce.encode()):
            raise ProviderRefused("the ID token has another nonce")
        several = isinstance(claims.aud, list) and len(claims.aud) > 1
        if (claims.azp or (several and not claims.azp)) and claims.azp != self._provider.client_id:
            raise ProviderRefused("the ID token was made for another client")
        # A subject may contain anything, and is only unique within its issuer.
        its_id = f"{quote(claims.sub, safe='')}@{self._provider.issuer}"
        name = display_name_of(claims.name, claims.preferred_username, claims.nickname)
        return ProviderIdentity(its_id, name)

    async def _described(self) -> _Description:
        """Read (and cache) the provider's description of itself; raise `ProviderRefused`."""
        async with self._describing:
            if self._now() >= self._describe_at:
                self._describe_at = self._now() + DESCRIBE_AGAIN_S
                try:
                    self._description = await self._describe()
                except ProviderRefused:
                    if self._description is None:
                        raise
                else:
                    self._describe_at = self._now() + DESCRIBED_S
        if self._description is None:
            raise ProviderRefused("its description could not be fetched a moment ago")
        return self._description

    async def _describe(self) -> _Description:
        url = f"{self._provider.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            described = _Description.model_validate(await _fetched("GET", url))
        except ValidationError:
            raise ProviderRefused("its description lacks something") from None
        if described.issuer != self._provider.issuer:
            raise ProviderRefused("its description names another issuer")
        endpoints = (
            described.authorization_endpoint,
            described.token_endpoint,
            described.jwks_uri,
        )
        if not all(map(is_safe_url, endpoints)):
            raise ProviderRefused("its description names an address without TLS")
        if self._keys is None or self._keys.url != described.jwks_uri:
            self._keys = PublishedKeys(
                described.jwks_uri,
                of=self.id,
                algorithms=(self._provider.algorithm,),
                is_alg_named=False,
                now=self._now,
            )
        return described

    async def _id_token(self, trip: OAuthState, callback: str, code: str) -> str:
        described = await self._described()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": callback,
            "code_verifier": trip.verifier,
        }
        headers: dict[str, str] = {}
        client_id, secret = self._provider.client_id, self._provider.client_secret
        if secret is None:
            form["client_id"] = client_id
        elif "client_secret_basic" in described.token_endpoint_auth_methods_supported:
            # Both are encoded as in a form before they are joined (RFC 6749, section 2.3.1).
            said = ":".join(quote(part, safe="") for part in (client_id, secret.get_secret_value()))
            headers["Authorization"] = f"Basic {b64encode(said.encode()).decode()}"
        else:
            form |= {"client_id": client_id, "client_secret": secret.get_secret_value()}
        try:
            answer = await _fetched("POST", described.token_endpoint, data=form, headers=headers)
            return _Token.model_validate(answer).id_token
        except ValidationError:
            raise ProviderRefused("its answer has no ID token") from None

    async def _verified(self, token: str) -> _Claims:
        assert self._keys is not None
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != self._provider.algorithm:
                raise ProviderRefused(f"the ID token is not signed with {self._provider.algorithm}")
            key = await self._keys.find_key(str(header.get("kid", "")))
            claims = jwt.decode(
                token,
                key.key,
                algorithms=[self._provider.algorithm],
                audience=self._provider.client_id,
                issuer=self._provider.issuer,
                options=untimed(*_REQUIRED),
            )
            check_times(claims, self._clock.now().timestamp(), leeway_s=CLOCK_SKEW_S)
            return _Claims.model_validate(claims)
        except UnknownKey:
            raise ProviderRefused("the ID token is signed with an unpublished key") from None
        except NoKeys:
            raise ProviderRefused("its keys could not be fetched") from None
        except jwt.InvalidTokenError as error:
            raise ProviderRefused(f"the ID token is not valid: {type(error).__name__}") from None
        except ValidationError:
            raise ProviderRefused("the ID token lacks something") from None


async def _fetched(method: str, url: str, **sent: Any) -> object:
    """Ask for JSON; raise `ProviderRefused`, without anything that was sent."""
    timeout = aiohttp.ClientTimeout(total=PROVIDER_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as client,
            client.request(method, url, allow_redirects=False, **sent) as answer,
        ):
            return await read_json_answer(answer)
    except NotJson as error:
        raise ProviderRefused(str(error)) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ProviderRefused(type(error).__name__) from None
