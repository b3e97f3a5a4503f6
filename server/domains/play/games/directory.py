"""The directory of running public games: what it lists, and how its counts stay true.

A game's row comes with its first events and goes with its last ones, in their transactions. How
many seats are held changes between, when somebody leaves a game or comes back. That is written
after the event is committed, outside the log's path: `note` costs the game nothing, and one task
writes the counts of all games that changed. A count that is lost with its node is put right when
the next node adopts the game, for adopting a game notes it as well.
"""

import asyncio
import logging
from datetime import datetime
from itertools import islice
from typing import Final
from uuid import UUID

from persistence.games.directory import (
    DirectoryEntry,
    DirectoryPosition,
    HeldSeats,
    RoomDirectoryStore,
)
from protocol.errors import InvalidField, Overloaded, Unavailable
from protocol.history import GamesQuery, RunningGame, RunningGames
from protocol.ids import GameId
from server.core.clock import wire_fields
from server.core.cursors import CursorCodec
from server.domains.play.games.live_game import LiveGame
from server.gateway.http.endpoints import Endpoint, HttpRequest

log = logging.getLogger(__name__)

WRITTEN_AT_ONCE: Final = 500
RETRY_S: Final = 1.0

_CURSOR: Final = CursorCodec("games", DirectoryPosition, datetime, UUID)


def count_held_seats(game: LiveGame) -> int:
    """Count the seats that are held: by bots, and by players who did not leave.

    Who lost the connection keeps the seat and is counted.
    """
    return sum(seat.bot is not None or seat.present for seat in game.fold.table.seats)


class DirectoryMaintenance:
    """Writes how many seats of each game of this node are held, after it changed."""

    def __init__(self, store: RoomDirectoryStore) -> None:
        self._store = store
        self._changed: dict[GameId, LiveGame] = {}  # at most one entry a game of this node
        self._woken = asyncio.Event()

    def note_change(self, game: LiveGame) -> None:
        """Have a game's count written soon."""
        self._changed[game.game_id] = game
        self._woken.set()

    async def run(self) -> None:
        """Write what was noted, for as long as the server lives; retry what fails."""
        while True:
            await self._woken.wait()
            try:
                await self._write_some()
            except (Unavailable, Overloaded) as error:
                log.warning("the directory of games waits for the database: %s", error.message)
                await asyncio.sleep(RETRY_S)
            except Exception:
                log.exception("the directory of games could not be written")
                await asyncio.sleep(RETRY_S)

    async def _write_some(self) -> None:
        some = list(islice(self._changed.values(), WRITTEN_AT_ONCE))
        counts = [
            HeldSeats(game.game_id, game.owner_epoch, count_held_seats(game)) for game in some
        ]
        if counts:
            await self._store.set_player_counts(counts)
        for game, written in zip(some, counts, strict=True):
            noted = self._changed.get(game.game_id)
            # Noted again while it was written, with another count or by a newer owner: it stays.
            if noted is game and count_held_seats(game) == written.players:
                del self._changed[game.game_id]
        if not self._changed:
            self._woken.clear()


class DirectoryRoutes:
    """`GET /v1/games`: for those who look for a game to watch or to join late."""

    def __init__(self, store: RoomDirectoryStore) -> None:
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [
            Endpoint(
                "GET",
                "/v1/games",
                "List public games that are running, newest first.",
                self._list,
                auth="none",
                query=GamesQuery,
                answer=RunningGames,
                errors=(InvalidField,),
                tag="games",
            ),
        ]

    async def _list(self, request: HttpRequest) -> RunningGames:
        query: GamesQuery = request.query
        after = None if query.cursor is None else _CURSOR.read(query.cursor)
        entries = await self._store.list_running(query, after)
        return RunningGames(
            games=[_shown(entry) for entry in entries],
            next=_CURSOR.after_page(entries, query.limit, _place),
        )


def _place(entry: DirectoryEntry) -> DirectoryPosition:
    return DirectoryPosition(entry.created_at, entry.game_id)


def _shown(entry: DirectoryEntry) -> RunningGame:
    fields = wire_fields(entry)
    del fields["created_at"]
    return RunningGame(**fields)
