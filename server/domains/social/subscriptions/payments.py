"""What is asked of whoever takes the payments; `stripe_api.py` does it, and needs the extra."""

from typing import Protocol

from server.domains.social.subscriptions.rules import StripeSubscription


class CustomerMissing(Exception):
    """Stripe has no such customer, or not for this key."""


class PaymentProvider(Protocol):
    """Stripe. What cannot be asked raises `StripeFailed`."""

    def require_signature(self, body: bytes, header: str | None) -> None:
        """Raise `BadSignature` unless a body is signed for this server, and lately."""

    async def list_subscriptions(self, customer_id: str) -> list[StripeSubscription]:
        """Read the subscriptions of a customer; raise `CustomerMissing`."""

    async def is_customer_deleted(self, customer_id: str) -> bool:
        """Say whether a customer was deleted; raise `CustomerMissing`."""

    async def create_customer(self, user_id: str, *, once: str) -> str:
        """Make the customer of an account: the same one with the same `once`."""

    async def delete_customer(self, customer_id: str) -> None:
        """Delete a customer, which ends their subscriptions; raise `CustomerMissing`."""

    async def create_checkout(
        self, user_id: str, customer_id: str, price: str, *, back: str, once: str
    ) -> str:
        """Make a page where a customer subscribes; raise `CustomerMissing`."""

    async def create_portal(self, customer_id: str, *, back: str) -> str:
        """Make a page where a customer manages it; raise `CustomerMissing`."""
