"""Webhooks: where they may lead, and how long deliveries are kept."""

from typing import Annotated

from pydantic import Field

from server.core.settings import Settings


class WebhookSettings(Settings):
    """Allowed addresses and retention."""

    webhooks_private: bool = Field(
        default=False, description="Allow webhooks to private addresses, and without TLS."
    )
    webhook_deliveries_kept_s: Annotated[float, Field(ge=3600, le=31_536_000)] = Field(
        default=604_800.0, description="How long deliveries of webhooks are listed."
    )
