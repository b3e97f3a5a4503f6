"""Signing in with Discord (OAuth 2.0 with PKCE): without ID tokens, so it is asked who that is."""

from typing import Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
from pydantic import BaseModel, Field, ValidationError

from server.domains.people.accounts.fetching import NotJson, read_json_answer
from server.domains.people.accounts.providers import (
    PROVIDER_TIMEOUT_S,
    OAuthState,
    ProviderIdentity,
    ProviderRefused,
    compute_challenge,
    display_name_of,
)

DISCORD: Final = "discord"


class DiscordApplication(NamedTuple):
    """What Discord knows this server as, and where Discord is."""

    client_id: str
    client_secret: str
    url: str


class _Token(BaseModel, strict=True):
    access_token: str = Field(max_length=4096)


class _Person(BaseModel, strict=True):
    id: str = Field(pattern=r"^[0-9]{1,20}$")
    username: str = Field(max_length=100)
    global_name: str | None = Field(default=None, max_length=100)


class Discord:
    """Discord as an identity provider."""

    id = DISCORD
    name = "Discord"

    def __init__(self, application: DiscordApplication) -> None:
        self._application = application

    async def authorize_url(self, trip: OAuthState, callback: str) -> str:
        """Give where the browser is sent to."""
        query = {
            "response_type": "code",
            "client_id": self._application.client_id,
            "redirect_uri": callback,
            "scope": "identify",
            "state": trip.state,
            "code_challenge": compute_challenge(trip.verifier),
            "code_challenge_method": "S256",
        }
        return f"{self._application.url}/oauth2/authorize?{urlencode(query)}"

    async def identify(self, trip: OAuthState, callback: str, code: str) -> ProviderIdentity:
        """Trade Discord's code for a token there, and ask who that is; raise `ProviderRefused`."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": callback,
            "client_id": self._application.client_id,
            "client_secret": self._application.client_secret,
            "code_verifier": trip.verifier,
        }
        timeout = aiohttp.ClientTimeout(total=PROVIDER_TIMEOUT_S)
        api = f"{self._application.url}/api"
        try:
            async with aiohttp.ClientSession(timeout=timeout) as web_client:
                async with web_client.post(
                    f"{api}/oauth2/token", data=form, allow_redirects=False
                ) as answer:
                    token = _Token.model_validate(await read_json_answer(answer)).access_token
                headers = {"Authorization": f"Bearer {token}"}
                async with web_client.get(
                    f"{api}/users/@me", headers=headers, allow_redirects=False
                ) as answer:
                    person = _Person.model_validate(await read_json_answer(answer))
        except ValidationError:
            raise ProviderRefused("an unexpected response") from None
        except NotJson as error:
            raise ProviderRefused(str(error)) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProviderRefused(type(error).__name__) from error
        return ProviderIdentity(person.id, display_name_of(person.global_name, person.username))
