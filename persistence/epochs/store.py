"""Days of competition as they are stored: profiles, days, slots, events."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

import asyncpg
import orjson

from persistence.accounts.audit_log import CONSOLE, record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.epoch_profile import EpochProfile, Phase
from protocol.epochs import EpochNotFound, EpochsOverlap, ProfileInUse
from protocol.errors import InvalidField, NotFound
from protocol.ids import BotId, EpochId

SQL = load_queries("epochs/store")
PROFILES_KEPT: Final = 64
PAGE_ROWS: Final = 500

# A day is asked for by its id or its date; None is the present one.
DayKey: TypeAlias = EpochId | date | None


class EpochDay(NamedTuple):
    """A day; `config` is its profile as JSON."""

    epoch_id: EpochId
    day: date
    phase: Phase
    starts_at: datetime
    freeze_at: datetime
    ends_at: datetime
    frozen_at: datetime | None
    archived_at: datetime | None
    version: int
    pool_wei: int
    events_digest: bytes | None
    summary_uri: str | None
    profile_key: str
    config: bytes

    @property
    def profile(self) -> EpochProfile:
        """The rules that the day is played by."""
        return parse_profile(self.config)


class StoredEpochProfile(NamedTuple):
    """Rules of a day, as they are kept."""

    profile_id: str
    profile_key: str
    version: int
    is_active: bool
    config: bytes

    @property
    def profile(self) -> EpochProfile:
        """The rules themselves."""
        return parse_profile(self.config)


class StoredSlot(NamedTuple):
    """A slot and what it holds; `version` changed it last."""

    slot_index: int
    slot_type: str
    slot_label: str
    code: str | None
    bot_id: BotId | None
    bot: str | None
    updated_at: datetime | None
    version: int


class StoredEpochEvent(NamedTuple):
    """An event as everybody may see it; `payload` is JSON, `bot` the slug of who did it."""

    version: int
    type: str
    at: datetime
    bot_id: BotId | None
    bot: str | None
    slot_index: int | None
    payload: bytes


class NewDay(NamedTuple):
    """What a day is made with; the times are aware."""

    day: date
    profile_id: str
    starts_at: datetime
    freeze_at: datetime
    ends_at: datetime
    profile: EpochProfile


class PreviousDay(NamedTuple):
    """What the next day needs to know of the one before it.

    `is_whole` says whether it was to last the whole local day, so that no pause is meant to
    follow it.
    """

    day: date
    ends_at: datetime
    is_whole: bool


class NextDay(NamedTuple):
    """What a day needs to know of the one that follows it and is announced already."""

    day: date
    starts_at: datetime


class EpochStore:
    """Profiles, days and what happened in them. Reading is for everybody."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------------ time and profiles

    async def now(self) -> datetime:
        """Say what time it is for epochs."""
        async with self._database.acquire() as connection:
            now: datetime = await connection.fetchval(SQL["now"])
        return now

    async def set_clock(self, at: datetime, *, speed: float = 1.0, actor: str = CONSOLE) -> None:
        """Move the time of epochs, for every node, on record."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["set_clock"], at, speed)
            after = {"at": at, "speed": speed}
            await record_entry(
                connection, actor=actor, action="clock", target="epochs", after=after
            )

    async def reset_clock(self, *, actor: str = CONSOLE) -> None:
        """Let the time of epochs be the real one, on record."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["reset_clock"])
            await record_entry(connection, actor=actor, action="clock", target="epochs")

    async def save_profile(self, key: str, profile: EpochProfile, *, actor: str = CONSOLE) -> None:
        """Keep a profile under its key, on record; raise `ProfileInUse` if days were made by it."""
        rules = profile.model_dump(mode="json")
        config = orjson.dumps(rules)
        async with self._database.transaction() as connection:
            try:
                kept = await connection.fetchval(SQL["put_profile"], key, config)
            except asyncpg.CheckViolationError:
                problem = f"key: {key!r} must be 1 to 64 of a-z, 0-9 and -, such as daily-v2."
                raise InvalidField(problem, field="key") from None
            if kept is None:
                raise ProfileInUse
            await record_entry(connection, actor=actor, action="profile", target=key, after=rules)

    async def activate_profile(self, key: str, *, actor: str = CONSOLE) -> None:
        """Make new days by a profile, on record; raise `NotFound`."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["deactivate_profiles"], key)
            if await connection.fetchval(SQL["activate_profile"], key) is None:
                raise NotFound(
                    f"There is no profile {key!r}; `playhall epoch profiles` lists them."
                )
            await record_entry(connection, actor=actor, action="profile_activated", target=key)

    async def list_profiles(self) -> list[StoredEpochProfile]:
        """List them all, by key."""
        async with self._database.acquire() as connection:
            return [
                StoredEpochProfile(*row) for row in await connection.fetch(SQL["list_profiles"])
            ]

    async def read_active_profile(self) -> StoredEpochProfile | None:
        """Read the profile that new days are made by."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["active_profile"])
        return None if row is None else StoredEpochProfile(*row)

    async def list_profiles_in_use(self) -> list[tuple[str, bytes]]:
        """List keys and rules, as JSON, of the active profile and of days under way."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["profiles_in_use"])
        return [(row["profile_key"], row["config"]) for row in rows]

    # ------------------------------------------------------------------ days

    async def create_day(self, new: NewDay) -> EpochId | None:
        """Add a day and its slots; None if there is one of its date; raise `EpochsOverlap`."""
        async with self._database.transaction() as connection:
            return await add_day(connection, new)

    async def read_neighbour_days(self, now: datetime) -> tuple[PreviousDay | None, NextDay | None]:
        """Read the last day that has begun at a time, and the first that has not."""
        async with self._database.acquire() as connection:
            before = await connection.fetchrow(SQL["day_before"], now)
            after = await connection.fetchrow(SQL["day_after"], now)
        return (
            None if before is None else PreviousDay(*before),
            None if after is None else NextDay(*after),
        )

    async def read_day(self, key: DayKey) -> EpochDay:
        """Read a day; raise `EpochNotFound`."""
        async with self._database.acquire() as connection:
            return await find_day(connection, key)

    async def list_days(self, *, before: date, limit: int) -> list[EpochDay]:
        """List the days before one, newest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_days"], before, limit)
        return [_day(row) for row in rows]

    async def read_slots(self, epoch_id: EpochId) -> tuple[int, Phase, list[StoredSlot]]:
        """Read a day's slots, the version they are of, and the phase it was in then."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["read_slots"], epoch_id)
        if not rows:
            raise EpochNotFound
        return rows[0]["head"], rows[0]["phase"], [StoredSlot(*tuple(row)[2:]) for row in rows]

    async def read_events(
        self, epoch_id: EpochId, *, after: int, limit: int
    ) -> Sequence[StoredEpochEvent]:
        """Read events in the order of their versions."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["read_events"], epoch_id, after, limit)
        return [StoredEpochEvent(*row) for row in rows]

    async def iterate_events(self, epoch_id: EpochId) -> AsyncIterator[StoredEpochEvent]:
        """Go through all events of a day, page by page."""
        after = 0
        while page := await self.read_events(epoch_id, after=after, limit=PAGE_ROWS):
            for event in page:
                yield event
            after = page[-1].version

    async def read_edition(self, epoch_id: EpochId) -> asyncpg.Record | None:
        """Read what is known of a day's edition."""
        async with self._database.acquire() as connection:
            return await connection.fetchrow(SQL["read_edition"], epoch_id)


async def find_day(connection: Connection, key: DayKey) -> EpochDay:
    """Read a day; raise `EpochNotFound`."""
    if key is None:
        row = await connection.fetchrow(SQL["current_day"])
    elif isinstance(key, date):
        row = await connection.fetchrow(SQL["find_day"], None, key)
    else:
        row = await connection.fetchrow(SQL["find_day"], key, None)
    if row is None:
        raise EpochNotFound
    return _day(row)


async def add_day(connection: Connection, new: NewDay) -> EpochId | None:
    """Add a day in a transaction; None if there is one of its date; raise `EpochsOverlap`."""
    try:
        pool_wei = new.profile.settlement.payout.pool_wei
        epoch_id: EpochId | None = await connection.fetchval(SQL["make_day"], *new[:5], pool_wei)
    except asyncpg.ExclusionViolationError:
        raise EpochsOverlap from None
    if epoch_id is None:
        return None
    slots = new.profile.slots.map
    types, labels = [slot.type for slot in slots], [slot.label for slot in slots]
    await connection.execute(SQL["make_slots"], epoch_id, types, labels)
    await append_event(connection, epoch_id, "phase_changed", payload={"phase": "prep"})
    return epoch_id


async def append_event(
    connection: Connection,
    epoch_id: EpochId,
    kind: str,
    *,
    at: datetime | None = None,
    bot_id: BotId | None = None,
    slot_index: int | None = None,
    payload: Mapping[str, object],
) -> tuple[int, datetime]:
    """Add a day's next event in the transaction of what it records; gives its version and time."""
    values = (epoch_id, kind, at, bot_id, slot_index, orjson.dumps(payload))
    version, occurred_at = await connection.fetchrow(SQL["append"], *values)  # type: ignore[misc]  # the day is locked, so there
    return version, occurred_at


def _day(row: asyncpg.Record) -> EpochDay:
    return EpochDay(**{**row, "pool_wei": int(row["pool_wei"])})


@lru_cache(maxsize=PROFILES_KEPT)
def parse_profile(config: bytes) -> EpochProfile:
    """Read the rules of a day; the same rules are read once."""
    return EpochProfile.model_validate(orjson.loads(config))
