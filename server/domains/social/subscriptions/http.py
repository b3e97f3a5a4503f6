"""`/v1/subscription` and the address that Stripe sends its events to."""

from collections.abc import Callable
from functools import partial
from typing import Final

from persistence.subscriptions.store import SubscriptionStore
from protocol import subscriptions as wire
from protocol.errors import BadFrame, BadToken, InvalidField, NotSetUp, Overloaded, RateLimited
from server.core.clock import Clock, wire_fields
from server.core.rate_limits import Rate, RateLimiter
from server.domains.social.subscriptions.service import SubscriptionService
from server.domains.social.subscriptions.settings import SubscriptionsSettings
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "subscriptions"
PAGES: Final = Rate(per_minute=10, burst=10)  # of one account; each asks Stripe


class SubscriptionRoutes:
    """The addresses of subscriptions; `service` is None where none are sold."""

    def __init__(
        self,
        store: SubscriptionStore,
        service: SubscriptionService | None,
        settings: SubscriptionsSettings,
        clock: Clock,
        server: Callable[[], str],
    ) -> None:
        self._store = store
        self._service_if_any = service
        self._settings = settings
        self._server = server
        self._admit = AccountLimit(
            RateLimiter("subscription-pages", PAGES, "You are asking too often"), clock
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        page = partial(
            Endpoint, "POST", auth="required", answer=wire.StripePage, admit=self._admit, tag=TAG
        )
        return [
            Endpoint(
                "GET",
                "/v1/subscription",
                "Read your subscription, and what can be subscribed to.",
                self._read,
                auth="required",
                answer=wire.SubscriptionState,
                tag=TAG,
            ),
            page(
                "/v1/subscription/checkout",
                "Get the address of a page where you subscribe.",
                self._checkout,
                body=wire.CheckoutRequest,
                errors=(
                    wire.AlreadySubscribed,
                    wire.GuestCannotSubscribe,
                    wire.StripeFailed,
                    NotSetUp,
                    InvalidField,
                    RateLimited,
                ),
            ),
            page(
                "/v1/subscription/portal",
                "Get the address of a page where you change or cancel your subscription.",
                self._portal,
                errors=(wire.NoSubscription, wire.StripeFailed, NotSetUp, RateLimited),
            ),
            Endpoint(
                "POST",
                "/v1/stripe/events",
                "Take a signed event of Stripe.",
                self._take_event,
                auth="none",
                body=bytes,
                headers={"Stripe-Signature": "What Stripe signed the body with, and when."},
                answer=wire.StripeEventResult,
                errors=(wire.BadSignature, BadFrame, wire.StripeFailed, NotSetUp, Overloaded),
                tag=TAG,
            ),
        ]

    @property
    def _service(self) -> SubscriptionService:
        if self._service_if_any is None:
            raise NotSetUp(
                "This server sells no subscriptions; its operator sets PLAYHALL_STRIPE_KEY."
            )
        return self._service_if_any

    async def _read(self, request: HttpRequest) -> wire.SubscriptionState:
        own = await self._store.read_own(request.who.requester)
        if own is None:
            raise BadToken("This account no longer exists.")
        is_sold = self._service_if_any is not None
        offers = sorted(set(self._settings.tiers.values())) if is_sold else []
        return wire.SubscriptionState(**wire_fields(own), offers=offers)

    async def _checkout(self, request: HttpRequest) -> wire.StripePage:
        tier = request.body.tier
        url = await self._service.open_checkout(request.who.user_id, tier, back=self._server())
        return wire.StripePage(url=url)

    async def _portal(self, request: HttpRequest) -> wire.StripePage:
        url = await self._service.open_portal(request.who.user_id, back=self._server())
        return wire.StripePage(url=url)

    async def _take_event(self, request: HttpRequest) -> wire.StripeEventResult:
        signature = request.headers.get("Stripe-Signature")
        result = await self._service.take_event(request.body, signature)
        return wire.StripeEventResult(result=result)
