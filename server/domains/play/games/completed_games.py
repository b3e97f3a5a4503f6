"""Finished games as other domains read them: folded from their logs, verified on the way."""

import logging
from collections.abc import Mapping

from persistence.games.store import GameStore
from protocol.ids import GameId
from server.domains.play.games.recovery import CorruptLog, decode_row, recover_game
from server.gamekit.contract import CompletedGame
from server.gamekit.fold import AnyRuleset

log = logging.getLogger(__name__)


class CompletedGameReader:
    """Reads finished games."""

    def __init__(self, store: GameStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = store
        self._rulesets = rulesets

    async def read_completed(self, game_id: GameId) -> CompletedGame | None:
        """Read a game; None where it has not ended, or its log does not hold."""
        game = await self._store.find(game_id)
        if game is None or game.status != "completed":
            return None
        rows = await self._store.read_log(game_id)
        try:
            fold = recover_game(game, rows, self._rulesets.get(game.ruleset)).fold
        except CorruptLog as corrupt:
            log.warning("game %s cannot be counted: %s", game_id, corrupt)
            return None
        outcome = fold.outcome()
        if outcome is None:
            return None
        seats = fold.table.seats
        return CompletedGame(
            players=[seat.player_id for seat in seats],
            bots=frozenset(n for n, seat in enumerate(seats) if seat.bot is not None),
            events=[decode_row(row).event for row in rows],
            outcome=outcome,
        )
