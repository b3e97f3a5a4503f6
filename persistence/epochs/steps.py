"""The steps of a day, each one transaction under the day's lock, and who takes them."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import NamedTuple

import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.epochs.store import EpochDay, StoredEpochEvent, append_event, find_day
from persistence.event_outbox import append_durable_event
from persistence.queries import load_queries
from protocol.domain_events import EpochSettled
from protocol.epoch_profile import Phase
from protocol.epochs import EpochNotFound
from protocol.ids import BotId, EpochId

SQL = load_queries("epochs/steps")


class BotShare(NamedTuple):
    """What one bot did, and what it gets; `recipient` owned it at the freeze, if that is known."""

    bot_id: BotId
    occupied_seconds: int
    successful_claims: int
    defense_seconds: int
    vote_quality: Decimal
    raw_score: Decimal
    share: Decimal
    bps: int
    amount_wei: int
    recipient: str | None


class NewPayout(NamedTuple):
    """What is to be paid for a bot."""

    bot_id: BotId
    recipient_address: str
    bps: int
    amount_wei: Decimal
    status: str


class StoredSettlement(NamedTuple):
    """A result as it was published; `result` is JSON."""

    number: int
    computed_at: datetime
    computed_by: str
    reason: str
    events_digest: bytes
    result: bytes


class StoredPayout(NamedTuple):
    """Who is paid what; `amount_wei` is a decimal number."""

    bot_id: BotId
    bot: str
    recipient_address: str
    bps: int
    amount_wei: str
    payout_tx_hash: str | None
    status: str


class HeldDay:
    """A day, held until the transaction ends."""

    def __init__(self, connection: Connection, day: EpochDay, now: datetime) -> None:
        self._connection = connection
        self.day = day
        self.now = now

    async def read_frozen_events(self) -> list[StoredEpochEvent]:
        """Read what happened before the freeze."""
        rows = await self._connection.fetch(SQL["frozen_events"], self.day.epoch_id)
        return [StoredEpochEvent(*row) for row in rows]

    async def freeze(self, digest: bytes) -> None:
        """Write when the day was frozen and over what."""
        await self._connection.execute(SQL["freeze"], self.day.epoch_id, digest)
        self.day = self.day._replace(frozen_at=self.day.freeze_at, events_digest=digest)

    async def append_event(self, kind: str, payload: dict[str, object]) -> int:
        """Add an event to the day; gives its version."""
        version, _ = await append_event(self._connection, self.day.epoch_id, kind, payload=payload)
        return version

    async def enter_phase(self, phase: Phase) -> None:
        """Let the day be in its next phase."""
        await self._connection.execute(SQL["enter"], self.day.epoch_id, phase)
        await self.append_event("phase_changed", {"phase": phase})

    async def is_paid(self) -> bool:
        """Say whether money has left."""
        return bool(await self._connection.fetchval(SQL["paid"], self.day.epoch_id))

    async def publish_settlement(
        self,
        shares: Sequence[BotShare],
        payouts: Sequence[NewPayout],
        *,
        digest: bytes,
        by: str,
        reason: str,
        result: object,
    ) -> int:
        """Write a result in place of an earlier one, which stays readable; gives its number."""
        epoch_id, connection = self.day.epoch_id, self._connection
        await connection.execute(SQL["clear_contributions"], epoch_id)
        await connection.execute(SQL["clear_payouts"], epoch_id)
        done = [(epoch_id, *share[:7]) for share in shares]
        await connection.executemany(SQL["add_contribution"], done)
        due = [(epoch_id, *payout, digest) for payout in payouts]
        await connection.executemany(SQL["add_payout"], due)
        values = (epoch_id, by, reason, digest, orjson.dumps(result))
        number: int = await connection.fetchval(SQL["add_settlement"], *values)
        day = self.day.day.isoformat()
        settled = EpochSettled(
            epoch_id=epoch_id, day=day, number=number, events_digest=digest.hex()
        )
        await append_durable_event(connection, settled)
        return number

    async def announce_edition(self, uri: str) -> None:
        """Write down that the day has an edition, to be minted where its profile says."""
        mint = self.day.profile.settlement.mint
        values = (self.day.epoch_id, mint.chain_id, mint.contract_address, uri)
        await self._connection.execute(SQL["add_edition"], *values)

    async def record_stats(self, bot_id: BotId, uri: str, content: bytes) -> None:
        """Note where a bot's figures of the day are kept, with their SHA-256."""
        values = (bot_id, self.day.epoch_id, uri, sha256(content).hexdigest())
        await self._connection.execute(SQL["add_bot_stats"], *values)

    async def link_summary(self, uri: str) -> None:
        """Write where the day's summary is."""
        await self._connection.execute(SQL["set_summary"], self.day.epoch_id, uri)

    async def record_audit_entry(
        self, actor: str, action: str, after: Mapping[str, object]
    ) -> None:
        """Put an admin's act on record."""
        target = self.day.epoch_id
        await record_entry(self._connection, actor=actor, action=action, target=target, after=after)


class SettlementStore:
    """Days being advanced, settled and paid."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_lead(self, node: str, *, lease_s: float) -> bool:
        """Take or keep the lead among the nodes; False while another has it."""
        async with self._database.acquire() as connection:
            return await connection.fetchval(SQL["lead"], node, lease_s) is not None

    async def resign_lead(self, node: str) -> None:
        """Let another node lead at once."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["resign"], node)

    async def read_leader(self) -> str | None:
        """Say which node leads."""
        async with self._database.acquire() as connection:
            node: str | None = await connection.fetchval(SQL["leader"])
        return node

    async def list_unfinished(self) -> list[EpochId]:
        """List the days that are not archived, in order."""
        async with self._database.acquire() as connection:
            return [epoch_id for (epoch_id,) in await connection.fetch(SQL["unfinished"])]

    @asynccontextmanager
    async def lock_day(self, epoch_id: EpochId) -> AsyncIterator[HeldDay]:
        """Hold a day for a step; nothing of the block is kept unless all is."""
        async with self._database.transaction() as connection:
            now = await connection.fetchval(SQL["lock"], epoch_id)
            if now is None:
                raise EpochNotFound
            yield HeldDay(connection, await find_day(connection, epoch_id), now)

    async def read_frozen_events(self, epoch_id: EpochId) -> list[StoredEpochEvent]:
        """Read what happened before a day's freeze; all so far, where it is not frozen."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["frozen_events"], epoch_id)
        return [StoredEpochEvent(*row) for row in rows]

    async def list_settlements(self, epoch_id: EpochId) -> list[StoredSettlement]:
        """Read every result of a day, the newest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["settlements"], epoch_id)
        return [StoredSettlement(*row) for row in rows]

    async def list_payouts(self, epoch_id: EpochId) -> list[StoredPayout]:
        """Read who is paid what for a day."""
        async with self._database.acquire() as connection:
            return [StoredPayout(*row) for row in await connection.fetch(SQL["payouts"], epoch_id)]

    async def set_payout(
        self, epoch_id: EpochId, bot_id: BotId, *, status: str, tx_hash: str | None, actor: str
    ) -> bool:
        """Write how far a payout is, on record; False if there is none.

        Under the day's lock: a result that is being computed again has looked whether any left.
        """
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock"], epoch_id)
            values = (epoch_id, bot_id, status, tx_hash)
            if await connection.fetchval(SQL["set_payout"], *values) is None:
                return False
            after = {"bot_id": bot_id, "status": status, "tx_hash": tx_hash}
            await record_entry(
                connection, actor=actor, action="payout", target=epoch_id, after=after
            )
            return True

    async def set_edition(
        self, epoch_id: EpochId, *, token_id: int, minted_at: datetime, actor: str
    ) -> bool:
        """Write that a day's edition was minted, on record; False if it has none."""
        async with self._database.transaction() as connection:
            values = (epoch_id, Decimal(token_id), minted_at)
            if await connection.fetchval(SQL["set_edition"], *values) is None:
                return False
            after = {"token_id": str(token_id)}
            await record_entry(
                connection, actor=actor, action="edition", target=epoch_id, after=after
            )
            return True

    async def record_rollover(self, actor: str, *, steps: int) -> None:
        """Put on record that somebody had every due step taken."""
        async with self._database.transaction() as connection:
            after = {"steps": steps}
            await record_entry(
                connection, actor=actor, action="rollover", target="epochs", after=after
            )

    async def read_bot_slugs(self, bots: Collection[str]) -> dict[str, str]:
        """Say what bots are called."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["bot_slugs"], list(bots))
        return {bot_id: slug for bot_id, slug in rows}  # noqa: C416 - a record is no tuple
