"""Stripe, by its own library; the extra `stripe` brings it.

Its client asks over the connections of aiohttp, which the server has anyway. An attempt is repeated
once, and all of it is bounded in time. Nothing of an answer is logged but the kind of the failure:
messages may have parts of keys and ids of customers.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
import stripe

from protocol.subscriptions import BadSignature, StripeFailed
from server.domains.social.subscriptions.payments import CustomerMissing
from server.domains.social.subscriptions.rules import StripeSubscription
from server.domains.social.subscriptions.settings import SubscriptionsSettings

log = logging.getLogger(__name__)
logging.getLogger("stripe").setLevel(logging.WARNING)  # it writes the address of each request

# The version whose fields are read here, whatever the account at Stripe is set to.
API_VERSION: Final = "2026-10-28.endive"
RETRIES: Final = 1
CONNECT_TIMEOUT_S: Final = 5.0
CONNECTIONS_MAX: Final = 16
SIGNED_WITHIN_S: Final = 300
LISTED_MAX: Final = 100  # of a customer's subscriptions, newest first


class StripeApi:
    """What is asked of Stripe. Its key goes into one header and nowhere else."""

    def __init__(self, settings: SubscriptionsSettings) -> None:
        self._settings = settings
        self._client: Any = None

    def require_signature(self, body: bytes, header: str | None) -> None:
        """Raise `BadSignature` unless a body is signed with one of the secrets, and lately."""
        for secret in self._settings.secrets:
            try:
                stripe.WebhookSignature.verify_header(body, header, secret, SIGNED_WITHIN_S)
            except stripe.SignatureVerificationError as error:
                if "tolerance" in str(error):
                    raise BadSignature("The event was signed too long ago.") from None
            except (TypeError, ValueError):  # neither the header nor the body need be text
                continue
            else:
                return
        raise BadSignature

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hold the connections for as long as the block lasts."""
        assert self._settings.key is not None
        timeout = aiohttp.ClientTimeout(
            total=self._settings.timeout_s, sock_connect=CONNECT_TIMEOUT_S
        )
        stripe.enable_telemetry = False
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            self._client = stripe.StripeClient(
                self._settings.key.get_secret_value(),
                stripe_version=API_VERSION,
                base_addresses={"api": self._settings.url},
                max_network_retries=RETRIES,
                http_client=stripe.AIOHTTPClient(timeout=timeout, session=session),
            )
            yield
        self._client = None

    async def list_subscriptions(self, customer_id: str) -> list[StripeSubscription]:
        """Read the subscriptions of a customer; raise `CustomerMissing` or `StripeFailed`."""
        query = {"customer": customer_id, "status": "all", "limit": LISTED_MAX}
        async with self._asking():
            page = await self._client.v1.subscriptions.list_async(query)
            return [_read_subscription(each) for each in page.data]

    async def is_customer_deleted(self, customer_id: str) -> bool:
        """Say whether Stripe has deleted a customer; raise `CustomerMissing` or `StripeFailed`."""
        async with self._asking():
            customer = await self._client.v1.customers.retrieve_async(customer_id)
            return bool(getattr(customer, "deleted", False))

    async def create_customer(self, user_id: str, *, once: str) -> str:
        """Make the customer of an account; raise `StripeFailed`. The same with the same `once`."""
        values = {"metadata": {"user_id": user_id}}
        async with self._asking():
            customer = await self._client.v1.customers.create_async(
                values, {"idempotency_key": once}
            )
            return str(customer.id)

    async def delete_customer(self, customer_id: str) -> None:
        """Delete a customer, which ends their subscriptions; raise `StripeFailed`."""
        async with self._asking():
            await self._client.v1.customers.delete_async(customer_id)

    async def create_checkout(
        self, user_id: str, customer_id: str, price: str, *, back: str, once: str
    ) -> str:
        """Make a page where a customer subscribes; raise `CustomerMissing` or `StripeFailed`."""
        values = {
            "mode": "subscription",
            "customer": customer_id,
            "client_reference_id": user_id,
            "line_items": [{"price": price, "quantity": 1}],
            "subscription_data": {"metadata": {"user_id": user_id}},
            "success_url": f"{back}/?subscription=done",
            "cancel_url": f"{back}/?subscription=cancelled",
        }
        async with self._asking():
            session = await self._client.v1.checkout.sessions.create_async(
                values, {"idempotency_key": once}
            )
            return str(session.url)

    async def create_portal(self, customer_id: str, *, back: str) -> str:
        """Make a page where a customer manages it; raise `CustomerMissing` or `StripeFailed`."""
        values = {"customer": customer_id, "return_url": f"{back}/"}
        async with self._asking():
            session = await self._client.v1.billing_portal.sessions.create_async(values)
            return str(session.url)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        with _failures():
            async with asyncio.timeout(self._settings.timeout_s):
                yield


@contextmanager
def _failures() -> Any:
    """Turn what goes wrong into errors of ours."""
    try:
        yield
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing" and error.param in ("customer", "id"):
            raise CustomerMissing from None
        log.error("Stripe refuses a request: %s", error.code or "invalid request")  # noqa: TRY400
        raise StripeFailed from None
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        kind = type(error).__name__
        log.error("Stripe refuses PLAYHALL_STRIPE_KEY: %s", kind)  # noqa: TRY400
        raise StripeFailed from None
    except (stripe.StripeError, TimeoutError, aiohttp.ClientError, OSError) as error:
        log.warning("Stripe cannot be asked: %s", type(error).__name__)
        raise StripeFailed from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        log.error("Stripe answers something else: %s", type(error).__name__)  # noqa: TRY400
        raise StripeFailed from None


def _read_subscription(subscription: Any) -> StripeSubscription:
    items = subscription["items"].data
    starts = [each.current_period_start for each in items]
    ends = [each.current_period_end for each in items]
    metadata = subscription.metadata
    return StripeSubscription(
        subscription_id=str(subscription.id),
        status=str(subscription.status),
        prices=tuple(str(each.price.id) for each in items),
        period_start=_time(max(starts)) if starts else None,
        period_end=_time(max(ends)) if ends else None,
        cancels=bool(subscription.cancel_at_period_end) or subscription.cancel_at is not None,
        owner=metadata["user_id"] if metadata and "user_id" in metadata else None,
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
