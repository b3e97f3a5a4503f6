"""Webhooks in PostgreSQL: where events are sent to, and each event on its way to one of them.

A delivery is claimed for a while, like an event of the outbox (`persistence/event_outbox.py`): no
transaction is open while a request is under way, and what a node that died was sending is due
again when its time is over. Secrets are sealed before they come here.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Literal, NamedTuple

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.sealing import read_key_id

SQL = load_queries("webhooks/store")

# Few enough for each to have some requests under way at once: none waits for a slow one.
ENDPOINTS_MAX: Final = 25
COUNTED_MAX: Final = 10_000
ERROR_CHARS_MAX: Final = 300

DisabledReason = Literal["admin", "failing", "gone"]


class StoredWebhook(NamedTuple):
    """A webhook; its secrets are sealed."""

    endpoint_id: str
    url: str
    description: str
    events: list[str]
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None
    failing_since: datetime | None
    created_at: datetime


class NewWebhook(NamedTuple):
    """A webhook as it is added."""

    endpoint_id: str
    url: str
    description: str
    events: Sequence[str]
    secret: bytes


class WebhookSettings(NamedTuple):
    """What may be changed of a webhook."""

    url: str
    description: str
    events: Sequence[str]
    enabled: bool

    def audit_fields(self) -> dict[str, object]:
        """Give what the audit log keeps; a query may be secret."""
        return {**self._asdict(), "url": self.url.partition("?")[0]}


class ClaimedDelivery(NamedTuple):
    """A delivery that this node may send now; `previous_secret` only while it still signs."""

    seq: int
    endpoint_id: str
    event_id: str
    name: str
    version: int
    payload: bytes
    occurred_at: datetime
    attempts: int
    url: str
    secret: bytes
    previous_secret: bytes | None


class ListedDelivery(NamedTuple):
    """How a delivery stands."""

    seq: int
    delivery_id: str
    event_id: str
    name: str
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    last_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    delivered_at: datetime | None


class QueuedEvent(NamedTuple):
    """An event as it is queued; `payload` is JSON."""

    event_id: str
    name: str
    version: int
    payload: bytes
    occurred_at: datetime


class DeliveryFailure(NamedTuple):
    """Why a delivery did not arrive: a status or an error; `is_gone` if it never will."""

    status: int | None
    error: str
    is_gone: bool = False


class WebhookBacklog(NamedTuple):
    """Deliveries that wait (`COUNTED_MAX` stands for more), webhooks disabled by failures."""

    pending: int = 0
    disabled: int = 0


class NoSuchWebhook(Exception):
    """There is no webhook, or no delivery, of this id."""


class TooManyWebhooks(Exception):
    """There are `ENDPOINTS_MAX` already."""


class WebhookStore:
    """Webhooks and their deliveries. `actor` is the account that changes something, on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------------ webhooks

    async def add(self, new: NewWebhook, *, actor: str) -> StoredWebhook:
        """Add a webhook; raise `TooManyWebhooks`."""
        async with self._database.transaction() as connection:
            if await connection.fetchval(SQL["add_endpoint"], *new, ENDPOINTS_MAX) is None:
                raise TooManyWebhooks
            made = await _lock(connection, new.endpoint_id)
            after = read_settings(made).audit_fields()
            await record_entry(
                connection, actor=actor, action="webhook_add", target=made.endpoint_id, after=after
            )
        return made

    async def list_webhooks(self) -> list[StoredWebhook]:
        """Read all of them, oldest first."""
        async with self._database.acquire() as connection:
            return [StoredWebhook(*row) for row in await connection.fetch(SQL["list_endpoints"])]

    @asynccontextmanager
    async def lock_and_change(
        self, endpoint_id: str, *, actor: str
    ) -> AsyncIterator["WebhookTransaction"]:
        """Change a webhook in a transaction; raise `NoSuchWebhook`."""
        async with self._database.transaction() as connection:
            yield WebhookTransaction(connection, await _lock(connection, endpoint_id), actor)

    async def reseal(
        self, old: StoredWebhook, *, secret: bytes, previous_secret: bytes | None
    ) -> None:
        """Store secrets under another key; nothing happens if they have changed meanwhile."""
        values = (old.secret, old.previous_secret, secret, previous_secret)
        async with self._database.acquire() as connection:
            await connection.execute(SQL["reseal_secret"], old.endpoint_id, *values)

    async def sealed_by(self, key_id: str) -> list[str]:
        """List the webhooks whose secrets a key sealed."""
        return [
            each.endpoint_id
            for each in await self.list_webhooks()
            if read_key_id(each.secret) == key_id
        ]

    async def forget_sealed_by(self, key_id: str, *, actor: str) -> int:
        """Delete the webhooks whose secrets a key sealed, on record; says how many."""
        endpoint_ids = await self.sealed_by(key_id)
        for endpoint_id in endpoint_ids:
            async with self.lock_and_change(endpoint_id, actor=actor) as change:
                await change.delete()
        return len(endpoint_ids)

    # ------------------------------------------------------------------ deliveries

    async def queue_events(self, events: Sequence[QueuedEvent]) -> None:
        """Queue events for every webhook that wants them, once however often they come."""
        columns = zip(*events, strict=True)
        async with self._database.acquire() as connection:
            await connection.execute(SQL["queue_deliveries"], *columns)

    async def claim_due(
        self, *, busy: Collection[str], limit_each: int, limit: int, lease_s: float
    ) -> list[ClaimedDelivery]:
        """Take some deliveries that are due, of webhooks that are not `busy`, for so long."""
        values = (list(busy), limit_each, limit, lease_s)
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["claim_deliveries"], *values)
        return sorted(ClaimedDelivery(*row) for row in rows)

    async def record_delivered(self, delivery: ClaimedDelivery, status: int) -> None:
        """Note that a delivery arrived."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["delivered"], delivery.seq, delivery.attempts, status)

    async def record_failure(
        self,
        delivery: ClaimedDelivery,
        failure: DeliveryFailure,
        *,
        pause_s: float,
        is_dead: bool,
        failing_s_max: float,
    ) -> DisabledReason | None:
        """Note that a delivery did not arrive; says why its webhook was disabled, if it was."""
        async with self._database.acquire() as connection:
            reason: DisabledReason | None = await connection.fetchval(
                SQL["not_delivered"],
                delivery.seq,
                delivery.attempts,
                failure.status,
                failure.error[:ERROR_CHARS_MAX],
                pause_s,
                is_dead,
                failure.is_gone,
                failing_s_max,
            )
        return reason

    async def list_deliveries(
        self, endpoint_id: str, *, below: int, state: str | None, limit: int
    ) -> list[ListedDelivery]:
        """Read a webhook's deliveries, newest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_deliveries"], endpoint_id, below, state, limit)
        return [ListedDelivery(*row) for row in rows]

    async def delete_old_deliveries(self, kept_s: float, *, limit: int) -> int:
        """Delete some old deliveries that are not tried any more; says how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["clear_deliveries"], kept_s, limit))

    async def count_backlog(self) -> WebhookBacklog:
        """Count what waits."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["webhook_backlog"], COUNTED_MAX)
        assert row is not None
        return WebhookBacklog(*row)


class WebhookTransaction:
    """A webhook, held until the transaction ends. Every change is on record."""

    def __init__(self, connection: Connection, webhook: StoredWebhook, actor: str) -> None:
        self._connection = connection
        self._actor = actor
        self.webhook = webhook

    async def update_settings(self, settings: WebhookSettings) -> StoredWebhook:
        """Write what may change."""
        before, endpoint_id = read_settings(self.webhook), self.webhook.endpoint_id
        await self._connection.execute(SQL["change_endpoint"], endpoint_id, *settings)
        await self._record("change", before=before.audit_fields(), after=settings.audit_fields())
        return await _lock(self._connection, endpoint_id)

    async def delete(self) -> None:
        """Delete it with its deliveries."""
        await self._connection.execute(SQL["delete_endpoint"], self.webhook.endpoint_id)
        await self._record("delete", before=read_settings(self.webhook).audit_fields())

    async def rotate_secret(self, sealed: bytes, *, overlap_s: float) -> datetime:
        """Sign with a new secret; says until when the one before signs too."""
        values = (self.webhook.endpoint_id, sealed, overlap_s)
        until: datetime = await self._connection.fetchval(SQL["rotate_secret"], *values)
        await self._record("rotate_secret")
        return until

    async def queue_test(self, event_id: str, name: str, payload: bytes) -> ListedDelivery:
        """Queue a test event for it."""
        values = (self.webhook.endpoint_id, event_id, name, payload)
        delivery_id = await self._connection.fetchval(SQL["queue_test"], *values)
        await self._record("test")
        return await self._delivery(delivery_id)

    async def redeliver(self, delivery_id: str) -> ListedDelivery:
        """Send a delivery again; raise `NoSuchWebhook`."""
        values = (self.webhook.endpoint_id, delivery_id)
        event_id = await self._connection.fetchval(SQL["redeliver"], *values)
        if event_id is None:
            raise NoSuchWebhook(delivery_id)
        await self._record("redeliver", after={"delivery_id": delivery_id, "event_id": event_id})
        return await self._delivery(delivery_id)

    async def _delivery(self, delivery_id: str) -> ListedDelivery:
        values = (self.webhook.endpoint_id, delivery_id)
        row = await self._connection.fetchrow(SQL["find_delivery"], *values)
        assert row is not None
        return ListedDelivery(*row)

    async def _record(
        self,
        act: str,
        *,
        before: dict[str, object] | None = None,
        after: dict[str, object] | None = None,
    ) -> None:
        await record_entry(
            self._connection,
            actor=self._actor,
            action=f"webhook_{act}",
            target=self.webhook.endpoint_id,
            before=before,
            after=after,
        )


def read_settings(webhook: StoredWebhook) -> WebhookSettings:
    """Give what may be changed of a webhook."""
    is_enabled = webhook.disabled_at is None
    return WebhookSettings(webhook.url, webhook.description, webhook.events, is_enabled)


async def _lock(connection: Connection, endpoint_id: str) -> StoredWebhook:
    row = await connection.fetchrow(SQL["lock_endpoint"], endpoint_id)
    if row is None:
        raise NoSuchWebhook(endpoint_id)
    return StoredWebhook(*row)
