"""`playhall saves verify`: the logs of saves, decided again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import orjson
import typer
from rich.console import Console

from persistence.command_saves.store import (
    SaveLogStore,
    StoredSaveLog,
    StoredSaveLogEvent,
    genesis_of_slot,
    iterate_log_ids,
    read_slot_state,
)
from persistence.database import Database
from persistence.eventlog.hashchain import canonical_json, link_hash
from server.config import Config
from server.domains.play.games.recorder import RecordedEvent
from server.domains.progression.command_saves import simulation
from server.gamekit.contract import Event
from server.gamekit.fold import AnyRuleset
from server.ops.audit.findings import CheckFailed
from server.ops.audit.replay_check import ReplayCheck
from server.ops.shell import DataDir, Shell
from server.rulesets import find_rulesets


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands about saves to a command line."""
    saves = typer.Typer(no_args_is_help=True, help="Check saves that are the log of a ruleset.")
    saves.callback()(lambda: None)  # so that `verify` stays a command of its own
    saves.command()(_Commands(shell).verify)
    app.add_typer(saves, name="saves")


class VerifyContext(NamedTuple):
    """What logs are checked with."""

    database: Database
    rulesets: dict[str, AnyRuleset]


class _Commands:
    """The commands; each ends with status 1 where something is not as it must be."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def verify(
        self,
        slot: Annotated[UUID | None, typer.Option(help="Only this slot, by id.")] = None,
        data_dir: DataDir = None,
    ) -> None:
        """Decide the commands of saves again, and compare events, hashes and states."""
        config = self._shell.read_config(data_dir=data_dir)
        slot_id = None if slot is None else str(slot)
        with self._shell.said_plainly():
            holds = self._shell.run_in_context(
                config, context=_context, work=lambda opened: self._verify(opened, slot_id)
            )
        if not holds:
            raise typer.Exit(1)

    async def _verify(self, opened: VerifyContext, slot_id: str | None) -> bool:
        logs = broken = 0
        async for each in _ids(opened.database, slot_id):
            logs += 1
            try:
                await check_save_log(opened, each)
            except CheckFailed as problem:
                broken += 1
                self._out.print(f"slot {each}: {problem}")
        self._out.print(f"{logs} logs of saves checked, {broken} broken.")
        return not broken


async def _ids(database: Database, slot_id: str | None) -> AsyncIterator[str]:
    if slot_id is not None:
        yield slot_id
        return
    async for each in iterate_log_ids(database):
        yield each


async def check_save_log(opened: VerifyContext, slot_id: str) -> None:
    """Raise `CheckFailed` for a log that its rules do not give, or a state that is not its own."""
    store = SaveLogStore()
    async with (
        opened.database.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        stored = await store.find_log(connection, slot_id)
        if stored is None:
            raise CheckFailed("is not the log of a ruleset")
        events = await store.read_events(connection, slot_id)
        state = await read_slot_state(connection, slot_id)
    _check_chain(stored, events)
    _check_rules(opened.rulesets, stored, events, state)


def _check_chain(stored: StoredSaveLog, events: list[StoredSaveLogEvent]) -> None:
    previous = genesis_of_slot(stored.slot_id)
    for index, event in enumerate(events):
        payload = canonical_json(orjson.loads(event.payload))
        previous = link_hash(previous, index, event.type, payload)
        if event.event_index != index or event.hash != previous:
            raise CheckFailed(f"the hash of event {index} is not that of the log up to there")
    if (len(events), previous) != (stored.next_index, stored.hash):
        raise CheckFailed(f"the log has {len(events)} events, and should have {stored.next_index}")


def _check_rules(
    rulesets: dict[str, AnyRuleset],
    stored: StoredSaveLog,
    events: list[StoredSaveLogEvent],
    state: dict[str, Any],
) -> None:
    newest = rulesets.get(stored.ruleset)
    ruleset = None if newest is None else newest.of_version(stored.ruleset_version)
    if ruleset is None:
        raise CheckFailed(f"version {stored.ruleset_version} of {stored.ruleset} is not installed")
    log = [_recorded(event) for event in events]
    origin = simulation.read_origin(ruleset, stored.player_id, stored.config, stored.seed)
    fold = ReplayCheck(origin, log).run()
    if canonical_json(simulation.build_slot_state(fold)) != canonical_json(state):
        raise CheckFailed("its state is not what its log gives")


def _recorded(stored: StoredSaveLogEvent) -> RecordedEvent:
    event = Event(stored.type, orjson.loads(stored.payload))
    return RecordedEvent(stored.event_index, event, canonical_json(event.payload), b"")


@asynccontextmanager
async def _context(config: Config, dsn: str) -> AsyncIterator[VerifyContext]:
    async with await Database.open(dsn) as database:
        yield VerifyContext(
            database,
            find_rulesets(*config.ruleset_directories()),
        )
