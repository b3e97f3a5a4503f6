"""Finished games as other domains read them: folded from their logs, verified on the way."""

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

from persistence.games.store import GameStore
from protocol.ids import GameId
from server.core.containment import RAISED_BY_RULES
from server.core.rules_watch import CALLING_RULES
from server.domains.play.games.recovery import CorruptLog, decode_row, recover_game
from server.gamekit.contract import CompletedGame, Event, Outcome
from server.gamekit.fold import AnyRuleset, GameFold

# How many games that have just ended here are known without their events: for longer than their
# listeners take, who are told at once.
JUST_ENDED_MAX: Final = 1000

log = logging.getLogger(__name__)


class CompletedGameReader:
    """Reads finished games."""

    def __init__(self, store: GameStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._store = store
        self._rulesets = rulesets
        self._just_ended: OrderedDict[GameId, CompletedGame] = OrderedDict()

    def note_completed(self, game_id: GameId, fold: GameFold) -> None:
        """Keep what a game that has just ended here came to, if its listeners need no events."""
        achievements = fold.origin.ruleset.achievements
        if not achievements or any(each.reads_events for each in achievements):
            return
        try:
            with CALLING_RULES:
                outcome = fold.outcome()
        except RAISED_BY_RULES:
            return  # whoever wants it reads the log, and is told what is wrong
        if outcome is None:
            return
        self._just_ended[game_id] = _completed(fold, outcome, ())
        if len(self._just_ended) > JUST_ENDED_MAX:
            self._just_ended.popitem(last=False)

    async def read_completed(
        self, game_id: GameId, *, with_events: bool = True
    ) -> CompletedGame | None:
        """Read a game; None where it has not ended, or its log does not hold.

        Without events, one that has just ended on this node is known without reading its log.
        """
        if not with_events and (known := self._just_ended.get(game_id)) is not None:
            return known
        game = await self._store.find(game_id)
        if game is None or game.status != "completed":
            return None
        rows = await self._store.read_log(game_id)
        try:
            fold = recover_game(game, rows, self._rulesets.get(game.ruleset)).fold
        except CorruptLog as corrupt:
            log.warning(
                "game %s cannot be counted: %s", game_id, corrupt, extra={"game_id": game_id}
            )
            return None
        outcome = fold.outcome()
        if outcome is None:
            return None
        events = [decode_row(row).event for row in rows] if with_events else ()
        return _completed(fold, outcome, events)


def _completed(fold: GameFold, outcome: Outcome, events: Sequence[Event]) -> CompletedGame:
    seats = fold.table.seats
    return CompletedGame(
        players=[seat.player_id for seat in seats],
        bots=frozenset(n for n, seat in enumerate(seats) if seat.bot is not None),
        events=events,
        outcome=outcome,
    )
