"""The demonstration story, seeded by the domains' services into real databases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
import typer
from pydantic import SecretStr

from persistence.joined import JoinedDatabase
from protocol.errors import InvalidField
from server.config import Config
from server.ops.seed_cli import require_only_guests
from server.ops.seeding.context import SeedContext, open_context
from server.ops.seeding.reader import SimulatedReader
from server.ops.seeding.seeding import NarrativeSeeding
from tests.fixtures.node import SECRET_KEYS
from tests.fixtures.postgres import TEMPLATE

PLAYERS = 6
# What players did, without ids and times.
DEEDS = """
SELECT p.username, 'event', e.event_type || e.payload::text
FROM telemetry_events e JOIN profiles p ON p.id = e.account_id
UNION ALL
SELECT p.username, 'quest', q.name || ' ' || g.status
FROM quest_progress g JOIN profiles p ON p.id = g.account_id JOIN quests q USING (quest_id)
UNION ALL
SELECT p.username, 'revision', r.revision || r.reason || r.device || r.outcome || r.checksum
FROM save_revisions r JOIN profiles p ON p.id = r.account_id JOIN save_slots s USING (slot_id)
WHERE s.title = 'long_winter'
UNION ALL
SELECT p.username, 'ledger', t.kind || coalesce(e.item_id, e.currency_id) || e.amount
FROM ledger_entries e JOIN ledger_transactions t USING (transaction_id)
JOIN profiles p ON p.id = e.account_id
"""


@pytest.fixture
def seeding(databases, tmp_path):
    """Give the context of a new database, and its owner's address."""
    made = []

    @asynccontextmanager
    async def open_one() -> AsyncIterator[tuple[SeedContext, str]]:
        owner = databases.create(template=TEMPLATE)
        made.append(owner)
        dsn = databases.serving_dsn(owner)
        config = Config(
            data_dir=tmp_path / str(len(made)),
            database_url=SecretStr(dsn),
            secret_keys=SecretStr(SECRET_KEYS),
        )
        async with open_context(config, dsn) as context:
            yield context, owner

    yield open_one
    for owner in made:
        databases.drop(owner)


def run(context, players, seed=1):
    return NarrativeSeeding(context, seed=seed, on_progress=lambda _: None).run(players)


def deeds(owner):
    with psycopg.connect(owner) as database:
        return sorted(database.execute(DEEDS).fetchall())


async def test_the_same_seed_leads_to_the_same_deeds(seeding):
    async with seeding() as (context, owner):
        assert await run(context, PLAYERS) == (PLAYERS, 0)
        first = deeds(owner)
        with pytest.raises(InvalidField, match="--seed 1"):
            await run(context, PLAYERS, seed=2)
        assert await run(context, PLAYERS) == (0, PLAYERS)
        assert deeds(owner) == first
    assert {kind for _, kind, _ in first} == {"event", "quest", "revision", "ledger"}
    async with seeding() as (context, owner):
        await run(context, PLAYERS)
        assert deeds(owner) == first
    async with seeding() as (context, owner):
        await run(context, PLAYERS, seed=2)
        assert deeds(owner) != first


async def test_a_run_that_fails_leaves_no_half_player_and_is_finished_by_the_next(
    seeding, monkeypatch
):
    play = SimulatedReader.play_all

    async def cut_short(reader: SimulatedReader) -> None:
        await play(reader)
        if reader.name == "reader_00003":
            raise LookupError("the disk is full")

    async with seeding() as (context, owner):
        with monkeypatch.context() as broken:
            broken.setattr(SimulatedReader, "play_all", cut_short)
            with pytest.raises(ExceptionGroup):
                await run(context, 4)
        assert deeds(owner) == []
        assert await run(context, 4) == (4, 0)
        assert {name for name, *_ in deeds(owner)} == {f"reader_0000{n}" for n in range(1, 5)}


async def test_database_in_which_people_have_signed_in_is_refused(seeding):
    async with seeding() as (context, owner):
        await run(context, 1)
        await require_only_guests(context)  # seeded players are guests
        with psycopg.connect(owner, autocommit=True) as database:
            database.execute("UPDATE auth.users SET is_anonymous = false")
        with pytest.raises(typer.BadParameter, match="--yes"):
            await require_only_guests(context)


async def test_what_fails_inside_a_joined_transaction_leaves_nothing(databases, fresh_dsn):
    async with await JoinedDatabase.open(databases.serving_dsn(fresh_dsn)) as database:

        async def note(action: str) -> None:
            async with database.transaction() as connection:
                await connection.execute(
                    "INSERT INTO audit_log (actor, action, target) VALUES ('console', $1, '')",
                    action,
                )
                if action == "fails":
                    raise LookupError(action)

        async with database.joined():
            await note("first")
            with pytest.raises(LookupError, match="fails"):
                await note("fails")
            await note("second")

        async def fail_after_another() -> None:
            async with database.joined():
                await note("third")
                raise LookupError("after")

        with pytest.raises(LookupError, match="after"):
            await fail_after_another()
        async with database.acquire() as connection:
            noted = await connection.fetch("SELECT action FROM audit_log")
    assert [action for (action,) in noted] == ["first", "second"]
