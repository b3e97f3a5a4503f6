"""Reading a game back from a file: `playhall export`, or a replay that was downloaded."""

import gzip
import zlib
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, Literal

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from persistence.eventlog.hashchain import HASH_BYTES, InvalidPayload, canonical_json
from persistence.eventlog.writer import EventRow
from protocol.envelope import WireModel
from protocol.history import GameSummary
from protocol.ids import GameId, WireGameId, WireMatchId
from protocol.limits import EVENT_INDEX_MAX, PAYLOAD_BYTES_MAX
from server.ops.audit.evidence import GameEvidence, ReplayContents

# A payload can be longer than its canonical form: spaces, escapes.
LINE_BYTES_MAX: Final = 8 * PAYLOAD_BYTES_MAX
EVENTS_MAX: Final = 1_000_000


class UnreadableLogFile(Exception):
    """The file is not the log of one game; the sentence says where it stops being one."""


class LogLine(BaseModel):
    """An event as it is written to files."""

    model_config = ConfigDict(extra="forbid", strict=True)

    event_index: Annotated[int, Field(ge=0, le=EVENT_INDEX_MAX)]
    event: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    payload: dict[str, Any]
    at: AwareDatetime
    hash: Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{2 * HASH_BYTES}}}$")]


class _LineOfGame(LogLine):
    game_id: WireGameId


def read_export(path: Path) -> GameEvidence:
    """Read an exported log, in the order of its lines; raise `UnreadableLogFile`."""
    try:
        with path.open("rb") as file:
            return _read(file, path.name)
    except OSError as error:
        raise UnreadableLogFile(f"{path} cannot be read: {error.strerror}.") from error


def _read(file: BinaryIO, name: str) -> GameEvidence:
    game_id: GameId | None = None
    rows: list[EventRow] = []
    while data := file.readline(LINE_BYTES_MAX + 1):
        where = f"Line {len(rows) + 1} of {name}"
        line = _parsed(data, where)
        if game_id not in (None, line.game_id):
            raise UnreadableLogFile(
                f"{where} is of game {line.game_id}, the lines before of {game_id}."
            )
        game_id = line.game_id
        rows.append(to_event_row(line, where))
    if game_id is None:
        raise UnreadableLogFile(f"{name} is empty; write it with: playhall export GAME > {name}")
    return GameEvidence(game_id, rows)


def _parsed(data: bytes, where: str) -> _LineOfGame:
    if len(data) > LINE_BYTES_MAX:
        raise UnreadableLogFile(f"{where} is longer than {LINE_BYTES_MAX} bytes.")
    try:
        return _LineOfGame.model_validate_json(data)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, wrong["loc"])) or "it"
        raise UnreadableLogFile(
            f"{where} is not an exported event: {field}: {wrong['msg']}."
        ) from None


def to_event_row(line: LogLine, where: str) -> EventRow:
    """Turn a written event into one of a log; raise `UnreadableLogFile`."""
    try:
        canonical_json(line.payload)
    except InvalidPayload as error:
        raise UnreadableLogFile(f"{where} has a payload that no log can hold: {error}.") from None
    payload = orjson.dumps(line.payload)  # in the order of the file, as a database would give it
    return EventRow(line.event_index, line.event, payload, line.at, bytes.fromhex(line.hash))


GZIP_MAGIC: Final = b"\x1f\x8b"
JSON_BYTES_MAX: Final = 256 * 1024 * 1024


class _Game(WireModel):
    game_id: WireGameId
    ruleset: str
    ruleset_version: int
    config: dict[str, Any]
    players: list[dict[str, Any]]
    seed: str
    created_at: str
    completed_at: str | None


class _InitialState(WireModel):
    config: dict[str, Any]
    players: list[str]
    seed: str


class _Replay(WireModel):
    """A replay file; those of the first format have no initial state and no commands."""

    format: Literal["playhall.replay/1", "playhall.replay/2"]
    match_id: WireMatchId
    game: _Game
    initial_state: _InitialState | None = None
    commands: Annotated[list[dict[str, Any]], Field(max_length=EVENTS_MAX)] | None = None
    events: Annotated[list[LogLine], Field(max_length=EVENTS_MAX)]
    summary: GameSummary


def read_file(path: Path) -> GameEvidence:
    """Read a replay (gzip) or an export (lines); raise `UnreadableLogFile`."""
    try:
        with path.open("rb") as file:
            is_replay = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        return _evidence(_read_replay(path), path.name) if is_replay else read_export(path)
    except OSError as error:
        raise UnreadableLogFile(f"{path} cannot be read: {error.strerror or error}.") from error


def _read_replay(path: Path) -> _Replay:
    try:
        with gzip.open(path) as file:
            data = file.read(JSON_BYTES_MAX + 1)
        if len(data) > JSON_BYTES_MAX:
            raise UnreadableLogFile(f"{path.name} unpacks to more than {JSON_BYTES_MAX} bytes.")
        return _Replay.model_validate_json(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UnreadableLogFile(f"{path.name} is not a complete gzip file: {error}.") from error
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, wrong["loc"])) or "it"
        raise UnreadableLogFile(
            f"{path.name} is not a replay of a game on a server: {field}: {wrong['msg']}."
        ) from None


def _evidence(replay: _Replay, name: str) -> GameEvidence:
    rows = [to_event_row(line, f"Event {n} of {name}") for n, line in enumerate(replay.events)]
    stated = ReplayContents(
        replay.game.model_dump(),
        replay.summary,
        None if replay.initial_state is None else replay.initial_state.model_dump(),
        replay.commands,
    )
    return GameEvidence(replay.game.game_id, rows, stated=stated)
