"""Batches of events: checked, then stored in one transaction as far as their account allows."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from persistence.telemetry.consents import ConsentStore
from persistence.telemetry.store import (
    DeadLetterCode,
    EventColumns,
    IngestTransaction,
    NoPartition,
    StoredDeadLetter,
    TelemetryStore,
    utc_day,
)
from protocol.errors import Overloaded
from protocol.ids import UserId
from protocol.telemetry import RefusedEvent, Replayed, TelemetryAccepted
from server.core.clock import Clock
from server.domains.progression.telemetry.rules import (
    Decisions,
    EventValidator,
    RejectedEvent,
    ValidatedEvent,
    allows_unknown,
    id_ms,
    is_allowed,
)
from server.domains.progression.telemetry.schemas import TelemetrySchemaRegistry

# Enough to keep the database busy, and few of the pool's connections, which games need.
INGESTS_AT_ONCE: Final = 4
WAITING_MAX: Final = 64
REPLAYED_AT_ONCE: Final = 500
_FITS_NOTHING: Final[frozenset[str]] = frozenset(
    {"unknown_type", "unknown_version", "invalid_payload"}
)


@dataclass(slots=True)
class IngestTotals:
    """What this node has done, for metrics."""

    accepted: int = 0
    duplicates: int = 0
    refused: int = 0
    kept: int = 0


@dataclass(slots=True)
class _Batch:
    """What was read of a batch: events with their place in it, and what was refused so far."""

    events: list[tuple[int, ValidatedEvent]] = field(default_factory=list)
    letters: list[tuple[int, RejectedEvent]] = field(default_factory=list)
    refused: list[RefusedEvent] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)

    def refuse(self, index: int, problem: RejectedEvent, *, kept: bool = False) -> None:
        self.refused.append(
            RefusedEvent(
                index=index,
                event_id=problem.event_id,
                code=problem.code,
                problem=problem.text,
                kept=kept,
            )
        )


class TelemetryService:
    """Takes events in; `opt_in` names the purposes that are not allowed without a decision."""

    def __init__(
        self,
        *,
        store: TelemetryStore,
        consents: ConsentStore,
        schemas: TelemetrySchemaRegistry,
        clock: Clock,
        opt_in: Collection[str],
        letters_max: int,
        is_forwarding: bool,
    ) -> None:
        self._store = store
        self._consents = consents
        self._schemas = schemas
        self._clock = clock
        self._opt_in = opt_in
        self._letters_max = letters_max
        self._is_forwarding = is_forwarding
        self._turns = asyncio.Semaphore(INGESTS_AT_ONCE)
        self._waiting = 0
        self.totals = IngestTotals()
        self.letters = 0  # of all nodes, counted now and then

    async def ingest(
        self, account_id: UserId, raw: Sequence[object], *, is_private: bool
    ) -> TelemetryAccepted:
        """Store what can be stored of a batch, and say what became of the rest.

        `is_private`: the browser said so (`Sec-GPC: 1`); then nothing of it is forwarded, and the
        account counts as one that refuses sharing.
        """
        batch = self._read(account_id, raw)
        with self._waits():
            async with self._turns:
                if is_private:
                    await self._consents.record_sharing_refusal(account_id)
                try:
                    accepted = await self._store_batch(account_id, batch, is_private=is_private)
                except NoPartition:
                    await self._store.create_partitions(
                        [utc_day(id_ms(event.event_id)) for _, event in batch.events]
                    )
                    batch = self._read(account_id, raw)
                    accepted = await self._store_batch(account_id, batch, is_private=is_private)
        self.totals.accepted += accepted
        self.totals.duplicates += len(batch.duplicates)
        self.totals.refused += len(batch.refused)
        batch.refused.sort(key=lambda each: each.index)
        return TelemetryAccepted(
            accepted=accepted, duplicates=batch.duplicates, refused=batch.refused
        )

    async def replay(self, event_type: str, *, after: int) -> Replayed:
        """Check some dead letters of a type again; those that fit now are stored."""
        await self._schemas.reload()
        letters = await self._store.list_dead_letters_to_replay(
            event_type, after=after, limit=REPLAYED_AT_ONCE
        )
        done = Replayed(
            accepted=0,
            duplicates=0,
            dropped=0,
            failed=0,
            last=letters[-1].letter_id if len(letters) == REPLAYED_AT_ONCE else None,
        )
        by_account: dict[UserId, list[StoredDeadLetter]] = {}
        for letter in letters:
            by_account.setdefault(letter.account_id, []).append(letter)
        for account_id, theirs in by_account.items():
            async with self._turns:
                await self._replay_account(account_id, theirs, done)
        return done

    # ------------------------------------------------------------------ checking

    def _read(self, account_id: UserId, raw: Sequence[object]) -> _Batch:
        batch, seen = _Batch(), set[str]()
        reading = self._reading(account_id)
        for index, each in enumerate(raw):
            read = reading.validate_event(each)
            if isinstance(read, RejectedEvent):
                if read.letter is not None:
                    batch.letters.append((index, read))
                else:
                    batch.refuse(index, read)
            elif read.event_id in seen:
                batch.duplicates.append(read.event_id)
            else:
                seen.add(read.event_id)
                batch.events.append((index, read))
        return batch

    def _reading(self, account_id: UserId) -> EventValidator:
        return EventValidator(
            account_id=account_id,
            now_ms=self._clock.now_ms(),
            types=self._schemas.types,
            kept_days_max=self._schemas.kept_days_max,
        )

    @contextmanager
    def _waits(self) -> Iterator[None]:
        if self._waiting >= WAITING_MAX:
            raise Overloaded
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    # ------------------------------------------------------------------ storing

    async def _store_batch(self, account_id: UserId, batch: _Batch, *, is_private: bool) -> int:
        if not batch.events and not batch.letters:
            return 0
        async with self._store.begin_ingest(account_id) as work:
            decisions: Decisions = work.decisions
            is_shared = not is_private and is_allowed("sharing", decisions, self._opt_in)
            allowed = self._allowed(batch, decisions)
            new: set[str] = set()
            if allowed:
                new = await work.store_events(_columns(allowed))
                batch.duplicates += [
                    event.event_id for event in allowed if event.event_id not in new
                ]
                if new and is_shared and self._is_forwarding:
                    await work.queue_forwards(list(new))
            await self._keep_letters(work, batch, decisions, is_shared=is_shared)
        return len(new)

    def _allowed(self, batch: _Batch, decisions: Decisions) -> list[ValidatedEvent]:
        """Give the events that may be stored; the others are refused."""
        types = self._schemas.types
        denied = {
            name
            for name in {event.event_type for _, event in batch.events}
            if not is_allowed(types[name].purpose, decisions, self._opt_in)
        }
        if not denied:
            return [event for _, event in batch.events]
        for index, event in batch.events:
            if event.event_type in denied:
                purpose = types[event.event_type].purpose
                batch.refuse(index, _no_consent(event, purpose))
        return [event for _, event in batch.events if event.event_type not in denied]

    async def _keep_letters(
        self, work: IngestTransaction, batch: _Batch, decisions: Decisions, *, is_shared: bool
    ) -> None:
        kept: list[tuple[ValidatedEvent, DeadLetterCode, str]] = []
        has_room = self.letters < self._letters_max
        for index, problem in batch.letters:
            assert problem.letter is not None
            kind = self._schemas.types.get(problem.letter.event_type)
            if not (
                allows_unknown(decisions, self._opt_in)
                if kind is None
                else is_allowed(kind.purpose, decisions, self._opt_in)
            ):
                purpose = "every purpose" if kind is None else kind.purpose
                batch.refuse(index, _no_consent(problem.letter, purpose))
                continue
            batch.refuse(index, problem, kept=has_room)
            if has_room:
                assert problem.code in _FITS_NOTHING
                kept.append((problem.letter, problem.code, problem.text))  # type: ignore[arg-type]
        if kept:
            events, codes, problems = zip(*kept, strict=True)
            await work.store_dead_letters(_columns(events), codes, problems, is_shared=is_shared)
            self.letters += len(kept)
            self.totals.kept += len(kept)

    # ------------------------------------------------------------------ dead letters

    async def _replay_account(
        self, account_id: UserId, letters: Sequence[StoredDeadLetter], done: Replayed
    ) -> None:
        reading = self._reading(account_id)
        fitting: list[tuple[StoredDeadLetter, ValidatedEvent]] = []
        dropped: list[int] = []
        failed: list[tuple[int, DeadLetterCode, str]] = []
        for letter in letters:
            read = reading.read_again(_event_of(letter))
            if isinstance(read, ValidatedEvent):
                fitting.append((letter, read))
            elif read.code in _FITS_NOTHING:
                failed.append((letter.letter_id, read.code, read.text))  # type: ignore[arg-type]
            else:
                dropped.append(letter.letter_id)
        if fitting or dropped:
            try:
                await self._store_again(account_id, fitting, dropped, done)
            except NoPartition:
                await self._store.create_partitions(
                    [utc_day(id_ms(event.event_id)) for _, event in fitting]
                )
                await self._store_again(account_id, fitting, dropped, done)
        if failed:
            await self._store.update_dead_letter_problems(failed)
            done.failed += len(failed)

    async def _store_again(
        self,
        account_id: UserId,
        fitting: Sequence[tuple[StoredDeadLetter, ValidatedEvent]],
        dropped: Sequence[int],
        done: Replayed,
    ) -> None:
        async with self._store.begin_ingest(account_id) as work:
            # Behind the lock: a decision may have deleted some of them meanwhile.
            there = await work.delete_dead_letters(
                [*dropped, *(each.letter_id for each, _ in fitting)]
            )
            allowed = [
                (letter, event)
                for letter, event in fitting
                if letter.letter_id in there
                and is_allowed(
                    self._schemas.types[event.event_type].purpose, work.decisions, self._opt_in
                )
            ]
            new = (
                await work.store_events(_columns([event for _, event in allowed]))
                if allowed
                else set()
            )
            shared = [
                event.event_id
                for letter, event in allowed
                if letter.is_shared and event.event_id in new
            ]
            if (
                self._is_forwarding
                and shared
                and is_allowed("sharing", work.decisions, self._opt_in)
            ):
                await work.queue_forwards(shared)
        done.accepted += len(new)
        done.duplicates += len(allowed) - len(new)
        done.dropped += len(there) - len(allowed)


def _no_consent(event: ValidatedEvent, purpose: str) -> RejectedEvent:
    return RejectedEvent(
        "no_consent",
        f"This account does not allow {purpose}: /v1/me/consents.",
        event.event_id,
    )


def _event_of(letter: StoredDeadLetter) -> ValidatedEvent:
    return ValidatedEvent(
        letter.event_id,
        letter.event_type,
        letter.payload,
        letter.timestamp,
        letter.session,
        letter.schema_version,
    )


def _columns(events: Sequence[ValidatedEvent]) -> EventColumns:
    event_ids, types, payloads, times, sessions, versions = zip(*events, strict=True)
    return EventColumns(event_ids, types, payloads, times, sessions, versions)
