"""Players who lose and regain their connection, as their games note it."""

import logging

from protocol.errors import PlayhallError
from protocol.ids import GameId, PlayerId
from server.core.events import MemberKicked
from server.domains.play.games.live_game import LiveGame
from server.domains.play.games.registry import GameRegistry
from server.domains.play.games.streams import stop_streams
from server.gateway.session.sessions import Sessions

log = logging.getLogger(__name__)


class GamePresence:
    """Notes departures in every running game of a player; resuming notes the return."""

    def __init__(self, registry: GameRegistry, sessions: Sessions) -> None:
        self._registry = registry
        self._sessions = sessions

    def player_disconnected(self, player_id: PlayerId) -> None:
        """Take note that a player's last connection is gone; the seats are kept."""
        if self._registry.draining or self._sessions.is_here(player_id):
            return
        for game in self._registry.games_of_player(player_id):
            self._note(game, player_id)

    def member_kicked(self, event: MemberKicked) -> None:
        """Show somebody out of the game of the lobby that they were kicked out of."""
        self.exclude_player(event.game_id, event.player_id)

    def exclude_player(self, game_id: GameId, player_id: PlayerId) -> None:
        """Send somebody nothing more of a game: they were kicked out of its lobby."""
        if (session := self._sessions.connection_of_player(player_id)) is not None:
            stop_streams(session, game_id)

    def exclude_watcher(self, game_id: GameId, player_id: PlayerId) -> None:
        """Send nothing more to somebody who only watches; players of a running game stay."""
        game = self._registry.find_loaded(game_id)
        if game is not None and game.seat_of(player_id) is None:
            self.exclude_player(game_id, player_id)

    def _note(self, game: LiveGame, player_id: PlayerId) -> None:
        occupant = game.fold.table.seats[game.fold.table.seat_by_player[player_id]]
        if not (occupant.present and occupant.connected):
            return
        try:
            game.record_presence("player_disconnected", game.fold.table.seat_by_player[player_id])
        except PlayhallError as error:
            log.info("game %s: a departure was not recorded: %s", game.game_id, error)
