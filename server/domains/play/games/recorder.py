"""From decided events to rows of the log: a new game's first ones, and those of each command."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from persistence.eventlog.hashchain import canonical_json, genesis_hash, link_hash
from persistence.eventlog.writer import EventRow
from persistence.games.model import GameRow, NewGame
from protocol.ids import GameId, new_id
from server.core.clock import Moment, moment_from_ms
from server.gamekit.contract import Event
from server.gamekit.fold import AnyRuleset, GameFold, GameOrigin
from server.gamekit.table import (
    AFTER_TICK,
    AT,
    CMD,
    TICK,
    SeatedPlayer,
    game_created_event,
    require_rules_events,
)


@dataclass(slots=True)
class RecordedEvent:
    """An event as it is sent: its index, itself, its payload and time as bytes."""

    event_index: int
    event: Event
    payload: bytes
    at: bytes


class Command(NamedTuple):
    """Which command of which seat caused some events."""

    seat: int
    cmd_no: int


class EventRecorder:
    """Writes one game's events, in order, and folds each as it is written."""

    __slots__ = ("_has_ticks", "_stamps_time", "fold", "hash")

    def __init__(self, fold: GameFold, last_hash: bytes) -> None:
        self.fold = fold
        self.hash = last_hash
        self._stamps_time = fold.ruleset.reads_time
        self._has_ticks = fold.realtime is not None

    def latest(self, moment: Moment) -> Moment:
        """Give a moment, or that of the last event if that is later.

        The clock of the node that had the game before may have been ahead of this one's.
        """
        return moment if moment.ms >= self.fold.at_ms else moment_from_ms(self.fold.at_ms)

    def prepare(
        self, events: Sequence[Event], *, moment: Moment, command: Command | None = None
    ) -> list[bytes]:
        """Name the command on the first event, and write every payload canonically.

        Raises `InvalidPayload`, or anything at all for what are no events; nothing is folded yet.
        """
        if command is not None:
            events[0].payload[CMD] = list(command)
        if self._stamps_time:
            for event in events:
                event.payload[AT] = moment.ms
        if self._has_ticks:
            for event in events:
                event.payload[AFTER_TICK] = self.fold.tick + (event.type == TICK)
        return [canonical_json(event.payload) for event in events]

    def write(
        self, events: Sequence[Event], *, moment: Moment, payloads: Sequence[bytes] | None = None
    ) -> tuple[list[EventRow], list[RecordedEvent]]:
        """Write events that were just decided, and fold them.

        `payloads` are what `prepare` gave for them. Whatever this raises, the fold is not
        what the log has any more.
        """
        if payloads is None:
            payloads = self.prepare(events, moment=moment)
        rows: list[EventRow] = []
        recorded: list[RecordedEvent] = []
        for event, payload in zip(events, payloads, strict=True):
            index = self.fold.next_index
            self.hash = link_hash(self.hash, index, event.type, payload)
            rows.append(EventRow(index, event.type, payload, moment.at, self.hash))
            timed = Event(event.type, event.payload, moment.ms)
            recorded.append(RecordedEvent(index, timed, payload, moment.wire))
            self.fold.apply(timed)
        return rows, recorded


SEED_BYTES = 16


class PreparedGame(NamedTuple):
    """A game that is ready to be stored; `recorder` stands behind the first rows."""

    row: GameRow
    recorder: EventRecorder
    first_rows: list[EventRow]
    first_recorded: list[RecordedEvent]


def draw_seed() -> str:
    """Draw the chance of a new game."""
    return secrets.token_hex(SEED_BYTES)


def prepare_game(
    new: NewGame, ruleset: AnyRuleset, *, node: str, moment: Moment, seed: str
) -> PreparedGame:
    """Set a game up by its rules; `seed` is all its chance."""
    row = _row(new, ruleset, node=node, moment=moment, seed=seed)
    players = tuple(SeatedPlayer(player.player_id, player.bot) for player in new.players)
    origin = GameOrigin(ruleset, players, ruleset.config.model_validate(new.config), row.seed)
    recorder = EventRecorder(GameFold(origin), genesis_hash(row.id))
    created = game_created_event(
        ruleset.name,
        ruleset.version,
        players,
        new.config,
        row.seed,
        leavers_rank_last=ruleset.leavers_rank_last,
    )
    rows, recorded = recorder.write([created], moment=moment)
    more_rows, more_recorded = recorder.write(
        require_rules_events(ruleset.setup(recorder.fold.state)), moment=moment
    )
    return PreparedGame(row, recorder, rows + more_rows, recorded + more_recorded)


def _row(new: NewGame, ruleset: AnyRuleset, *, node: str, moment: Moment, seed: str) -> GameRow:
    return GameRow(
        id=GameId(new_id()),
        ruleset=ruleset.name,
        ruleset_version=ruleset.version,
        seed=seed,
        config=new.config,
        node=node,
        created_at=moment.at,
        players_min=min(ruleset.seats),
        lobby_id=new.lobby_id,
        lobby_version=new.lobby_version,
        is_public=new.is_public,
        join_code=new.join_code,
        seats=new.seats,
        taken=len(new.players),
    )
