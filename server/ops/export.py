"""A game's log as JSON lines, for archives and for `verify`."""

from typing import BinaryIO

import orjson

from persistence.database import Database
from persistence.games.store import GameStore
from persistence.objects import ObjectStorage
from protocol.codec import validate
from protocol.errors import GameNotFound
from protocol.history import GamePath
from server.core.clock import wire_time

PAGE_ROWS = 1000


async def export_game(
    dsn: str, game: str, out: BinaryIO, *, objects: ObjectStorage | None = None
) -> None:
    """Write every event of a game, one a line, with its link of the hash chain in hex."""
    game_id = validate(GamePath, {"game_id": game}).game_id
    async with await Database.open(dsn) as database:
        store = GameStore(database, node="", objects=objects)
        if await store.find(game_id) is None:
            raise GameNotFound(f"There is no game {game}.")
        cursor = -1
        while rows := await store.read_events(game_id, after=cursor, limit=PAGE_ROWS):
            for row in rows:
                line = {
                    "game_id": game_id,
                    "event_index": row.event_index,
                    "event": row.type,
                    "payload": orjson.loads(row.payload),
                    "at": wire_time(row.at),
                    "hash": row.hash.hex(),
                }
                out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            cursor = rows[-1].event_index
