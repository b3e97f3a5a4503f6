"""What Stripe reported, as it is stored.

A fetch is numbered before it begins. What it found is stored unless a fetch with a higher number
was: that one began later, so it saw whatever this one saw. So events may come in any order, and at
once on several nodes, and no lock is held while Stripe is asked.
"""

from datetime import datetime
from typing import Final, Literal, NamedTuple

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.ids import UserId

SQL = load_queries("subscriptions/store")

ACTOR: Final = "stripe"
EVENTS_KEPT_DAYS: Final = 30  # Stripe repeats an event for three days

ApplyResult = Literal["applied", "unchanged", "unknown_customer"]


class FetchedSubscription(NamedTuple):
    """What a person is entitled to, as a fetch found it; `check_at`: when to ask again."""

    tier: str
    status: str | None = None
    subscription_id: str | None = None
    period_end: datetime | None = None
    cancels: bool = False
    check_at: datetime | None = None


class StoredCustomer(NamedTuple):
    """The customer of an account, and what a checkout needs to know."""

    customer_id: str | None
    status: str | None
    fetch: int
    is_guest: bool


class OwnSubscription(NamedTuple):
    """One's own subscription."""

    tier: str
    status: str | None
    period_end: datetime | None
    cancels: bool


class AppliedFetch(NamedTuple):
    """What became of a fetch, and whose tier or status it changed, if it did."""

    result: ApplyResult
    changed: UserId | None


class SubscriptionStore:
    """Subscriptions in PostgreSQL."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def begin_event(self, event_id: str, kind: str) -> bool:
        """Note an event that came in; False if it was processed before."""
        async with self._database.acquire() as connection:
            return not await connection.fetchval(SQL["begin_event"], event_id, kind)

    async def finish_event(self, event_id: str) -> None:
        """Note that an event was processed, where nothing came of it."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["finish_event"], event_id)

    async def next_fetch(self) -> int:
        """Draw the number of a fetch, before it begins."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["next_fetch"]))

    async def apply(
        self,
        customer_id: str,
        found: FetchedSubscription,
        *,
        fetch: int,
        event_id: str | None = None,
        owner: UserId | None = None,
        is_deleted: bool = False,
    ) -> AppliedFetch:
        """Store what a fetch found, on record, together with the event that it was made for.

        `owner` is who a customer belongs to that is not known. With `is_deleted` Stripe has
        forgotten the customer.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(SQL["lock_customer"], customer_id)
            if row is None and owner is not None:
                await connection.fetchval(SQL["claim_customer"], owner, customer_id)
                row = await connection.fetchrow(SQL["lock_customer"], customer_id)
            result: ApplyResult = "unknown_customer"
            changed: UserId | None = None
            if row is not None:
                user_id, *before, stored_fetch = row
                result = "unchanged"
                if stored_fetch < fetch:
                    await connection.execute(SQL["store_state"], user_id, *found, fetch)
                    if before != [found.tier, found.status]:
                        result, changed = "applied", user_id
                        await _record(connection, user_id, before, found)
                    if is_deleted:
                        await connection.execute(SQL["forget_customer"], user_id)
            if event_id is not None:
                await connection.execute(SQL["finish_event"], event_id)
            return AppliedFetch(result, changed)

    async def find_customer(self, user_id: UserId) -> StoredCustomer | None:
        """Read the customer of an account; None if the account is gone."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["find_customer"], user_id)
        return None if row is None else StoredCustomer(*row)

    async def set_customer(self, user_id: UserId, customer_id: str) -> str | None:
        """Note the customer of an account; gives the one that it has, if there was one already."""
        async with self._database.acquire() as connection:
            known: str | None = await connection.fetchval(SQL["set_customer"], user_id, customer_id)
        return known

    async def read_own(self, who: Requester) -> OwnSubscription | None:
        """Read one's own subscription; None if the account is gone."""
        async with self._rls.as_user(who) as connection:
            row = await connection.fetchrow(SQL["read_own"])
        return None if row is None else OwnSubscription(*row)

    async def claim_checks(self, *, limit: int, again_s: float) -> list[str]:
        """Take some customers whom Stripe is to be asked about."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["claim_checks"], limit, again_s)
        return [customer_id for (customer_id,) in rows]

    async def claim_deletions(self, *, limit: int, again_s: float) -> list[str]:
        """Take some customers who are to be deleted."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["claim_deletions"], limit, again_s)
        return [customer_id for (customer_id,) in rows]

    async def finish_deletion(self, customer_id: str) -> None:
        """Note that a customer was deleted."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["finish_deletion"], customer_id)

    async def forget_events(self, *, limit: int) -> int:
        """Delete some events that Stripe repeats no more; says how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["forget_events"], EVENTS_KEPT_DAYS, limit))


async def _record(
    connection: Connection, user_id: UserId, before: list[str | None], found: FetchedSubscription
) -> None:
    await record_entry(
        connection,
        actor=ACTOR,
        action="subscription",
        target=user_id,
        before=dict(zip(("tier", "status"), before, strict=True)),
        after={"tier": found.tier, "status": found.status},
    )
