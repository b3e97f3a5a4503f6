"""The file that a replay is: written for games of the server, checked for games of peers. Pure.

Both are gzipped JSON with an `initial_state` and the `commands` that followed. A game's has beside
them `format`, `match_id`, `game` (what it was, its seed revealed), `events` (the whole log, with
the hash chain) and `summary`. The rest of a peer's is the host's own.
"""

import gzip
import zlib
from collections.abc import Sequence
from typing import IO, Any, Final, NamedTuple

import orjson

from persistence.eventlog.writer import EventRow
from persistence.games.model import StoredGame
from protocol.files import REPLAY_JSON_BYTES_MAX, FileRefused
from protocol.history import GameSummary
from protocol.ids import MatchId
from protocol.limits import JSON_DEPTH_MAX
from server.core.clock import ms_from_datetime, wire_time, wire_time_or_none
from server.gamekit.commands import command_stream, initial_state
from server.gamekit.contract import Event, Payload
from server.gamekit.fold import AnyRuleset, GameOrigin
from server.gamekit.table import parse_players

FORMAT: Final = "playhall.replay/2"
GZIP_LEVEL: Final = 6
GZIP_WINDOW: Final = 31  # zlib's way to ask for a gzip header


class ReplayInputs(NamedTuple):
    """What a game was made from. `commands` is None where they cannot be derived."""

    initial_state: Payload
    commands: list[Payload] | None


def replay_inputs(
    game: StoredGame, rows: Sequence[EventRow], ruleset: AnyRuleset | None
) -> ReplayInputs:
    """Draw a game's initial state and commands from its log, by its own rules.

    Without its rules, the initial state is as the log has it, and there are no commands.
    """
    players = parse_players(orjson.loads(rows[0].payload))
    ruleset = ruleset and ruleset.of_version(game.ruleset_version)
    if ruleset is None:
        ids = [player.player_id for player in players]
        return ReplayInputs({"config": game.config, "players": ids, "seed": game.seed}, None)
    origin = GameOrigin(ruleset, players, ruleset.config.model_validate(game.config), game.seed)
    log = [Event(row.type, orjson.loads(row.payload), ms_from_datetime(row.at)) for row in rows]
    return ReplayInputs(initial_state(origin), command_stream(origin, log))


def write_replay(
    match_id: MatchId,
    game: StoredGame,
    rows: Sequence[EventRow],
    summary: GameSummary,
    *,
    made: ReplayInputs,
) -> bytes:
    """Write the replay of a finished game; the same game always gives the same bytes."""
    players = orjson.loads(rows[0].payload).get("players", [])
    document = {
        "format": FORMAT,
        "match_id": match_id,
        "game": {
            "game_id": game.id,
            "ruleset": game.ruleset,
            "ruleset_version": game.ruleset_version,
            "config": game.config,
            "players": players,
            "seed": game.seed,
            "created_at": wire_time(game.created_at),
            "completed_at": wire_time_or_none(game.completed_at),
        },
        "initial_state": made.initial_state,
        "commands": made.commands,
        "events": [_event(row) for row in rows],
        "summary": _nameless(summary),
    }
    return gzip.compress(orjson.dumps(document), GZIP_LEVEL, mtime=0)


def check_peer_replay(file: IO[bytes]) -> None:
    """Refuse what is no replay of a game between peers; raise `FileRefused`."""
    document = _parsed(_unpacked(file))
    if not isinstance(document, dict) or "initial_state" not in document:
        raise FileRefused("The replay must be a JSON object with an `initial_state`.")
    if not isinstance(document.get("commands"), list):
        raise FileRefused("The replay must have `commands`, a list of what was done, in order.")
    level: list[object] = [document]
    for _ in range(JSON_DEPTH_MAX):
        level = [child for value in level for child in _children(value)]
    if level:
        raise FileRefused(f"The replay is nested more than {JSON_DEPTH_MAX} levels deep.")


def _nameless(summary: GameSummary) -> dict[str, Any]:
    """Leave names out: a file that many have copies of cannot forget anybody."""
    fields = dict(summary)
    fields["players"] = [
        {field: value for field, value in player.items() if field != "display_name"}
        for player in summary.players
    ]
    return fields


def _event(row: EventRow) -> dict[str, object]:
    return {
        "event_index": row.event_index,
        "event": row.type,
        "payload": orjson.loads(row.payload),
        "at": wire_time(row.at),
        "hash": row.hash.hex(),
    }


def _unpacked(file: IO[bytes]) -> bytes:
    """Unpack one gzip member, and never more of it than is allowed."""
    unpack = zlib.decompressobj(GZIP_WINDOW)
    try:
        data = unpack.decompress(file.read(), REPLAY_JSON_BYTES_MAX + 1)
    except zlib.error:
        raise FileRefused("The replay is not a gzip file.") from None
    if len(data) > REPLAY_JSON_BYTES_MAX:
        raise FileRefused(f"The replay unpacks to more than {REPLAY_JSON_BYTES_MAX} bytes.")
    if not unpack.eof or unpack.unused_data:
        raise FileRefused("The replay must be a single complete gzip file.")
    return data


def _parsed(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise FileRefused(f"The replay is not valid JSON: {error}.") from None


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
