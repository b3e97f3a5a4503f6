"""Follows what changes in published tables, and tells those who subscribed and may read it.

What is committed is in a table, written by triggers. As long as somebody on this node subscribes,
the node looks every tenth of a second for what was committed since its last look, whichever node
or program did it. The policies of the table decide who hears of a change: they are asked about the
row as it was then, as every reader in turn, in one statement for all of them.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import asyncpg
import orjson

from persistence.realtime.store import (
    READERS_TIMEOUT_S,
    Change,
    InvalidValue,
    PoliciesTooSlow,
    PublishedTable,
    Reader,
    RealtimeStore,
)
from persistence.rest.store import ROLES, SERVICE_ROLE
from server.core.containment import contain_failures, log_failure
from server.core.periodic import AWAY, repeat_every
from server.domains.integrations.realtime.filters import (
    Binding,
    Condition,
    InvalidFilter,
    Subscription,
    SubscriptionIndex,
)

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.1
RETRY_EVERY_S: Final = 1.0
RELOAD_EVERY_S: Final = 60.0
CHANGES_AT_ONCE: Final = 500
READERS_AT_ONCE: Final = 200
TOO_LARGE: Final = "Error 413: Payload Too Large"
GAP: Final = "Changes may have been missed; subscribe again, and read what there is."


class Subscriber(Protocol):
    """A channel, as far as changes go."""

    @property
    def reader(self) -> Reader:
        """As whom it reads at present."""

    def push_change(self, data: bytes, binding_ids: Sequence[int]) -> None:
        """Send a change, written as JSON, for some of its bindings."""

    def lose_changes(self, reason: str) -> None:
        """Take note that changes may have been missed."""


class _Held(NamedTuple):
    relation: int
    subscription: Subscription


class _Place(NamedTuple):
    """How far changes were read: those between two snapshots, after one of them."""

    since: str
    until: str | None = None
    after: int = 0


class ChangeFeed:
    """The changes that this node follows. `kept_s` is for how long the database keeps them."""

    def __init__(
        self,
        store: RealtimeStore,
        *,
        subscriptions_max: int,
        kept_s: float,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._subscriptions_max = subscriptions_max
        self._kept_s = kept_s
        self._now = now
        self._tables: dict[int, PublishedTable] = {}
        self._index = SubscriptionIndex()
        self._held: dict[Subscriber, list[_Held]] = {}
        self._place: _Place | None = None
        self._read_at = 0.0
        self._wanted = asyncio.Event()
        self.delivered_total = 0
        self.changes_total = 0

    def __len__(self) -> int:
        return len(self._index)

    async def reload(self) -> None:
        """Read which tables are published."""
        found = await self._store.read_published(ROLES)
        self._tables = {table.relation: table for table in found}

    async def run_reloading(self) -> None:
        """Read it each minute, until cancelled."""
        await repeat_every(RELOAD_EVERY_S, self.reload, "reading the published tables")

    # ------------------------------------------------------------------ subscribing

    async def subscribe(self, who: Subscriber, bindings: Mapping[int, Binding]) -> None:
        """Subscribe a channel instead of what it was subscribed to; raise `InvalidFilter`.

        What is committed from the return on is delivered.
        """
        wanted: list[_Held] = []
        for binding_id, binding in bindings.items():
            try:
                resolved = await self._resolve(who.reader, binding)
            except InvalidFilter as invalid:
                invalid.binding_id = binding_id
                raise
            for relation, checked in resolved:
                wanted.append(_Held(relation, Subscription(who, binding_id, checked)))
        place = self._place or _Place(await self._store.read_snapshot())
        self.unsubscribe(who)
        if len(self._index) + len(wanted) > self._subscriptions_max:
            raise InvalidFilter("this server has the maximum number of subscriptions")
        if self._place is None:  # nobody was here, or the last one left meanwhile
            self._place, self._read_at = place, self._now()
        for held in wanted:
            self._index.add(held.relation, held.subscription)
        if wanted:
            self._held[who] = wanted
        self._note_wanted()

    def unsubscribe(self, who: Subscriber) -> None:
        """Forget a channel; harmless if it is not subscribed."""
        for held in self._held.pop(who, ()):
            self._index.remove(held.relation, held.subscription)
        self._note_wanted()

    def _note_wanted(self) -> None:
        if self._held:
            self._wanted.set()
        else:
            self._wanted.clear()
            self._place = None

    async def _resolve(self, reader: Reader, binding: Binding) -> list[tuple[int, Binding]]:
        """Find the tables of a binding, and write what its filters name as rows have it."""
        found = [
            table
            for table in self._tables.values()
            if table.schema == binding.schema
            and binding.table in (None, table.name)
            and readable_columns(table, reader.role)
        ]
        if not found:
            raise InvalidFilter(f"no table {binding.schema}.{binding.table or '*'} is published")
        if binding.table is None:
            return [(table.relation, binding) for table in found]
        table = found[0]
        readable = readable_columns(table, reader.role)
        for name in [*(each.column for each in binding.conditions), *(binding.select or ())]:
            if name not in readable:
                raise InvalidFilter(f"there is no column {name[:63]!r} to read in {table.name}")
        conditions = await self._canonical(table, binding.conditions)
        return [(table.relation, binding._replace(conditions=conditions))]

    async def _canonical(
        self, table: PublishedTable, conditions: Sequence[Condition]
    ) -> tuple[Condition, ...]:
        given = [
            (condition.column, value)
            for condition in conditions
            for value in condition.values
            if isinstance(value, str)
        ]
        if not given:
            return tuple(conditions)
        try:
            rows = iter(await self._store.write_canonical(table.relation, given))
        except InvalidValue as error:
            raise InvalidFilter(str(error)) from None
        out = []
        for condition in conditions:
            values = tuple(
                orjson.loads(next(rows))[condition.column] if isinstance(value, str) else value
                for value in condition.values
            )
            if any(isinstance(value, list | dict) for value in values):
                raise InvalidFilter(f"{condition.column} is of a type that filters cannot compare")
            out.append(condition._replace(values=values))
        return tuple(out)

    # ------------------------------------------------------------------ following

    async def run(self) -> None:
        """Follow what changes while anybody subscribes, until cancelled."""
        while True:
            await self._wanted.wait()
            try:
                await self.look()
            except AWAY as error:
                self._not_read(error)
                await asyncio.sleep(RETRY_EVERY_S)
            except Exception:
                log_failure("following the changes of tables")
                await asyncio.sleep(RETRY_EVERY_S)
            else:
                await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Deliver what was committed since the last look."""
        if self._now() - self._read_at > self._kept_s / 2:
            await self._begin_again()
        place = self._place
        while place is not None:
            snapshot, changes = await self._store.read_changes(
                place.since, until=place.until, after=place.after, limit=CHANGES_AT_ONCE
            )
            until = place.until or snapshot
            await self._deliver(changes)
            is_last = len(changes) < CHANGES_AT_ONCE
            next_place = _Place(until) if is_last else _Place(place.since, until, changes[-1].seq)
            if self._place is place:  # else everybody left, and perhaps somebody came
                self._place, self._read_at = next_place, self._now()
            if is_last or self._place is not next_place:
                return
            place = next_place

    def _not_read(self, error: BaseException) -> None:
        log.warning("changes of tables cannot be read: %s", error)

    async def _begin_again(self) -> None:
        """Say that changes may be gone which were not read, and go on from here."""
        snapshot = await self._store.read_snapshot()
        for who in list(self._held):
            who.lose_changes(GAP)
        if self._place is not None:
            self._place = _Place(snapshot)
        self._read_at = self._now()

    async def _deliver(self, changes: Sequence[Change]) -> None:
        """Deliver changes in their order. What is asked of the database is asked before."""
        found: list[tuple[Change, list[Subscription]]] = []
        for change in changes:
            self.changes_total += 1
            if change.relation in self._tables:
                with contain_failures("reading a change"):
                    row = orjson.loads(change.image)
                    subscriptions = self._index.find(change.relation, change.operation, row)
                    if subscriptions:
                        found.append((change, subscriptions))
        if not found:
            return
        allowed: set[tuple[int, Reader]] = set()
        for relation in {change.relation for change, _ in found}:
            allowed |= await self._find_allowed(
                relation, [each for each in found if each[0].relation == relation]
            )
        for change, subscriptions in found:
            with contain_failures("delivering a change"):
                self._deliver_one(change, subscriptions, allowed)

    async def _find_allowed(
        self, relation: int, found: Sequence[tuple[Change, list[Subscription]]]
    ) -> set[tuple[int, Reader]]:
        """Find who may read which changes of a table, by their numbers."""
        asked: dict[Reader, list[int]] = {}
        allowed: set[tuple[int, Reader]] = set()
        for place, (change, subscriptions) in enumerate(found):
            for reader in {each.who.reader for each in subscriptions}:
                if reader.role == SERVICE_ROLE:  # its key reaches every row
                    allowed.add((change.seq, reader))
                else:
                    asked.setdefault(reader, []).append(place)
        asking = _Asking(self._store, relation, [change for change, _ in found], asked)
        await asking.ask_all()
        allowed |= {(found[place][0].seq, reader) for reader, place in asking.allowed}
        lost = {each.who: None for _, of_change in found for each in of_change}
        for who in lost:
            if who.reader in asking.unanswered:
                with contain_failures("telling that changes may be missed"):
                    who.lose_changes(GAP)
        return allowed

    def _deliver_one(
        self,
        change: Change,
        subscriptions: Iterable[Subscription],
        allowed: set[tuple[int, Reader]],
    ) -> None:
        ids: dict[tuple[Subscriber, frozenset[str] | None], list[int]] = {}
        for each in subscriptions:
            if (change.seq, each.who.reader) in allowed and each.who in self._held:
                ids.setdefault((each.who, each.binding.select), []).append(each.binding_id)
        written: dict[tuple[str, frozenset[str] | None], bytes] = {}
        table = self._tables[change.relation]
        for (who, select), binding_ids in ids.items():
            key = who.reader.role, select
            if key not in written:
                written[key] = write_change(table, change, *key)
            self.delivered_total += 1
            who.push_change(written[key], binding_ids)


class _Asking:
    """Asks the policies of a table which readers may read which changes of its rows.

    Where they fail or take too long, each half of the readers is asked about on its own, in half
    of the time. So one reader spoils nothing for the others, and in all it takes no longer than
    READERS_TIMEOUT_S for each time that the readers can be halved.
    """

    def __init__(
        self,
        store: RealtimeStore,
        relation: int,
        changes: Sequence[Change],
        asked: Mapping[Reader, Sequence[int]],
    ) -> None:
        self._store = store
        self._relation = relation
        self._changes = changes
        self._asked = asked
        self.allowed: set[tuple[Reader, int]] = set()
        self.unanswered: set[Reader] = set()

    async def ask_all(self) -> None:
        """Ask about all readers; raise `Unavailable` and `Overloaded`."""
        readers = sorted(self._asked, key=lambda each: each.role)  # a role's conditions: made once
        for start in range(0, len(readers), READERS_AT_ONCE):
            await self._ask(readers[start : start + READERS_AT_ONCE], READERS_TIMEOUT_S)

    async def _ask(self, some: Sequence[Reader], timeout_s: float) -> None:
        try:
            pairs = await self._store.find_readers(
                self._relation,
                self._changes,
                some,
                [self._asked[reader] for reader in some],
                timeout_s=timeout_s,
            )
        except (asyncpg.PostgresError, PoliciesTooSlow):
            if len(some) == 1:
                if not self.unanswered:  # said once, however many it is so for
                    log_failure("asking the policies of a published table")
                self.unanswered.add(some[0])
                return
        else:
            self.allowed |= {(some[reader], place) for reader, place in pairs}
            return
        half = len(some) // 2
        await self._ask(some[:half], timeout_s / 2)
        await self._ask(some[half:], timeout_s / 2)


def readable_columns(table: PublishedTable, role: str) -> dict[str, str]:
    """List the columns that a role may read, with their types."""
    if role == SERVICE_ROLE:
        return dict(table.columns)
    return {name: kind for name, kind in table.columns.items() if role in table.readers[name]}


def write_change(
    table: PublishedTable, change: Change, role: str, select: frozenset[str] | None
) -> bytes:
    """Write a change for a role. Of a row before its change, only the primary key is shown."""
    columns = {
        name: kind
        for name, kind in readable_columns(table, role).items()
        if select is None or name in select or name in table.key
    }
    data: dict[str, Any] = {
        "schema": table.schema,
        "table": table.name,
        "commit_timestamp": change.changed_at.isoformat(),
        "type": change.operation,
        "columns": [{"name": name, "type": kind} for name, kind in columns.items()],
        "errors": [TOO_LARGE] if change.is_cut else None,
    }
    if change.record is not None:
        data["record"] = _some(change.record, columns)
    if change.old_record is not None:
        data["old_record"] = _some(
            change.old_record, [each for each in table.key if each in columns]
        )
    return orjson.dumps(data)


def _some(row: bytes, names: Iterable[str]) -> dict[str, Any]:
    values = orjson.loads(row)
    return {name: values[name] for name in names if name in values}
