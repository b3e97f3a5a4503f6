"""Who a client is: its tokens, and getting new ones in time."""

import asyncio
import time
from typing import Final

from loadtest.line.backoff import full_jitter_s
from loadtest.line.errors import Refused
from loadtest.line.web import Web
from protocol.account import Tokens

# Tokens are renewed when this share of their life is over.
RENEW_AT: Final = 0.7
TRIES_MAX: Final = 20
PAUSE_CAP_S: Final = 5.0


class Account:
    """An account's tokens; an account of a bare access token cannot be renewed."""

    def __init__(self, web: Web, token: str) -> None:
        self.token = token
        self._web = web
        self.refresh_token: str | None = None
        self._renew_at = float("inf")

    @classmethod
    async def guest(cls, web: Web, name: str | None = None) -> "Account":
        """Sign in as a new guest; waits while the server takes no more guests for now."""
        account = cls(web, "")
        body = {} if name is None else {"display_name": name}
        for attempt in range(TRIES_MAX):
            try:
                account._take(await web.post("/v1/auth/guest", body))
            except Refused as refused:
                if not refused.retry or attempt == TRIES_MAX - 1:
                    raise
                await asyncio.sleep(full_jitter_s(attempt + 3, cap_s=PAUSE_CAP_S))
            else:
                break
        return account

    @classmethod
    async def returning(cls, web: Web, refresh_token: str) -> "Account":
        """Sign in again with a refresh token, which is used up by that."""
        account = cls(web, "")
        account.refresh_token = refresh_token
        await account.renew()
        return account

    @property
    def is_due(self) -> bool:
        """Whether it is time for a new access token."""
        return time.monotonic() >= self._renew_at

    async def renew(self) -> None:
        """Get new tokens."""
        body = {"refresh_token": self.refresh_token}
        self._take(await self._web.post("/v1/auth/refresh", body))

    def _take(self, answer: dict[str, object]) -> None:
        tokens = Tokens.model_validate(answer)
        self.token = tokens.access_token
        self.refresh_token = tokens.refresh_token
        self._renew_at = time.monotonic() + tokens.expires_in * RENEW_AT
