"""Players who lose and regain their connection, as their games note it."""

import logging

from protocol.errors import PlayhallError, WrongNode
from protocol.ids import GameId, PlayerId
from server.core.events import MemberKicked
from server.domains.play.games.elsewhere import OwnerGone, RemoteGame
from server.domains.play.games.owner import note_departure
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
            if player_id not in game.subscribers.away:  # else another node says so
                note_departure(game, player_id)
        for remote in self._registry.elsewhere.games_of_player(player_id):
            remote.players.discard(player_id)
            work = self._tell_owner(remote, player_id)
            self._sessions.tasks.start_work(work, name="a departure from a game of another node")

    def member_kicked(self, event: MemberKicked) -> None:
        """Show somebody out of the game of the lobby that they were kicked out of."""
        self.exclude_player(event.game_id, event.player_id)

    def exclude_player(self, game_id: GameId, player_id: PlayerId) -> None:
        """Send somebody nothing more of a game: they were kicked out of its lobby."""
        if (session := self._sessions.connection_of_player(player_id)) is not None:
            stop_streams(session, game_id)

    def exclude_watcher(self, game_id: GameId, player_id: PlayerId) -> None:
        """Send nothing more to somebody who only watches; players of a running game stay."""
        elsewhere = self._registry.elsewhere.find_followed(game_id)
        game = self._registry.find_loaded(game_id) or elsewhere
        if game is not None and game.seat_of(player_id) is None:
            self.exclude_player(game_id, player_id)

    async def _tell_owner(self, game: RemoteGame, player_id: PlayerId) -> None:
        try:
            await self._registry.elsewhere.ask(game, "game.gone", {"player_id": player_id})
        except (OwnerGone, WrongNode, PlayhallError) as error:
            # The owner notices by itself that this node does not follow the game any more.
            log.info(
                "game %s: its owner does not know of a departure: %s",
                game.game_id,
                error,
                extra={"game_id": game.game_id},
            )
