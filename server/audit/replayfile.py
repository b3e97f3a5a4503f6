"""Reading a game back from a file: a replay that was downloaded, or an export."""

import gzip
import zlib
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from persistence.completion import Summary
from protocol.ids import WireGameId
from protocol.record import WireMatchId
from server.audit.evidence import Evidence, Stated
from server.audit.exported import EVENTS_MAX, Line, Unreadable, read_export, row_of

GZIP_MAGIC: Final = b"\x1f\x8b"
JSON_BYTES_MAX: Final = 256 * 1024 * 1024


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Game(_Strict):
    game_id: WireGameId
    ruleset: str
    ruleset_version: int
    config: dict[str, Any]
    players: list[dict[str, Any]]
    seed: str
    created_at: str
    completed_at: str | None


class _Summary(_Strict):
    players: list[dict[str, Any]]
    rounds: list[dict[str, Any]]
    final_scores: dict[str, int]
    highest_bid: int | None
    highest_score: int | None
    lowest_score: int | None
    most_consecutive_wins: int | None
    most_consecutive_losses: int | None
    highest_misplay: int | None


class _InitialState(_Strict):
    config: dict[str, Any]
    players: list[str]
    seed: str


class _Replay(_Strict):
    """A replay file; those of the first format have no initial state and no commands."""

    format: Literal["playhall.replay/1", "playhall.replay/2"]
    match_id: WireMatchId
    game: _Game
    initial_state: _InitialState | None = None
    commands: Annotated[list[dict[str, Any]], Field(max_length=EVENTS_MAX)] | None = None
    events: Annotated[list[Line], Field(max_length=EVENTS_MAX)]
    summary: _Summary


def read_file(path: Path) -> Evidence:
    """Read a replay (gzip) or an export (lines); raise `Unreadable`."""
    try:
        with path.open("rb") as file:
            is_replay = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        return _evidence(_read(path), path.name) if is_replay else read_export(path)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error


def _read(path: Path) -> _Replay:
    try:
        with gzip.open(path) as file:
            data = file.read(JSON_BYTES_MAX + 1)
        if len(data) > JSON_BYTES_MAX:
            raise Unreadable(f"{path.name} unpacks to more than {JSON_BYTES_MAX} bytes.")
        return _Replay.model_validate_json(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Unreadable(f"{path.name} is no whole gzip file: {error}.") from error
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, wrong["loc"])) or "it"
        raise Unreadable(
            f"{path.name} is no replay of a game on a server: {field}: {wrong['msg']}."
        ) from None


def _evidence(replay: _Replay, name: str) -> Evidence:
    rows = [row_of(line, f"Event {n} of {name}") for n, line in enumerate(replay.events)]
    stated = Stated(
        replay.game.model_dump(),
        Summary(**replay.summary.model_dump()),
        None if replay.initial_state is None else replay.initial_state.model_dump(),
        replay.commands,
    )
    return Evidence(replay.game.game_id, rows, stated=stated)
