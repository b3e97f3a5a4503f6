"""Quests, timed events, how far slots are, and what was claimed.

What people may not know, definitions of hidden quests above all, is read as the server; progress is
changed as the server too, in the caller's transaction, which holds the slot.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.inventory.references import refer, require_assets
from persistence.queries import load_queries
from protocol.ids import PlayerId, UserId
from protocol.inventory import Mode
from protocol.quests import EVENTS_MAX, QUESTS_MAX

SQL: Final = load_queries("quests/store")
CHECKED_MAX: Final = 10_000  # titles with settings of their own
_LAST_FIELDS: Final = (
    *("event", "hidden", "is_withdrawn", "package", "follows", "min_play_time_s"),
)
LISTENING_MAX: Final = 5000  # quests that one game may count for


class StoredQuest(NamedTuple):
    """A quest as an editor wrote it; `steps` and `reward_bundle` are parsed JSON."""

    quest_id: str
    save_title: str
    name: str
    title: str
    description: str
    required_flags: str
    fails_when: str
    steps: list[dict[str, Any]]
    reward_bundle: dict[str, Any]
    event: str | None
    hidden: bool
    is_withdrawn: bool
    package: str | None
    follows: list[str]
    min_play_time_s: int
    version: int
    updated_at: datetime


class StoredTimedEvent(NamedTuple):
    """A timed event, or a season, which has none; `starts_at` has no zone."""

    event_id: str
    save_title: str
    name: str
    season: str | None
    title: str
    description: str
    starts_at: datetime
    zone: str
    duration_s: int
    recurrence: str | None
    is_withdrawn: bool
    version: int
    updated_at: datetime


class ProgressRow(NamedTuple):
    """How far a slot is with a quest."""

    entry_id: str
    quest_id: str
    status: str
    step: int
    step_count: int
    last_updated: datetime


class GameCountingQuest(NamedTuple):
    """An active quest that counts games, and whose it is."""

    entry_id: str
    quest_id: str
    slot_id: str
    account_id: UserId
    player_id: PlayerId


class Availability(NamedTuple):
    """Which quests of a slot are available as its devices know, and which ever were; by id."""

    available: frozenset[str] = frozenset()
    reached: frozenset[str] = frozenset()


class StoredChecks(NamedTuple):
    """What is done about implausible progress in a title; None: as the node is set."""

    play_time: Mode | None = None
    quest_order: Mode | None = None


class NoSuchReference(Exception):
    """What is referred to by name, an event or a season, is not there."""


class QuestStore:
    """Quests in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------------ definitions

    async def list_quests(self, connection: Connection, title: str) -> list[StoredQuest]:
        """List the quests of a title, by name."""
        rows = await connection.fetch(SQL["list_quests"], title, QUESTS_MAX)
        return [_quest(row) for row in rows]

    async def list_timed_events(
        self, connection: Connection, title: str
    ) -> tuple[list[StoredTimedEvent], list[StoredTimedEvent]]:
        """List the timed events and the seasons of a title, by name."""
        events = await connection.fetch(SQL["list_events"], title, EVENTS_MAX)
        seasons = await connection.fetch(SQL["list_seasons"], title, EVENTS_MAX)
        return [StoredTimedEvent(*row) for row in events], [
            StoredTimedEvent(*row) for row in seasons
        ]

    async def put_quest(
        self, title: str, name: str, said: Mapping[str, Any], *, actor: UserId
    ) -> StoredQuest | None:
        """Add or change a quest, on record; None beyond the bound.

        Raise `NoSuchReference`, or `AssetNotFound` and `AssetRetired` for what the reward has.
        """
        values = (
            *(said[each] for each in ("title", "description", "required_flags", "fails_when")),
            orjson.dumps(said["steps"]),
            orjson.dumps(said["reward_bundle"]),
            *(said[each] for each in _LAST_FIELDS),
        )
        row = await self._put("quest", title, name, values, said, QUESTS_MAX, actor)
        return None if row is None else _quest(row)

    async def put_event(
        self, title: str, name: str, said: Mapping[str, Any], starts_at: datetime, *, actor: UserId
    ) -> StoredTimedEvent | None:
        """Add or change a timed event, on record. May raise `NoSuchReference`."""
        values = (said["season"], *_schedule(said, starts_at))
        row = await self._put("event", title, name, values, said, EVENTS_MAX, actor)
        return None if row is None else StoredTimedEvent(*row)

    async def put_season(
        self, title: str, name: str, said: Mapping[str, Any], starts_at: datetime, *, actor: UserId
    ) -> StoredTimedEvent | None:
        """Add or change a season, on record."""
        values = _schedule(said, starts_at)
        row = await self._put("season", title, name, values, said, EVENTS_MAX, actor)
        return None if row is None else StoredTimedEvent(*row)

    async def _put(
        self,
        kind: str,
        title: str,
        name: str,
        values: Sequence[Any],
        said: Mapping[str, Any],
        at_most: int,
        actor: UserId,
    ) -> asyncpg.Record | None:
        query = {"quest": "put_quest", "event": "put_event", "season": "put_season"}[kind]
        try:
            async with self._database.transaction() as connection:
                if kind == "quest":
                    await require_assets(connection, said["reward_bundle"], "reward_bundle")
                row = await connection.fetchrow(SQL[query], title, name, *values, at_most)
                if row is not None:
                    if kind == "quest":
                        await refer(connection, [said["reward_bundle"]], quest_id=row["quest_id"])
                    await record_entry(
                        connection,
                        actor=actor,
                        action=f"put_{kind}",
                        target=f"{title} {name}",
                        after={**said, "version": row["version"]},
                    )
        except asyncpg.ForeignKeyViolationError as error:
            raise NoSuchReference from error
        return row

    async def checks(self, connection: Connection, title: str) -> StoredChecks:
        """Read what is done about implausible progress in a title."""
        row = await connection.fetchrow(SQL["read_checks"], title)
        return StoredChecks() if row is None else StoredChecks(*row)

    async def put_checks(
        self, title: str, checks: StoredChecks, *, actor: UserId
    ) -> StoredChecks | None:
        """Set what is done about implausible progress, on record; None beyond the bound."""
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(SQL["put_checks"], title, *checks, CHECKED_MAX)
            if row is None:
                return None
            await record_entry(
                connection,
                actor=actor,
                action="put_quest_checks",
                target=title,
                after=checks._asdict(),
            )
        return StoredChecks(*row)

    # ------------------------------------------------------------------ how far slots are

    async def read_progress(self, connection: Connection, slot_id: str) -> dict[str, ProgressRow]:
        """Read how far a slot is, by the ids of quests."""
        rows = await connection.fetch(SQL["list_progress"], slot_id)
        return {row["quest_id"]: ProgressRow(*row) for row in rows}

    async def list_claimed(
        self, connection: Connection, account_id: UserId, title: str
    ) -> set[str]:
        """List whose rewards an account has, with whichever slot."""
        rows = await connection.fetch(SQL["list_claims"], account_id, title)
        return {row["quest_id"] for row in rows}

    async def ensure_entry(
        self, connection: Connection, account_id: UserId, slot_id: str, quest_id: str
    ) -> ProgressRow:
        """Have an entry for a quest, which begins as locked."""
        row = await connection.fetchrow(SQL["begin_progress"], slot_id, account_id, quest_id)
        assert row is not None
        return ProgressRow(*row)

    async def update_entry(
        self,
        connection: Connection,
        entry_id: str,
        status: str,
        *,
        step: int,
        step_count: int,
        at: datetime,
    ) -> ProgressRow:
        """Give an entry another state, or take it further."""
        values = (entry_id, status, step, step_count, at)
        row = await connection.fetchrow(SQL["move_progress"], *values)
        assert row is not None
        return ProgressRow(*row)

    async def availability(self, connection: Connection, slot_id: str) -> Availability:
        """Read which quests of a slot are available as its devices know, and which ever were."""
        row = await connection.fetchrow(SQL["read_availability"], slot_id)
        return Availability() if row is None else Availability(*map(frozenset, row))

    async def put_availability(
        self, connection: Connection, slot_id: str, availability: Availability
    ) -> None:
        """Note which quests of a slot are available as its devices know, and which ever were."""
        values = [sorted(each) for each in availability]
        await connection.execute(SQL["put_availability"], slot_id, *values)

    async def list_counting_quests(
        self, players: Sequence[PlayerId], ruleset: str
    ) -> list[GameCountingQuest]:
        """List the active quests of some players that count games of a ruleset."""
        async with self._database.acquire() as connection:
            values = (list(players), ruleset, LISTENING_MAX)
            rows = await connection.fetch(SQL["list_listening"], *values)
        return [GameCountingQuest(*row) for row in rows]

    async def list_counted_rulesets(
        self, players: Collection[PlayerId]
    ) -> set[tuple[PlayerId, str]]:
        """List which of some players have active quests that count games, and of which rulesets."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_counted_rulesets"], list(players))
        return {(player_id, ruleset) for player_id, ruleset in rows}

    async def record_counted_event(
        self, connection: Connection, entry_id: str, event_id: str
    ) -> bool:
        """Note that an entry counts an event; False if it has."""
        return await connection.fetchval(SQL["see_event"], entry_id, event_id) is not None

    async def record_claim(
        self,
        connection: Connection,
        account_id: UserId,
        quest_id: str,
        grant_key: str,
        slot_id: str,
        bundle: Mapping[str, Any],
    ) -> bool:
        """Note that an account gets a reward; False if it has it, with whichever slot."""
        values = (account_id, quest_id, grant_key, slot_id, orjson.dumps(bundle))
        return await connection.fetchval(SQL["claim_reward"], *values) is not None


def _schedule(said: Mapping[str, Any], starts_at: datetime) -> tuple[Any, ...]:
    texts = (said["title"], said["description"], starts_at)
    return (*texts, *(said[each] for each in ("zone", "duration_s", "recurrence", "is_withdrawn")))


def _quest(row: asyncpg.Record) -> StoredQuest:
    fields = dict(row)
    for each in ("steps", "reward_bundle"):
        fields[each] = orjson.loads(fields[each])
    return StoredQuest(**fields)
