"""The settings of subscriptions."""

from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from protocol.subscriptions import PaidTier
from server.core.settings import Settings, split_names

_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class SubscriptionsSettings(Settings):
    """`PLAYHALL_STRIPE_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_STRIPE_")

    key: SecretStr | None = Field(
        default=None, description="Secret or restricted key of Stripe; none sells no subscriptions."
    )
    webhook_secrets: SecretStr | None = Field(
        default=None, description="What Stripe signs events with (whsec_…); comma separated."
    )
    prices_creator: str = Field(
        default="", description="Ids of prices; the first is sold, all count; comma separated."
    )
    prices_realm_builder: str = Field(default="", description="The same for realm builders.")
    return_url: str = Field(
        default="", description="Where Stripe's pages lead back to; empty: this server."
    )
    grace_s: float = Field(
        default=7 * 86_400.0, ge=0, le=90 * 86_400, description="Kept after a failed payment."
    )
    timeout_s: float = Field(default=15.0, gt=0, le=60, description="Of one request to Stripe.")
    url: str = "https://api.stripe.com"

    @field_validator("url", "return_url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        parts = urlsplit(url)
        is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if url and not (is_local or (parts.scheme == "https" and parts.hostname)):
            raise ValueError("Begin the address with https://; http:// only for this machine")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _is_complete(self) -> "SubscriptionsSettings":
        if self.key is None:
            return self
        if not self.secrets:
            raise ValueError("PLAYHALL_STRIPE_KEY needs PLAYHALL_STRIPE_WEBHOOK_SECRETS")
        if not self.tiers:
            raise ValueError(
                "PLAYHALL_STRIPE_KEY needs PLAYHALL_STRIPE_PRICES_CREATOR or "
                "PLAYHALL_STRIPE_PRICES_REALM_BUILDER"
            )
        if set(split_names(self.prices_creator)) & set(split_names(self.prices_realm_builder)):
            raise ValueError("PLAYHALL_STRIPE_PRICES_…: a price is of one tier")
        return self

    @property
    def secrets(self) -> list[str]:
        """What events may be signed with."""
        secrets = self.webhook_secrets
        return [] if secrets is None else list(split_names(secrets.get_secret_value()))

    @property
    def tiers(self) -> dict[str, PaidTier]:
        """The tier of each price; what is sold of a tier comes first."""
        creator: dict[str, PaidTier] = dict.fromkeys(split_names(self.prices_creator), "creator")
        return creator | dict.fromkeys(split_names(self.prices_realm_builder), "realm_builder")
