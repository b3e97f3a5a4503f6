"""Achievements: everything that the domain offers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from persistence.achievements.store import AchievementStore, CountedGame, GainedGame
from protocol.achievements import AchievementsQuery, PlayerAchievements
from protocol.domain_events import DurableEvent, GameCompleted
from protocol.errors import InvalidField, NotFound
from protocol.history import PlayerPath
from server.core.event_delivery import DurableListener, EventDelivery
from server.domains.contract import Domain
from server.domains.interfaces import CompletedGames
from server.domains.progression.achievements.rules import (
    list_gains,
    list_players,
    need_events,
    show,
)
from server.domains.services import Services
from server.gamekit.fold import AnyRuleset
from server.gateway.http.endpoints import Endpoint, HttpRequest
from server.gateway.metrics import MetricsCollector, MetricSource

TAG: Final = "records"


class AchievementService:
    """Counts finished games, and shows what came of it."""

    def __init__(
        self, store: AchievementStore, records: CompletedGames, rulesets: Mapping[str, AnyRuleset]
    ) -> None:
        self._store = store
        self._records = records
        self._rulesets = rulesets
        self.counted_total = 0

    async def count_game(self, delivery: EventDelivery) -> None:
        """Count a game for those who played it, once each."""
        await self.count_all([delivery])

    async def count_all(self, deliveries: Sequence[EventDelivery]) -> list[str]:
        """Count games for those who played them, once each; give the ids of their events."""
        gained = [await self._gained(each.event) for each in deliveries]
        self.counted_total += await self._store.add([each for each in gained if each is not None])
        return [each.event_id for each in deliveries]

    async def _gained(self, event: DurableEvent) -> GainedGame | None:
        """Say what a game brought; None for one that counts for nothing.

        Its log is read only if its ruleset has achievements and the game enters statistics.
        """
        assert isinstance(event, GameCompleted)
        ruleset = self._rulesets.get(event.ruleset)
        if ruleset is None or not ruleset.achievements or event.uncounted is not None:
            return None
        game = await self._records.read_completed(
            event.game_id, with_events=need_events(ruleset.achievements)
        )
        if game is None:
            return None
        counted = CountedGame(
            event.game_id, event.ruleset, datetime.fromisoformat(event.completed_at)
        )
        return GainedGame(counted, list_players(game), list_gains(game, ruleset.achievements))

    async def read(self, request: HttpRequest) -> PlayerAchievements:
        """Show how far a player is."""
        player_id = request.parse_path(PlayerPath).player_id
        query: AchievementsQuery = request.query
        stored = await self._store.read(player_id, query.ruleset)
        if stored is None:
            raise NotFound("There is no player with this id.")
        rulesets = [
            ruleset for ruleset in self._rulesets.values() if query.ruleset in (None, ruleset.name)
        ]
        shown = show(rulesets, stored)
        points = sum(each.points for each in shown if each.granted_at is not None)
        return PlayerAchievements(player_id=player_id, points=points, achievements=shown)


def build(services: Services) -> Domain:
    """Put the domain together."""
    service = AchievementService(
        AchievementStore(services.database),
        services.interfaces.get(CompletedGames),
        services.rulesets,
    )
    return Domain(
        name="achievements",
        endpoints=[
            Endpoint(
                "GET",
                "/v1/players/{player_id}/achievements",
                "List achievements with a player's progress, of all rulesets or one.",
                service.read,
                auth="none",
                query=AchievementsQuery,
                answer=PlayerAchievements,
                errors=(NotFound, InvalidField),
                tag=TAG,
            )
        ],
        durable=[
            DurableListener(
                "achievements",
                {GameCompleted: service.count_game},
                {GameCompleted: service.count_all},
            )
        ],
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "achievement_games",
                        "Games counted for achievements here, once for each player.",
                        lambda: service.counted_total,
                    )
                ]
            )
        ],
    )
