"""What is done about subscriptions: following Stripe's events, and checks in between."""

import asyncio
import logging
import re
from datetime import timedelta
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, Field, ValidationError

from persistence.subscriptions.store import AppliedFetch, FetchedSubscription, SubscriptionStore
from protocol.errors import BadFrame, BadToken, InvalidField, Overloaded
from protocol.ids import UUID_PATTERN, UserId
from protocol.subscriptions import (
    AlreadySubscribed,
    GuestCannotSubscribe,
    NoSubscription,
    PaidTier,
    StripeFailed,
)
from server.core.clock import Clock
from server.core.containment import contain_failures
from server.core.events import LocalEventBus, ProfileChanged
from server.core.periodic import AWAY, repeat_every
from server.domains.social.subscriptions.payments import CustomerMissing, PaymentProvider
from server.domains.social.subscriptions.rules import FREE, find_entitlement
from server.domains.social.subscriptions.settings import SubscriptionsSettings

log = logging.getLogger(__name__)

FETCHES_MAX: Final = 16  # at once on this node; Stripe repeats what is refused
CHECK_EVERY_S: Final = 60.0
CHECKED_AT_ONCE: Final = 20
AGAIN_S: Final = 900.0
CHECKOUT_SAME_S: Final = 600  # two clicks within this time lead to one page
SUBSCRIBED: Final = frozenset(["active", "trialing", "past_due"])
_FOLLOWED: Final = re.compile(
    r"customer\.(subscription\..+|deleted)"
    r"|checkout\.session\.(completed|async_payment_(succeeded|failed))"
    r"|invoice\.(paid|payment_failed|payment_action_required|voided|marked_uncollectible)"
)

EventResult = Literal["applied", "unchanged", "duplicate", "ignored", "unknown_customer"]


class _Data(BaseModel):
    object: dict[str, Any]


class _Event(BaseModel):
    """What is read of an event: that something of a customer changed, and no more."""

    id: str = Field(pattern=r"^evt_\w{1,200}$")
    type: str = Field(min_length=1, max_length=255)
    data: _Data

    @property
    def customer_id(self) -> str | None:
        """The customer that it is about."""
        thing = self.data.object
        found = thing.get("id") if thing.get("object") == "customer" else thing.get("customer")
        if isinstance(found, dict):  # an event may have the whole object in its place
            found = found.get("id")
        return found if isinstance(found, str) and re.fullmatch(r"\w{1,255}", found) else None


class SubscriptionService:
    """Follows subscriptions; `server` is where Stripe's pages lead back to."""

    def __init__(
        self,
        store: SubscriptionStore,
        api: PaymentProvider,
        settings: SubscriptionsSettings,
        clock: Clock,
        events: LocalEventBus,
    ) -> None:
        self._store = store
        self._api = api
        self._settings = settings
        self._tiers = settings.tiers
        self._clock = clock
        self._events = events
        self._fetches = asyncio.Semaphore(FETCHES_MAX)
        self.received = dict.fromkeys(
            ("applied", "unchanged", "duplicate", "ignored", "unknown_customer", "failed"), 0
        )

    # ------------------------------------------------------------------ events

    async def take_event(self, body: bytes, signature: str | None) -> EventResult:
        """Follow an event; raise `BadSignature`, `BadFrame`, `StripeFailed` or `Overloaded`."""
        self._api.require_signature(body, signature)
        try:
            event = _Event.model_validate(orjson.loads(body))
        except (ValidationError, ValueError):
            raise BadFrame("This is no event of Stripe's API.") from None
        try:
            result = await self._follow(event)
        except BaseException:
            self.received["failed"] += 1
            raise
        self.received[result] += 1
        return result

    async def _follow(self, event: _Event) -> EventResult:
        if not await self._store.begin_event(event.id, event.type):
            return "duplicate"
        customer_id = event.customer_id
        if customer_id is None or not _FOLLOWED.fullmatch(event.type):
            await self._store.finish_event(event.id)
            return "ignored"
        if event.type == "customer.deleted":
            return await self._follow_deletion(customer_id, event.id)
        return await self._fetch(customer_id, event_id=event.id)

    async def _follow_deletion(self, customer_id: str, event_id: str) -> EventResult:
        fetch = await self._store.next_fetch()
        try:
            is_deleted = await self._api.is_customer_deleted(customer_id)
        except CustomerMissing:
            is_deleted = True
        if not is_deleted:
            await self._store.finish_event(event_id)
            return "ignored"
        status = FetchedSubscription(FREE, "canceled")
        return self._announce(
            await self._store.apply(
                customer_id, status, fetch=fetch, event_id=event_id, is_deleted=True
            )
        )

    async def _fetch(self, customer_id: str, *, event_id: str | None = None) -> EventResult:
        """Fetch what a customer has now, and store it."""
        if self._fetches.locked():
            raise Overloaded
        async with self._fetches:
            fetch = await self._store.next_fetch()
            try:
                subscriptions = await self._api.list_subscriptions(customer_id)
            except CustomerMissing:
                # Stripe knows whom it deleted, too. So the event waits until the key is put right.
                log.error("PLAYHALL_STRIPE_KEY is of another account or mode than the events")  # noqa: TRY400
                raise StripeFailed from None
            found = find_entitlement(
                subscriptions,
                self._tiers,
                now=self._clock.now(),
                grace=timedelta(seconds=self._settings.grace_s),
            )
            owners = {
                each.owner
                for each in subscriptions
                if each.owner is not None and re.fullmatch(UUID_PATTERN, each.owner)
            }
            owner = UserId(owners.pop()) if len(owners) == 1 else None
            return self._announce(
                await self._store.apply(
                    customer_id, found, fetch=fetch, event_id=event_id, owner=owner
                )
            )

    def _announce(self, applied: AppliedFetch) -> EventResult:
        """Have other domains forget what they keep of somebody whose tier has changed."""
        if applied.changed is not None:
            self._events.publish(ProfileChanged(applied.changed))
        return applied.result

    # ------------------------------------------------------------------ pages of Stripe's

    async def open_checkout(self, user_id: UserId, tier: PaidTier, *, back: str) -> str:
        """Make a page where somebody subscribes.

        Raises `AlreadySubscribed`, `GuestCannotSubscribe`, `InvalidField` or `StripeFailed`.
        """
        price = next((price for price, its in self._tiers.items() if its == tier), None)
        if price is None:
            raise InvalidField(f"tier: this server does not sell {tier}.", field="tier")
        known = await self._store.find_customer(user_id)
        if known is None:
            raise BadToken("This account no longer exists.")
        if known.is_guest:
            raise GuestCannotSubscribe
        if known.status in SUBSCRIBED:
            raise AlreadySubscribed
        customer_id = known.customer_id
        if customer_id is None:
            once = f"playhall-customer-{user_id}-{known.fetch}"
            created = await self._api.create_customer(user_id, once=once)
            customer_id = await self._store.set_customer(user_id, created)
            if customer_id is None:
                raise BadToken("This account no longer exists.")
        window = int(self._clock.now().timestamp()) // CHECKOUT_SAME_S
        once = f"playhall-checkout-{customer_id}-{price}-{known.fetch}-{window}"
        try:
            return await self._api.create_checkout(
                user_id, customer_id, price, back=self._settings.return_url or back, once=once
            )
        except CustomerMissing:
            log.warning("Stripe has no customer of an account, or not for this key")
            raise StripeFailed from None

    async def open_portal(self, user_id: UserId, *, back: str) -> str:
        """Make a page where somebody manages it; raise `NoSubscription` or `StripeFailed`."""
        known = await self._store.find_customer(user_id)
        if known is None or known.customer_id is None:
            raise NoSubscription
        try:
            return await self._api.create_portal(
                known.customer_id, back=self._settings.return_url or back
            )
        except CustomerMissing:
            raise NoSubscription from None

    # ------------------------------------------------------------------ without events

    async def run(self) -> None:
        """Ask Stripe where a period or a grace is over, and delete customers, until cancelled."""
        await repeat_every(CHECK_EVERY_S, self.check, "checking subscriptions")

    async def check(self) -> None:
        """Do it once; one customer that fails keeps no other from it."""
        for customer_id in await self._store.claim_checks(limit=CHECKED_AT_ONCE, again_s=AGAIN_S):
            with contain_failures("checking a subscription", passed=AWAY):
                await self._check_one(customer_id)
        for customer_id in await self._store.claim_deletions(
            limit=CHECKED_AT_ONCE, again_s=AGAIN_S
        ):
            with contain_failures("deleting a customer of Stripe", passed=AWAY):
                await self._delete_one(customer_id)

    async def _check_one(self, customer_id: str) -> None:
        try:
            await self._fetch(customer_id)
        except StripeFailed:
            return  # it was logged; the customer is taken again later

    async def _delete_one(self, customer_id: str) -> None:
        try:
            await self._api.delete_customer(customer_id)
        except StripeFailed:
            return
        except CustomerMissing:
            log.warning("Stripe has no customer that was to be deleted")
        await self._store.finish_deletion(customer_id)
