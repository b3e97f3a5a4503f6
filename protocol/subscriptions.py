"""Subscriptions on the wire: what a person has, and where they pay and manage it."""

from typing import Literal

from pydantic import Field

from protocol.accounts import Tier
from protocol.envelope import WireModel
from protocol.errors import PlayhallError

PaidTier = Literal["creator", "realm_builder"]


class BadSignature(PlayhallError):
    """The event is not signed by Stripe for this server, or was signed too long ago."""

    code, status = "bad_signature", 400


class StripeFailed(PlayhallError):
    """Stripe did not answer, or refused; try again later."""

    code, status, retry = "stripe_failed", 503, True
    retry_pause_s = 30.0


class AlreadySubscribed(PlayhallError):
    """You have a subscription; change or cancel it at the address of /v1/subscription/portal."""

    code, status = "already_subscribed", 409


class NoSubscription(PlayhallError):
    """You never had a subscription here; begin one with /v1/subscription/checkout."""

    code, status = "no_subscription", 404


class GuestCannotSubscribe(PlayhallError):
    """Link a sign-in method first: a guest who loses their device would lose the subscription."""

    code, status = "guest_cannot_subscribe", 403


class SubscriptionState(WireModel):
    """Your subscription, as Stripe reported it last."""

    tier: Tier
    status: Literal["active", "trialing", "past_due", "canceled", "paused"] | None = Field(
        description="Null without a subscription."
    )
    period_end: str | None = Field(description="Until when it is paid.")
    cancels: bool = Field(description="Whether it ends with the period.")
    offers: list[PaidTier] = Field(description="The tiers that this server sells.")


class CheckoutRequest(WireModel):
    """Which tier to subscribe to."""

    tier: PaidTier


class StripePage(WireModel):
    """A page of Stripe's to open in a browser; the address works for one person and some time."""

    url: str


class StripeEventResult(WireModel):
    """What came of an event of Stripe's."""

    result: Literal["applied", "unchanged", "duplicate", "ignored", "unknown_customer"]
