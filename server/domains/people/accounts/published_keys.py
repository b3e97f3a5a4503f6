"""The keys with which another service signs its tokens, as it publishes them (RFC 7517)."""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

import aiohttp
import jwt

from server.domains.people.accounts.fetching import NotJson, read_json_answer

log = logging.getLogger(__name__)

FETCH_AGAIN_S: Final = 10.0  # at the earliest, when a token names a key that is not known
KEYS_KEPT_S: Final = 600.0  # then keys are fetched anew, so that a withdrawn one stops working
FETCH_TIMEOUT_S: Final = 5.0
KEYS_MAX: Final = 32


class UnknownKey(Exception):
    """The service has not published such a key."""


class NoKeys(Exception):
    """The keys of the service have not been fetched yet."""


class PublishedKeys:
    """The keys that a service publishes at `url`, those for one of `algorithms`.

    Fetched when a token names one that is not known, and again after a while. Where that fails, the
    keys stay, so that players are not locked out while the service is down. With `is_alg_named`,
    keys that do not name their algorithm are not used; otherwise they are taken for the first of
    `algorithms` that they can be for.
    """

    def __init__(
        self,
        url: str,
        *,
        of: str,
        algorithms: Collection[str],
        is_alg_named: bool,
        now: Callable[[], float],
    ) -> None:
        self.url = url
        self._of = of
        self._algorithms = algorithms
        self._is_alg_named = is_alg_named
        self._now = now
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = -FETCH_AGAIN_S
        self._fetching = asyncio.Lock()

    async def find_key(self, kid: str) -> jwt.PyJWK:
        """Find a key; raise `UnknownKey`, or `NoKeys` if none could be fetched yet.

        An empty `kid` finds the only key of a service that publishes one.
        """
        if self._present(kid) is None or self._should_fetch(kid):
            async with self._fetching:
                if self._should_fetch(kid):  # another token may have fetched them meanwhile
                    await self._fetch()
        if (key := self._present(kid)) is None:
            raise UnknownKey if self._keys else NoKeys
        return key

    def _present(self, kid: str) -> jwt.PyJWK | None:
        if not kid and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    def _should_fetch(self, kid: str) -> bool:
        age_s = self._now() - self._fetched_at
        return age_s >= (FETCH_AGAIN_S if self._present(kid) is None else KEYS_KEPT_S)

    async def _fetch(self) -> None:
        self._fetched_at = self._now()  # first, so that tokens of known keys do not wait
        timeout = aiohttp.ClientTimeout(total=FETCH_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as client,
                client.get(self.url, allow_redirects=False) as answer,
            ):
                published = await read_json_answer(answer)
            self._keys = {key.key_id or "": key for key in self._usable(published)}
        except (aiohttp.ClientError, TimeoutError, NotJson, jwt.PyJWTError) as error:
            log.warning("the keys of %s could not be fetched: %s", self._of, type(error).__name__)

    def _usable(self, published: object) -> list[jwt.PyJWK]:
        """Read the keys for our algorithms; the others are not meant for us."""
        keys = published.get("keys", []) if isinstance(published, dict) else []
        if not isinstance(keys, list):
            raise NotJson("no list of keys")
        usable = []
        for key in keys[:KEYS_MAX]:
            if not isinstance(key, dict) or key.get("use", "sig") != "sig":
                continue
            if "alg" not in key and not self._is_alg_named:
                key = self._named(key)
            if key.get("alg") in self._algorithms:
                usable.append(jwt.PyJWK(key))
        return usable

    def _named(self, key: dict[str, object]) -> dict[str, object]:
        """Name the algorithm of a key that does not say, by its type."""
        types = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
        fitting = (name for name in self._algorithms if types[name[:2]] == key.get("kty"))
        return {**key, "alg": next(fitting, "")}
