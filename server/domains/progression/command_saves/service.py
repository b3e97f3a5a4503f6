"""The use cases: begin a log, read it, and carry commands out, each holding the slot's row."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeAlias

import orjson
from pydantic import ValidationError

from persistence.command_saves.store import (
    LogMutation,
    SaveLogStore,
    StoredSaveLog,
    StoredSaveLogEvent,
    genesis_of_slot,
)
from persistence.database import Connection, Database
from persistence.eventlog.hashchain import canonical_json
from persistence.saves.changes import ChangeRow
from persistence.saves.schemas import SaveSchemaStore
from protocol import command_saves as wire
from protocol.errors import InvalidField, MoveRefused
from protocol.saves import MutationReused
from server.core.clock import Clock, wire_time
from server.core.containment import RAISED_BY_RULES
from server.core.rules_watch import CALLING_RULES
from server.domains.interfaces import ProgressStream, SaveSlot, SaveSlots
from server.domains.progression.command_saves import simulation
from server.domains.services import Services
from server.gamekit.contract import Event, IllegalMove
from server.gamekit.fold import AnyRuleset, GameFold
from server.gamekit.table import visible_payload
from server.gateway.session.identity import Identity

log = logging.getLogger(__name__)

# The merge rule that a title's save schema has, so that nobody writes states but the server.
SERVER_ONLY: Final = {"/*": "server"}

Seeds: TypeAlias = Callable[[], str]


class _Opened(NamedTuple):
    """A log that is held, folded up to now."""

    slot: SaveSlot
    stored: StoredSaveLog
    fold: GameFold
    commands: int = 0


class CommandSaveService:
    """What players do with saves that are logs."""

    def __init__(
        self,
        *,
        database: Database,
        store: SaveLogStore,
        schemas: SaveSchemaStore,
        slots: SaveSlots,
        stream: ProgressStream,
        rulesets: Mapping[str, AnyRuleset],
        clock: Clock,
        new_seed: Seeds,
    ) -> None:
        self._database = database
        self._store = store
        self._schemas = schemas
        self._slots = slots
        self._stream = stream
        self._rulesets = rulesets
        self._clock = clock
        self._new_seed = new_seed
        self.carried_out = 0
        self.refused = 0

    async def begin(self, who: Identity, slot_id: str, asked: wire.BeginLog) -> wire.SaveLog:
        """Make a slot the log of the ruleset that its title names; a repeat changes nothing."""
        async with self._database.transaction() as connection:
            slot = await self._slots.lock(connection, who.user_id, slot_id)
            if (stored := await self._store.find_log(connection, slot_id)) is not None:
                opened = await self._opened(connection, slot, stored)
                return _shown(opened.fold, stored, [], is_repeated=True)
            ruleset = self._ruleset_of(slot)
            await self._require_server_only(connection, slot)
            seed = self._new_seed()
            with _rules():
                try:
                    origin = simulation.read_origin(ruleset, who.player_id, asked.config, seed)
                except ValidationError as error:
                    problem = error.errors()[0]
                    field = ".".join(["config", *map(str, problem["loc"])])
                    raise InvalidField(f"{field}: {problem['msg']}.", field=field) from None
                fold, events = simulation.begin_log(origin)
            stored = StoredSaveLog(
                slot_id,
                who.user_id,
                who.player_id,
                ruleset.name,
                ruleset.version,
                origin.config.model_dump(),
                seed,
                0,
                genesis_of_slot(slot_id),
            )
            await self._store.add_log(connection, stored)
            added, change = await self._write(connection, _Opened(slot, stored, fold), events)
            stored = stored._replace(next_index=len(added))
        self._stream.announce(change)
        return _shown(fold, stored, added)

    async def read(self, who: Identity, slot_id: str, after: int) -> wire.SaveLog:
        """Read a log as it is now, with its events after one."""
        async with self._database.transaction() as connection:
            slot = await self._slots.read(connection, who.user_id, slot_id)
            stored = await self._found(connection, slot_id)
            opened = await self._opened(connection, slot, stored)
            events = await self._store.read_events(
                connection, slot_id, after=after, limit=wire.PAGE_EVENTS
            )
        return _shown(opened.fold, stored, events)

    async def command(self, who: Identity, slot_id: str, asked: wire.LogCommands) -> wire.SaveLog:
        """Carry moves out, all or none; raise `MoveRefused` for the first that the rules refuse."""
        content = sha256(orjson.dumps([asked.moves, asked.at_index])).hexdigest()
        async with self._database.transaction() as connection:
            slot = await self._slots.lock(connection, who.user_id, slot_id)
            stored = await self._found(connection, slot_id)
            opened = await self._opened(connection, slot, stored)
            made = await self._store.find_mutation(connection, slot_id, asked.mutation_id)
            if made is not None:
                return await self._repeated(connection, opened, made, content)
            if asked.at_index != stored.next_index:
                raise wire.SaveLogMovedOn(
                    f"at_index: the next event has index {stored.next_index} by now.",
                    field="at_index",
                )
            events = self._decided(opened, asked.moves)
            if stored.next_index + len(events) > wire.EVENTS_MAX:
                raise wire.SaveLogFull
            added, change = await self._write(connection, opened, events)
            end = stored.next_index + len(added)
            mutation = LogMutation(content, stored.next_index, end)
            await self._store.add_mutation(connection, slot_id, asked.mutation_id, mutation)
            stored = stored._replace(next_index=end)
        self._stream.announce(change)
        self.carried_out += len(asked.moves)
        return _shown(opened.fold, stored, added)

    # ------------------------------------------------------------------ details

    def _decided(self, opened: _Opened, moves: Sequence[dict[str, Any]]) -> list[Event]:
        events: list[Event] = []
        for place, move in enumerate(moves):
            try:
                with _rules():
                    events += simulation.apply_move(opened.fold, move, opened.commands + place + 1)
            except IllegalMove as refused:
                self.refused += 1
                raise MoveRefused(
                    f"moves.{place}: {refused.message}",
                    rule=refused.code,
                    event_index=opened.fold.next_index,
                ) from None
        return events

    async def _write(
        self, connection: Connection, opened: _Opened, events: Sequence[Event]
    ) -> tuple[list[StoredSaveLogEvent], ChangeRow]:
        with _rules():
            rows = [(event.type, canonical_json(event.payload)) for event in events]
            state = simulation.build_slot_state(opened.fold)
        added = await self._store.append_events(connection, opened.stored, rows, self._clock.now())
        return added, await self._slots.write(connection, opened.slot, state)

    async def _repeated(
        self, connection: Connection, opened: _Opened, made: LogMutation, content: str
    ) -> wire.SaveLog:
        if made.content_hash != content:
            raise MutationReused(field="mutation_id")
        count = made.end_index - made.first_index
        events = await self._store.read_events(
            connection, opened.slot.slot_id, after=made.first_index - 1, limit=count
        )
        return _shown(opened.fold, opened.stored, events, is_repeated=True)

    async def _found(self, connection: Connection, slot_id: str) -> StoredSaveLog:
        stored = await self._store.find_log(connection, slot_id)
        if stored is None:
            raise wire.NoSaveLog
        return stored

    async def _opened(
        self, connection: Connection, slot: SaveSlot, stored: StoredSaveLog
    ) -> _Opened:
        newest = self._rulesets.get(stored.ruleset)
        ruleset = None if newest is None else newest.of_version(stored.ruleset_version)
        if ruleset is None:
            raise wire.NotSimulated(
                f"This server does not have version {stored.ruleset_version} of {stored.ruleset}."
            )
        rows = await self._store.read_events(connection, slot.slot_id)
        with _rules():
            origin = simulation.read_origin(ruleset, stored.player_id, stored.config, stored.seed)
            events = [Event(row.type, orjson.loads(row.payload)) for row in rows]
            commands = simulation.count_commands(events)
            return _Opened(slot, stored, simulation.fold_log(origin, events), commands)

    def _ruleset_of(self, slot: SaveSlot) -> AnyRuleset:
        ruleset = self._rulesets.get(slot.title)
        if ruleset is None or 1 not in ruleset.seats or ruleset.scores_declared:
            raise wire.NotSimulated("The slot's title is not the name of a ruleset for one player.")
        if ruleset.reads_time:
            raise wire.NotSimulated("The ruleset reads the time, which goes on while a save rests.")
        return ruleset

    async def _require_server_only(self, connection: Connection, slot: SaveSlot) -> None:
        """Raise `NotSimulated` where a client could write the states that the rules give."""
        versions = await self._schemas.read(
            slot.title, above=slot.schema_version - 1, connection=connection
        )
        of_slot = next((each for each in versions if each.version == slot.schema_version), None)
        if of_slot is None or dict(of_slot.merge) != SERVER_ONLY or slot.state:
            raise wire.NotSimulated(
                'The title needs a save schema whose merge is {"/*": "server"}, and the slot must '
                "be empty."
            )


def make_service(services: Services, *, new_seed: Seeds) -> CommandSaveService:
    """Make the service of a node; `new_seed` gives each log its chance."""
    interfaces = services.interfaces
    return CommandSaveService(
        database=services.database,
        store=SaveLogStore(),
        schemas=SaveSchemaStore(services.database),
        slots=interfaces.get(SaveSlots),
        stream=interfaces.get(ProgressStream),
        rulesets=services.rulesets,
        clock=services.clock,
        new_seed=new_seed,
    )


@contextmanager
def _rules() -> Any:
    """Let a bug of the rules cost this request alone, whatever they raise."""
    try:
        with CALLING_RULES:
            yield
    except (IllegalMove, InvalidField):
        raise
    except RAISED_BY_RULES as error:
        log.exception("the rules of a save failed")
        raise wire.RulesFailed from error


def _shown(
    fold: GameFold,
    stored: StoredSaveLog,
    events: Sequence[StoredSaveLogEvent],
    *,
    is_repeated: bool = False,
) -> wire.SaveLog:
    with _rules():
        view = fold.ruleset.view(fold.state, simulation.SEAT)
        shown = [_event(fold, each) for each in events]
    return wire.SaveLog(
        slot_id=stored.slot_id,
        ruleset=stored.ruleset,
        ruleset_version=stored.ruleset_version,
        next_index=stored.next_index,
        is_over=fold.table.completed,
        events=shown,
        view=view,
        is_repeated=is_repeated,
    )


def _event(fold: GameFold, stored: StoredSaveLogEvent) -> wire.LogEvent:
    event = Event(stored.type, orjson.loads(stored.payload))
    payload = visible_payload(fold.ruleset, event, simulation.SEAT) or {}
    return wire.LogEvent(
        event_index=stored.event_index,
        type=stored.type,
        payload=payload,
        at=wire_time(stored.at),
    )
