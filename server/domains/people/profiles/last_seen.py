"""When players were last here: noted in batches, so that who comes and goes costs no write each."""

from typing import Final

from persistence.profiles.last_seen import LastSeenStore
from protocol.ids import PlayerId
from server.core.events import Listeners, PlayerConnected, PlayerDisconnected, PlayerSeen
from server.core.periodic import repeat_every

NOTE_EVERY_S: Final = 10.0
SEEN_MAX: Final = 50_000  # that wait to be noted; beyond that they are noted when they come again


class LastSeen:
    """Players who came, went, or did something since the last batch."""

    def __init__(self, store: LastSeenStore) -> None:
        self._store = store
        self._seen: set[PlayerId] = set()

    def listens(self) -> Listeners:
        """Say which events tell of somebody."""
        return dict.fromkeys((PlayerConnected, PlayerDisconnected, PlayerSeen), self._see)

    async def run(self) -> None:
        """Note them, until cancelled."""
        await repeat_every(NOTE_EVERY_S, self.write_noted, "noting who was here")

    async def write_noted(self) -> None:
        """Note them once; those that could not be noted wait for the next time."""
        seen, self._seen = self._seen, set()
        if not seen:
            return
        try:
            await self._store.record_seen(seen)
        except BaseException:
            self._seen |= seen
            raise

    def _see(self, event: PlayerConnected | PlayerDisconnected | PlayerSeen) -> None:
        if len(self._seen) < SEEN_MAX:
            self._seen.add(event.player_id)
