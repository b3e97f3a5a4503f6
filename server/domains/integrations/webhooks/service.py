"""Webhooks as admins see them: made, changed, given new secrets, tested and sent again."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

import orjson

from persistence.sealing import Seal, SealedSample, require_opens
from persistence.webhooks.store import (
    ENDPOINTS_MAX,
    DeliveryFailure,
    ListedDelivery,
    NewWebhook,
    NoSuchWebhook,
    StoredWebhook,
    TooManyWebhooks,
    WebhookSettings,
    WebhookStore,
    WebhookTransaction,
    read_settings,
)
from protocol.errors import InvalidField, NotFound
from protocol.ids import new_id
from protocol.webhooks import WebhookChange, WebhookRequest
from server.core.clock import Clock
from server.domains.integrations.webhooks.rules import (
    SECRET_BYTES,
    format_secret,
    require_url,
    signed_headers,
)
from server.domains.integrations.webhooks.sender import WebhookSender

TEST_EVENT: Final = "webhook.test"
# For so long a delivery is signed with the secret before as well, so that receivers can change.
OVERLAP_S: Final = 86_400.0


def secret_context(endpoint_id: str) -> str:
    """Name a sealed secret: it opens in its own row only."""
    return f"secret of webhook {endpoint_id}"


class WebhookService:
    """What admins do with webhooks; `actor` is who does it."""

    def __init__(self, *, store: WebhookStore, seal: Seal, may_be_private: bool) -> None:
        self._store = store
        self._seal = seal
        self._may_be_private = may_be_private

    async def add(self, asked: WebhookRequest, *, actor: str) -> tuple[StoredWebhook, str]:
        """Make a webhook; gives it with its secret."""
        url = require_url(asked.url, may_be_private=self._may_be_private)
        endpoint_id, key = new_id(), secrets.token_bytes(SECRET_BYTES)
        sealed, events = self._sealed(endpoint_id, key), list(dict.fromkeys(asked.events))
        new = NewWebhook(endpoint_id, url, asked.description, events, sealed)
        try:
            return await self._store.add(new, actor=actor), format_secret(key)
        except TooManyWebhooks:
            raise InvalidField(
                f"There are {ENDPOINTS_MAX} webhooks already; delete one first."
            ) from None

    async def list_all(self) -> list[StoredWebhook]:
        """Read all of them."""
        return await self._store.list_webhooks()

    async def change(self, endpoint_id: str, asked: WebhookChange, *, actor: str) -> StoredWebhook:
        """Change what was asked for; raise `NotFound`."""
        if asked.url is not None:
            require_url(asked.url, may_be_private=self._may_be_private)
        async with self._changing(endpoint_id, actor) as transaction:
            now = read_settings(transaction.webhook)
            return await transaction.update_settings(
                WebhookSettings(
                    url=asked.url or now.url,
                    description=(
                        now.description if asked.description is None else asked.description
                    ),
                    events=list(dict.fromkeys(asked.events or now.events)),
                    enabled=now.enabled if asked.enabled is None else asked.enabled,
                )
            )

    async def delete(self, endpoint_id: str, *, actor: str) -> None:
        """Delete a webhook; raise `NotFound`."""
        async with self._changing(endpoint_id, actor) as transaction:
            await transaction.delete()

    async def rotate_secret(self, endpoint_id: str, *, actor: str) -> tuple[str, datetime]:
        """Make a new secret; gives it, and until when the one before signs too."""
        key = secrets.token_bytes(SECRET_BYTES)
        async with self._changing(endpoint_id, actor) as transaction:
            until = await transaction.rotate_secret(
                self._sealed(endpoint_id, key), overlap_s=OVERLAP_S
            )
        return format_secret(key), until

    async def test(self, endpoint_id: str, *, actor: str) -> ListedDelivery:
        """Queue a test event; raise `NotFound`."""
        payload = orjson.dumps({"endpoint_id": endpoint_id})
        async with self._changing(endpoint_id, actor) as transaction:
            return await transaction.queue_test(new_id(), TEST_EVENT, payload)

    async def redeliver(self, endpoint_id: str, delivery_id: str, *, actor: str) -> ListedDelivery:
        """Send a delivery again; raise `NotFound`."""
        async with self._changing(endpoint_id, actor) as transaction:
            return await transaction.redeliver(delivery_id)

    async def deliveries(
        self, endpoint_id: str, *, below: int, state: str | None, limit: int
    ) -> list[ListedDelivery]:
        """Read the deliveries of a webhook, newest first; none of one that does not exist."""
        return await self._store.list_deliveries(endpoint_id, below=below, state=state, limit=limit)

    @asynccontextmanager
    async def _changing(self, endpoint_id: str, actor: str) -> AsyncIterator[WebhookTransaction]:
        try:
            async with self._store.lock_and_change(endpoint_id, actor=actor) as transaction:
                yield transaction
        except NoSuchWebhook:
            raise NotFound("There is no webhook, or no delivery, of this id.") from None

    def _sealed(self, endpoint_id: str, key: bytes) -> bytes:
        return self._seal.seal(key, about=secret_context(endpoint_id))


class WebhookRequests:
    """Sends requests for other domains, with the signatures and the bounds of webhooks."""

    def __init__(self, *, clock: Clock, may_be_private: bool) -> None:
        self._clock = clock
        self._may_be_private = may_be_private

    def require_url(self, url: str) -> None:
        """Raise `InvalidField` for a URL that webhooks may not have."""
        require_url(url, may_be_private=self._may_be_private)

    async def post(
        self, url: str, body: bytes, *, message_id: str, keys: Sequence[bytes]
    ) -> str | None:
        """Send a body; says why it was not accepted, None if it was."""
        headers = signed_headers(
            body, event_id=message_id, timestamp_s=self._clock.now_ms() // 1000, keys=keys
        )
        async with WebhookSender.opened(may_be_private=self._may_be_private) as sender:
            outcome = await sender.send(url, body, headers)
        return outcome.error if isinstance(outcome, DeliveryFailure) else None


async def require_secrets(store: WebhookStore, seal: Seal) -> None:
    """Raise `StartRefused` if the keys at hand do not open what webhooks are signed with."""
    samples = [
        SealedSample(each.secret, secret_context(each.endpoint_id))
        for each in await store.list_webhooks()
    ]
    require_opens(seal, samples, what="the secrets of webhooks")


async def reseal_secrets(store: WebhookStore, seal: Seal) -> int:
    """Seal with the newest key what older ones sealed; says how many webhooks that concerned.

    Raises `Unsealable` where a key is missing.
    """
    count = 0
    for webhook in await store.list_webhooks():
        kept = [webhook.secret, webhook.previous_secret]
        if all(sealed is None or seal.is_newest(sealed) for sealed in kept):
            continue
        about = secret_context(webhook.endpoint_id)
        secret, previous = (
            None if sealed is None else seal.seal(seal.open(sealed, about=about), about=about)
            for sealed in kept
        )
        assert secret is not None
        await store.reseal(webhook, secret=secret, previous_secret=previous)
        count += 1
    return count
