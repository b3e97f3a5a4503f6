"""Reading a log back from the file that `playhall export` wrote."""

from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from persistence.chain import HASH_BYTES, BadPayload, canonical
from persistence.log import Row
from protocol.ids import GameId, WireGameId
from protocol.limits import EVENT_INDEX_MAX, PAYLOAD_BYTES_MAX
from server.audit.evidence import Evidence

# A payload can be longer than its canonical form: spaces, escapes.
LINE_BYTES_MAX: Final = 8 * PAYLOAD_BYTES_MAX
EVENTS_MAX: Final = 1_000_000


class Unreadable(Exception):
    """The file is not the log of one game; the sentence says where it stops being one."""


class Line(BaseModel):
    """An event as it is written to files."""

    model_config = ConfigDict(extra="forbid", strict=True)

    event_index: Annotated[int, Field(ge=0, le=EVENT_INDEX_MAX)]
    event: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    payload: dict[str, Any]
    at: AwareDatetime
    hash: Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{2 * HASH_BYTES}}}$")]


class _LineOfGame(Line):
    game_id: WireGameId


def read_export(path: Path) -> Evidence:
    """Read an exported log, in the order of its lines; raise `Unreadable`."""
    try:
        with path.open("rb") as file:
            return _read(file, path.name)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror}.") from error


def _read(file: BinaryIO, name: str) -> Evidence:
    game_id: GameId | None = None
    rows: list[Row] = []
    while data := file.readline(LINE_BYTES_MAX + 1):
        where = f"Line {len(rows) + 1} of {name}"
        line = _parsed(data, where)
        if game_id not in (None, line.game_id):
            raise Unreadable(f"{where} is of game {line.game_id}, the lines before of {game_id}.")
        game_id = line.game_id
        rows.append(row_of(line, where))
    if game_id is None:
        raise Unreadable(f"{name} is empty; write it with: playhall export GAME > {name}")
    return Evidence(game_id, rows)


def _parsed(data: bytes, where: str) -> _LineOfGame:
    if len(data) > LINE_BYTES_MAX:
        raise Unreadable(f"{where} is longer than {LINE_BYTES_MAX} bytes.")
    try:
        return _LineOfGame.model_validate_json(data)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, wrong["loc"])) or "it"
        raise Unreadable(f"{where} is no exported event: {field}: {wrong['msg']}.") from None


def row_of(line: Line, where: str) -> Row:
    """Turn a written event into one of a log; raise `Unreadable`."""
    try:
        canonical(line.payload)
    except BadPayload as error:
        raise Unreadable(f"{where} has a payload that no log can hold: {error}.") from None
    payload = orjson.dumps(line.payload)  # in the order of the file, as a database would give it
    return Row(line.event_index, line.event, payload, line.at, bytes.fromhex(line.hash))
