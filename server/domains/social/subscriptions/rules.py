"""What a person is entitled to by their subscriptions, and when to ask about them again. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from persistence.subscriptions.store import FetchedSubscription

FREE: Final = "explorer"
_RANKS: Final = {FREE: 0, "creator": 1, "realm_builder": 2}
# What Stripe calls a subscription, and what profiles have of it. One whose first payment is missing
# has not begun, and says nothing.
_STATUSES: Final = {
    "active": "active",
    "trialing": "trialing",
    "past_due": "past_due",
    "unpaid": "past_due",
    "canceled": "canceled",
    "paused": "paused",
}
# Stripe renews up to an hour after the end of a period, and reports it; if no report comes, ask.
RENEWAL_LEEWAY: Final = timedelta(hours=2)
ASKED_AGAIN_AFTER: Final = timedelta(hours=1)


class StripeSubscription(NamedTuple):
    """A subscription as Stripe has it now; the period is that of its items."""

    subscription_id: str
    status: str
    prices: tuple[str, ...]
    period_start: datetime | None
    period_end: datetime | None
    cancels: bool
    owner: str | None = None


def find_entitlement(
    subscriptions: Sequence[StripeSubscription],
    tiers: Mapping[str, str],
    *,
    now: datetime,
    grace: timedelta,
) -> FetchedSubscription:
    """Choose the best of a customer's subscriptions, of those that have a price of ours.

    The best is that of the highest tier; among those without one, the one that ends last.
    """
    ours = [
        entitlement
        for each in subscriptions
        if (entitlement := _entitle(each, tiers, now=now, grace=grace)) is not None
    ]
    if not ours:
        return FetchedSubscription(FREE)
    lowest = datetime.min.replace(tzinfo=now.tzinfo)
    return max(ours, key=lambda each: (_RANKS[each.tier], each.period_end or lowest))


def _entitle(
    subscription: StripeSubscription, tiers: Mapping[str, str], *, now: datetime, grace: timedelta
) -> FetchedSubscription | None:
    bought = [tiers[price] for price in subscription.prices if price in tiers]
    status = _STATUSES.get(subscription.status)
    if not bought or status is None:
        return None
    tier, check_at = FREE, None
    if subscription.status in ("active", "trialing"):
        tier = max(bought, key=_RANKS.__getitem__)
        ends = subscription.period_end or now
        due = ends if subscription.cancels else ends + RENEWAL_LEEWAY
        check_at = max(due, now + ASKED_AGAIN_AFTER) if due <= now else due
    elif subscription.status == "past_due":
        # The period that has begun is the one that is not paid.
        ends = (subscription.period_start or now) + grace
        if ends > now:
            tier, check_at = max(bought, key=_RANKS.__getitem__), ends
    return FetchedSubscription(
        tier=tier,
        status=status,
        subscription_id=subscription.subscription_id,
        period_end=subscription.period_end,
        cancels=subscription.cancels,
        check_at=check_at,
    )
