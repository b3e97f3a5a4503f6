"""A game from its log: verified event by event, or refused with the reason."""

from collections.abc import Sequence

import orjson
from pydantic import ValidationError

from persistence.eventlog.hashchain import InvalidPayload, canonical_json, genesis_hash, link_hash
from persistence.eventlog.writer import EventRow
from persistence.games.model import StoredGame
from server.core.clock import ms_from_datetime, wire_time
from server.core.containment import RAISED_BY_RULES
from server.core.rules_watch import CALLING_RULES
from server.domains.play.games.recorder import EventRecorder, RecordedEvent
from server.domains.play.games.ruleset_failures import describe_error
from server.gamekit.contract import Event
from server.gamekit.fold import AnyRuleset, GameFold, GameOrigin
from server.gamekit.table import AT, GAME_CREATED, parse_players, seed_hash


class CorruptLog(Exception):
    """The log is not what was written, or not what the rules could have written."""


def decode_row(row: EventRow) -> RecordedEvent:
    """Read a stored event back; raise `InvalidPayload` or `ValueError` where it is none."""
    payload = orjson.loads(row.payload)
    if not isinstance(payload, dict):
        raise InvalidPayload("its payload is not an object")
    return RecordedEvent(
        row.event_index,
        Event(row.type, payload, ms_from_datetime(row.at)),
        canonical_json(payload),
        wire_time(row.at).encode(),
    )


def recover_game(
    game: StoredGame, rows: Sequence[EventRow], ruleset: AnyRuleset | None
) -> EventRecorder:
    """Fold a whole log, checking indexes, hash chain and rules; raise `CorruptLog`.

    `ruleset` is the one of that name in any version; the game is folded by its own.
    """
    ruleset = ruleset and ruleset.of_version(game.ruleset_version)
    if ruleset is None:
        raise CorruptLog(f"there is no ruleset {game.ruleset} of version {game.ruleset_version}")
    if len(rows) != game.next_event_index:
        raise CorruptLog(f"{len(rows)} events are there, {game.next_event_index} were written")
    if not rows:
        raise CorruptLog("the log is empty")
    recorded = _verified(game, rows)
    try:
        with CALLING_RULES:
            fold = GameFold(read_origin(game, recorded[0].event, ruleset))
    except CorruptLog:
        raise
    except RAISED_BY_RULES as error:
        raise CorruptLog(f"the rules cannot begin this game: {describe_error(error)}") from error
    for item in recorded:
        if ruleset.reads_time and item.event.payload.get(AT) != item.event.at_ms:
            raise CorruptLog(f"event {item.event_index} is not of the time that it names")
        try:
            with CALLING_RULES:
                fold.apply(item.event)
        except RAISED_BY_RULES as error:
            raise CorruptLog(
                f"event {item.event_index} does not follow: {describe_error(error)}"
            ) from error
    return EventRecorder(fold, rows[-1].hash)


def _verified(game: StoredGame, rows: Sequence[EventRow]) -> list[RecordedEvent]:
    previous = genesis_hash(game.id)
    recorded: list[RecordedEvent] = []
    for index, row in enumerate(rows):
        if row.event_index != index:
            raise CorruptLog(f"event {index} is missing")
        try:
            item = decode_row(row)
        except (InvalidPayload, orjson.JSONDecodeError) as error:
            raise CorruptLog(f"event {index} cannot be read: {error}") from None
        previous = link_hash(previous, index, row.type, item.payload)
        if previous != row.hash:
            raise CorruptLog(f"event {index} breaks the hash chain")
        recorded.append(item)
    return recorded


def read_origin(game: StoredGame, first: Event, ruleset: AnyRuleset) -> GameOrigin:
    """Say what a game starts from, by its first event; raise `CorruptLog` where that is no such."""
    if first.type != GAME_CREATED or first.payload.get("seed_hash") != seed_hash(game.seed):
        raise CorruptLog("the first event does not commit to this game's seed")
    try:
        config = ruleset.config.model_validate(game.config)
    except ValidationError as error:
        raise CorruptLog(f"the configuration is not valid: {error}") from None
    return GameOrigin(ruleset, parse_players(first.payload), config, game.seed)
