"""`match.*`: the websocket commands of matchmaking."""

from typing import Final

from protocol import matchmaking as wire
from server.domains.play.matchmaking.service import MatchmakingService
from server.gateway.session.sessions import CommandRoute, Routes, Session

QUEUE_COST: Final = 5.0  # from the rate limit: ratings and a party are read


class MatchCommands:
    """The commands of matchmaking, for whoever is on the connection."""

    def __init__(self, service: MatchmakingService) -> None:
        self._service = service

    def routes(self) -> Routes:
        """Say how each command is carried out."""
        return {
            wire.Queue: CommandRoute(awaited=self._queue, cost=QUEUE_COST),
            wire.LeaveQueue: CommandRoute(awaited=self._leave),
            wire.Accept: CommandRoute(awaited=self._accept),
            wire.Decline: CommandRoute(awaited=self._decline),
        }

    async def _queue(self, session: Session, command: wire.Queue) -> dict[str, object]:
        return await self._service.queue(session.who.player_id, command)

    async def _leave(self, session: Session, _: wire.LeaveQueue) -> None:
        await self._service.leave(session.who.player_id)

    async def _accept(self, session: Session, command: wire.Accept) -> None:
        await self._service.accept(session.who.player_id, command.match_id)

    async def _decline(self, session: Session, command: wire.Decline) -> None:
        await self._service.decline(session.who.player_id, command.match_id)
