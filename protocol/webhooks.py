"""HTTP bodies of webhooks: where events are sent to, and how each delivery went."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import WireModel
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN
from protocol.text import ONE_LINE

URL_CHARS_MAX: Final = 2000
DESCRIPTION_CHARS_MAX: Final = 200

# The durable events that webhooks may have (`protocol/domain_events.py`).
WebhookEvent = Literal[
    "game.completed",
    "lobby.closed",
    "epoch.settled",
    "creation.published",
    "user.created",
    "user.merged",
    "user.merge_undone",
    "user.erased",
]
DeliveryState = Literal["pending", "delivered", "dead"]

Url = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=URL_CHARS_MAX), ONE_LINE
]
Events = Annotated[list[WebhookEvent], Field(min_length=1, max_length=8)]
Description = Annotated[str, StringConstraints(max_length=DESCRIPTION_CHARS_MAX), ONE_LINE]
Uuid = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]


class WebhookRequest(WireModel):
    """Send events to a URL."""

    url: Url = Field(description="https, at a public address.")
    events: Events
    description: Description = ""


class WebhookChange(WireModel):
    """Change a webhook; what is left out stays."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    enabled: bool | None = Field(
        default=None, description="What waits is sent once it is enabled again."
    )


class Webhook(WireModel):
    """Where events are sent to."""

    endpoint_id: str
    url: str
    description: str
    events: list[str]
    enabled: bool
    disabled_reason: Literal["admin", "failing", "gone"] | None = Field(
        description="`failing`: nothing arrived for days; `gone`: it answered 410."
    )
    failing_since: str | None = Field(description="Since when nothing has arrived, if so.")
    previous_secret_until: str | None = Field(
        description="Until when each delivery is signed with the previous secret too."
    )
    created_at: str


class Webhooks(WireModel):
    """All of them, oldest first."""

    webhooks: list[Webhook]


class WebhookMade(WireModel):
    """A new webhook, with its secret, which is never shown again."""

    webhook: Webhook
    secret: str = Field(description="`whsec_` and 32 bytes in base64 (Standard Webhooks).")


class WebhookSecret(WireModel):
    """A new secret, which is never shown again; the one before is good for a while longer."""

    secret: str
    previous_until: str


class WebhookDeleted(WireModel):
    """The webhook and the list of its deliveries are gone."""

    endpoint_id: str


class WebhookDelivery(WireModel):
    """One event on its way to one webhook."""

    delivery_id: str
    event_id: str = Field(description="The header `webhook-id` of every attempt.")
    event: str
    state: DeliveryState
    attempts: int
    created_at: str
    next_attempt_at: str | None
    last_attempt_at: str | None
    last_status: int | None = Field(description="The HTTP status of the last answer.")
    last_error: str | None
    delivered_at: str | None


class WebhookDeliveriesQuery(WireModel):
    """Which deliveries of a webhook."""

    state: DeliveryState | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class WebhookDeliveries(WireModel):
    """Deliveries, newest first; `next` is the cursor of older ones."""

    deliveries: list[WebhookDelivery]
    next: str | None


class WebhookPath(WireModel):
    """The webhook in an address."""

    endpoint_id: Uuid


class WebhookDeliveryPath(WireModel):
    """The delivery in an address."""

    endpoint_id: Uuid
    delivery_id: Uuid
