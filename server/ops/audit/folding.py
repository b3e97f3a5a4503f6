"""How games ended, by their logs alone: what every recount begins with."""

from collections.abc import Mapping
from typing import NamedTuple

from persistence.errors import ArchiveDamaged
from persistence.eventlog.completion import Completion
from persistence.games.store import GameStore
from protocol.ids import GameId
from server.domains.play.games.recovery import CorruptLog, recover_game
from server.domains.play.games.results import build_completion
from server.gamekit.fold import AnyRuleset


class Uncountable(Exception):
    """A game's log does not say how it ended; the sentence says why."""


class FoldedGame(NamedTuple):
    """A finished game, folded again."""

    ruleset: str
    completion: Completion


class GameFolder:
    """Folds finished games."""

    def __init__(self, games: GameStore, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._games = games
        self.rulesets = rulesets

    async def fold(self, game_id: GameId) -> FoldedGame:
        """Fold a game that the history refers to; raise `Uncountable`."""
        game = await self._games.find(game_id)
        assert game is not None
        try:
            rows = await self._games.read_log(game_id)
            fold = recover_game(game, rows, self.rulesets.get(game.ruleset)).fold
        except (ArchiveDamaged, CorruptLog) as corrupt:
            raise Uncountable(f"game {game_id} cannot be counted: {corrupt}") from corrupt
        outcome = fold.outcome()
        if outcome is None:
            raise Uncountable(f"game {game_id} is in the history, but its log has no end")
        return FoldedGame(game.ruleset, build_completion(fold, outcome, rows[-1].at))
