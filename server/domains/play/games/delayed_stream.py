"""Watching at a constant distance in time, so that nobody can play by what a stream shows."""

import asyncio
from collections.abc import Awaitable, Callable

from persistence.eventlog.writer import Row
from persistence.games.store import GameStore
from protocol.ids import GameId
from server.core.clock import Clock
from server.domains.play.games.recovery import tell
from server.domains.play.games.streams import READ_ROWS, send_chunks
from server.domains.play.games.subscribers import ViewEncoder, stopped_frame
from server.gamekit.table import GAME_COMPLETED
from server.gateway.session.sessions import Session

LOOK_EVERY_S = 0.5


class DelayedStream:
    """Reads the committed log, and sends each event `delay_s` after it happened."""

    def __init__(
        self,
        game_id: GameId,
        encoder: ViewEncoder,
        *,
        store: GameStore,
        clock: Clock,
        delay_s: float,
        is_stopped: Callable[[], Awaitable[bool]],
    ) -> None:
        self._game_id = game_id
        self._encoder = encoder
        self._store = store
        self._clock = clock
        self._delay_s = delay_s
        self._is_stopped = is_stopped

    async def run(self, session: Session, *, after: int) -> None:
        """Send until the game's last event is out; cancelled when nobody watches any more.

        Where the game was quarantined, its end comes after the last event that it has.
        """
        cursor = after
        while not session.socket.closing:
            rows = await self._store.read(self._game_id, after=cursor, limit=READ_ROWS)
            due = self._due(rows)
            await send_chunks(session, self._encoder, [tell(row) for row in due], None)
            if due:
                cursor = due[-1].event_index
                if due[-1].type == GAME_COMPLETED:
                    return
            if not rows and await self._is_stopped():
                session.socket.send(stopped_frame(self._game_id))
                return
            if len(due) < READ_ROWS:
                await asyncio.sleep(LOOK_EVERY_S)

    def _due(self, rows: list[Row]) -> list[Row]:
        before = self._clock.now().timestamp() - self._delay_s
        return [row for row in rows if row.at.timestamp() <= before]
