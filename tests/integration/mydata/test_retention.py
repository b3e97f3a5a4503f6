"""What is kept about people: the declared list against the database, and rows that grow old."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import asyncpg
import pytest

from persistence.database import Database
from persistence.profiles.personal_data import BY_WALLET
from persistence.retention import NOTHING_PERSONAL, PERSONAL, Erasure, Export
from persistence.rls import RlsDatabase
from server.app import App
from server.config import Config
from server.core.settings import variable_names
from server.core.tasks import Tasks
from server.domains.services import Services
from server.domains.settings import included_settings
from tests.integration.mydata.conftest import ADA
from tests.integration.telemetry.conftest import MovableClock, uuid7

DAY: Final = timedelta(days=1)
TABLES: Final = """
    SELECT n.nspname || '.' || c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND n.nspname IN ('public', 'playhall_auth', 'playhall_realtime', 'auth')
"""
# What goes with a person: what refers to them with ON DELETE CASCADE, and what refers to that so.
DELETED: Final = """
    WITH RECURSIVE gone AS (
        SELECT oid FROM pg_catalog.pg_class
        WHERE oid IN ('auth.users'::regclass, 'public.profiles'::regclass)
        UNION
        SELECT f.conrelid FROM pg_catalog.pg_constraint f JOIN (
            SELECT oid FROM gone UNION SELECT 'public.players'::regclass) g ON f.confrelid = g.oid
        WHERE f.contype = 'f' AND f.confdeltype = 'c')
    SELECT n.nspname || '.' || c.relname FROM gone
    JOIN pg_catalog.pg_class c USING (oid) JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT c.relispartition
"""
UNLINKED: Final = """
    SELECT DISTINCT n.nspname || '.' || c.relname FROM pg_catalog.pg_constraint f
    JOIN pg_catalog.pg_class c ON c.oid = f.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE f.contype = 'f' AND f.confdeltype = 'n' AND f.confrelid IN (
        'auth.users'::regclass, 'public.profiles'::regclass, 'public.players'::regclass)
"""


class Aged(NamedTuple):
    """How old rows are made: by a time in `column`, in the future if it says when a row expires."""

    column: str
    expires: bool = False
    also: str = ""  # what else is set, so that nothing but the age keeps the row
    of: str = ""  # the table of the column, if it is another one
    where: str = "true"  # which rows go at all


SWEPT: Final = {
    "playhall_auth.refresh_tokens": Aged("expires_at", expires=True),
    "playhall_auth.codes": Aged("expires_at", expires=True),
    "playhall_auth.merge_moves": Aged("undo_until", expires=True, of="account_merges"),
    "wallet_nonces": Aged("expires_at", expires=True),
    "notifications": Aged("expires_at", expires=True),
    "file_uploads": Aged("expires_at", expires=True),
    "event_outbox": Aged("done_at"),
    "playhall_realtime.changes": Aged("changed_at"),
    "webhook_deliveries": Aged("created_at", also=", state = 'delivered', delivered_at = now()"),
    "telemetry_dead_letters": Aged("received_at"),
    "telemetry_forwards": Aged("queued_at"),
    "stripe_events": Aged("received_at"),
    "view_salts": Aged("day"),
    "creation_views": Aged("day", also=", is_counted = true"),
    "board_entries": Aged("ends_at"),
    "series": Aged("changed_at"),
    "lobbies": Aged(
        "closed_at",
        also=", status = 'CLOSED'",
        where="NOT EXISTS (SELECT FROM games g WHERE g.lobby_id = lobbies.id)"
        " AND NOT EXISTS (SELECT FROM matches m WHERE m.lobby_id = lobbies.id)",
    ),
}


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def app(
    owner: asyncpg.Connection,
    database: Database,
    rls: RlsDatabase,
    tmp_path: Path,
    clock: MovableClock,
) -> AsyncIterator[App]:
    """A node that is not started, on the database with a row of Ada's in every table."""
    async with Tasks() as tasks:
        config = Config(data_dir=tmp_path, epochs=False)
        yield App(Services(config, database, rls, "n1", clock, tasks, {}))


async def names(owner: asyncpg.Connection, query: str) -> set[str]:
    return {name for (name,) in await owner.fetch(query)}


async def test_every_table_has_a_decision_and_its_columns_are_there(
    owner: asyncpg.Connection,
) -> None:
    assert await names(owner, TABLES) == {*PERSONAL, *NOTHING_PERSONAL}, (
        "list the table in persistence/retention.py"
    )
    for table, kept in PERSONAL.items():
        columns = await names(
            owner,
            "SELECT attname::text FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped"
            f" AND attrelid = '{table}'::regclass",
        )
        assert set(kept.columns.split()) <= columns, table
    await owner.execute("SET search_path = ''")
    for table, column in await owner.fetch(
        "SELECT relation, referrer FROM playhall_auth.person_columns()"
    ):
        assert column in PERSONAL[table].columns.split(), f"{table}.{column} names a person"


async def test_export_and_erasure_do_what_is_declared(owner: asyncpg.Connection) -> None:
    await owner.execute("SET search_path = ''")
    exported = await names(owner, "SELECT name FROM playhall_auth.person_tables()")
    assert {table for table, kept in PERSONAL.items() if kept.export is Export.TABLE} == exported
    by_wallet = {table for table, kept in PERSONAL.items() if kept.export is Export.WALLET}
    assert len(by_wallet) == len(BY_WALLET)
    deleted = await names(owner, DELETED) | {"public.telemetry_events"}  # by its trigger
    assert {table for table, kept in PERSONAL.items() if kept.erasure is Erasure.DELETED} == deleted
    unlinked = await names(owner, UNLINKED) - deleted - {"public.players"}  # which is nameless
    declared = {table for table, kept in PERSONAL.items() if kept.erasure is Erasure.UNLINKED}
    assert declared == unlinked


def test_every_period_has_one_sweep_and_its_setting(app: App) -> None:
    periods = {table.removeprefix("public.") for table, kept in PERSONAL.items() if kept.period}
    swept = [
        "event_outbox",
        *(sweep.table for domain in app.domains for sweep in domain.retention),
    ]
    assert sorted(swept) == sorted(periods) == sorted([*SWEPT, "telemetry_events"])
    settings = {
        kept.period.setting for kept in PERSONAL.values() if kept.period and kept.period.setting
    }
    known = {name for model in (Config, *included_settings()) for name in variable_names(model)}
    assert settings <= known


async def test_rows_go_when_they_are_old_and_not_before(
    owner: asyncpg.Connection, app: App, clock: MovableClock
) -> None:
    # Dates that others follow from are not checked while rows are made older.
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(
        "SELECT telemetry_make_days($1, $2)", clock.now().date() - DAY, clock.now().date()
    )
    await owner.execute(
        "DELETE FROM telemetry_events; INSERT INTO telemetry_events"
        " (event_id, account_id, event_type, payload, timestamp, schema_version)"
        f" VALUES ('{uuid7(clock.now())}', '{ADA}', 'test_step', '{{}}', now(), 1)"
    )
    await owner.execute(
        "INSERT INTO telemetry_dead_letters"
        " (account_id, event_id, event_type, payload, timestamp, is_shared, code, problem)"
        f" VALUES ('{ADA}', '{uuid7(clock.now())}', 'x', '{{}}', now(), false, 'unknown_type', '')"
    )
    await owner.execute(
        "INSERT INTO account_merges (user_id, merged_user_id, was_anonymous, undo_until)"
        f" VALUES ('{ADA}', gen_random_uuid(), false, now());"
        "INSERT INTO playhall_auth.merge_moves"
        " SELECT id, 'wallets', 'user_id', '{}' FROM account_merges"
    )
    for years, moved in ((0, timedelta()), (-2, 40 * DAY)):
        clock.ahead = moved
        for table, aged in SWEPT.items():
            at = datetime.now(UTC) + years * 365 * DAY + (DAY if aged.expires else timedelta())
            await owner.execute(f"UPDATE {aged.of or table} SET {aged.column} = $1{aged.also}", at)
        before = {table: await _count(owner, table) for table in (*SWEPT, "telemetry_events")}
        assert min(before.values()) > 0
        for sweep in (*app.retention.sweeps, *app.retention.sweeps):
            await app.retention.clear_table(sweep)  # a lobby goes after those of its tables
        left = {table: await _count(owner, table) for table in before}
        assert left == (dict.fromkeys(before, 0) if years else before)
        read = {
            sample.labels["table"]: sample.value
            for metric in app.retention.collect()
            for sample in metric.samples
        }
        assert read == {table: before[table] if years else 0 for table in read}


async def _count(owner: asyncpg.Connection, table: str) -> int:
    where = SWEPT[table].where if table in SWEPT else "true"
    return int(await owner.fetchval(f"SELECT count(*) FROM {table} WHERE {where}"))
