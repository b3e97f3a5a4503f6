"""`lobby.rematch` and `lobby.decline_rematch`."""

from typing import Final

from protocol import series as wire
from server.domains.play.series.service import SeriesService, shown_series
from server.gateway.session.sessions import CommandRoute, Routes, Session

REMATCH_COST: Final = 5.0


class SeriesCommands:
    """The commands of rematches, for whoever is on the connection."""

    def __init__(self, service: SeriesService) -> None:
        self._service = service

    def routes(self) -> Routes:
        """Say how each command is carried out."""
        return {
            wire.Rematch: CommandRoute(awaited=self._rematch, cost=REMATCH_COST),
            wire.DeclineRematch: CommandRoute(awaited=self._decline),
        }

    async def _rematch(self, session: Session, command: wire.Rematch) -> wire.SeriesReply:
        series = await self._service.rematch(session.who.player_id, command)
        return wire.SeriesReply(re=command.id, series=shown_series(series))

    async def _decline(self, session: Session, command: wire.DeclineRematch) -> None:
        await self._service.decline(session.who.player_id, command.game_id)
