"""Players who lose and regain their connection, as their games note it."""

import logging
from collections.abc import Callable

from protocol.errors import PlayhallError
from protocol.ids import PlayerId
from server.domains.games.host import Host
from server.domains.games.hosting import Hosting

log = logging.getLogger(__name__)


class Presence:
    """Notes departures in every running game of a player; resuming notes the return."""

    def __init__(self, hosting: Hosting, *, is_here: Callable[[PlayerId], bool]) -> None:
        self._hosting = hosting
        self._is_here = is_here

    def departed(self, player_id: PlayerId) -> None:
        """Take note that a player's last connection is gone; the seats are kept."""
        if self._hosting.draining or self._is_here(player_id):
            return
        for host in self._hosting.games_of(player_id):
            self._note(host, player_id)

    def _note(self, host: Host, player_id: PlayerId) -> None:
        chair = host.fold.table.chairs[host.fold.table.seats[player_id]]
        if not (chair.present and chair.connected):
            return
        try:
            host.note("player_disconnected", host.fold.table.seats[player_id])
        except PlayhallError as error:
            log.info("game %s: a departure is not noted: %s", host.game_id, error)
