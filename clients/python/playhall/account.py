"""An account's tokens, and getting new ones in time."""

import asyncio
import time
from typing import Final

from playhall.errors import Json, RequestRefused
from playhall.http import HttpClient, full_jitter_pause_s

# Tokens are renewed when this share of their life is over.
RENEW_AT_SHARE: Final = 0.7
TRIES_MAX: Final = 20
PAUSE_CAP_S: Final = 5.0


class Account:
    """An account's tokens; one that has only an access token cannot be renewed."""

    def __init__(self, http: HttpClient, token: str) -> None:
        self.token = token
        self.refresh_token: str | None = None
        self._http = http
        self._renew_at = float("inf")

    @classmethod
    async def sign_in_as_guest(cls, http: HttpClient, name: str | None = None) -> "Account":
        """Sign in as a new guest; waits while the server takes no more guests for now."""
        account = cls(http, "")
        body = {} if name is None else {"display_name": name}
        for attempt in range(TRIES_MAX):
            try:
                account._take(await http.post("/v1/auth/guest", body))
            except RequestRefused as refused:
                if not refused.retry or attempt == TRIES_MAX - 1:
                    raise
                await asyncio.sleep(full_jitter_pause_s(attempt + 3, cap_s=PAUSE_CAP_S))
            else:
                break
        return account

    @classmethod
    async def sign_in_again(cls, http: HttpClient, refresh_token: str) -> "Account":
        """Sign in again with a refresh token, which is used up by that."""
        account = cls(http, "")
        account.refresh_token = refresh_token
        await account.renew()
        return account

    @property
    def needs_renewal(self) -> bool:
        """Whether it is time for a new access token."""
        return time.monotonic() >= self._renew_at

    async def renew(self) -> None:
        """Get new tokens."""
        body = {"refresh_token": self.refresh_token}
        self._take(await self._http.post("/v1/auth/refresh", body))

    def _take(self, tokens: Json) -> None:
        self.token = str(tokens["access_token"])
        self.refresh_token = str(tokens["refresh_token"])
        self._renew_at = time.monotonic() + float(tokens["expires_in"]) * RENEW_AT_SHARE
