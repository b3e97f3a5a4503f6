"""Ratings computed again from the logs, in the order in which games changed them.

The order is on record (`rated_games.number`), and any two games of one player are in it as they
happened to the player's rating. All strengths of one ruleset are in memory meanwhile.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from persistence.database import Connection
from persistence.ratings.store import RatingStore, StoredChange, StoredRating
from protocol.ids import GameId, PlayerId
from server.domains.compete.ratings.rules import GameResult, SeatPlace, Strength, rate_game
from server.domains.compete.ratings.service import RatingService, rows_of
from server.ops.audit.folding import GameFolder, Uncountable

# Of a rating: what sums of floating point may differ by on another machine.
TOLERANCE: Final = 1e-6
DIFFERENCES_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class RatingRecount:
    """What computing a ruleset's ratings again came to; `problem` says why it could not be."""

    ruleset: str
    games: int = 0
    differences: int = 0
    shown: tuple[str, ...] = ()
    repaired: bool = False
    problem: str | None = None


class RatingRebuild:
    """Computes again; with `repair` what differs is put right, a transaction a ruleset."""

    def __init__(self, store: RatingStore, folder: GameFolder, *, repair: bool) -> None:
        self._store = store
        self._folder = folder
        self._repair = repair
        self._service = RatingService(store, folder.rulesets)

    async def rate_missing(self) -> tuple[int, list[str]]:
        """Rate the games that never were; says how many, and what could not be folded.

        Without `repair` they are only found.
        """
        rated = [name for name, each in self._folder.rulesets.items() if each.rated]
        problems: list[str] = []
        missing = 0
        found = await self._store.list_unrated_games(rated)
        while found:
            for _, game_id in found:
                missing += 1
                if self._repair:
                    try:
                        game = await self._result(game_id)
                        await self._service.rate_games(game.ruleset, [game])
                    except Uncountable as why:
                        problems.append(str(why))
            found = await self._store.list_unrated_games(rated, after=found[-1][0])
        return missing, problems

    async def recount_all(self) -> AsyncIterator[RatingRecount]:
        """Compute every ruleset again."""
        async with self._store.database.acquire() as connection:
            rulesets = await self._store.list_rulesets(connection)
        for ruleset in rulesets:
            yield await self.recount(ruleset)

    async def recount(self, ruleset: str) -> RatingRecount:
        """Compute one ruleset again, while its players' ratings stand still."""
        if ruleset not in self._folder.rulesets:
            return RatingRecount(ruleset, problem=f"the ruleset {ruleset} is not installed")
        try:
            async with self._store.database.transaction() as connection:
                locked = await self._store.lock_all(connection, ruleset)
                return await self._recount(connection, ruleset, locked)
        except Uncountable as why:
            return RatingRecount(ruleset, problem=str(why))

    async def _recount(
        self, connection: Connection, ruleset: str, locked: set[PlayerId]
    ) -> RatingRecount:
        rules = self._folder.rulesets[ruleset]
        strengths: dict[PlayerId, Strength] = {}
        found: list[str] = []
        count = number = games = 0
        while batch := await self._store.list_games(connection, ruleset, after=number):
            stored = await self._store.read_changes(connection, [game.game_id for game in batch])
            wrong: list[StoredChange] = []
            for game in batch:
                result = await self._result(game.game_id)
                rated = rate_game(rules, result, strengths)
                strengths.update((player, each.after) for player, each in rated.items())
                _, changes = rows_of(result, game.number, rated)
                for change in changes:
                    if change.player_id not in locked:  # erased, or rated only now
                        continue
                    was = stored.get((change.game_id, change.player_id))
                    if was is None or not _is_same(was, (change.place, *change[4:])):
                        wrong.append(change)
                        count += 1
                        if len(found) < DIFFERENCES_SHOWN_MAX:
                            found.append(
                                f"game {change.game_id}, player {change.player_id}: "
                                f"{was and round(was[2], 3)} is {change.rating:.3f} by the logs"
                            )
            if wrong and self._repair:
                await self._store.write(connection, ruleset, [], wrong)
            games += len(batch)
            number = batch[-1].number
        final = await self._store.read_all(connection, ruleset)
        ratings = []
        for player in sorted(locked):
            again = StoredRating(player, *strengths.get(player, Strength()))
            was_rating = final.get(player)
            if was_rating is None or not _is_same(was_rating[1:5], again[1:5]):
                ratings.append(again)
                count += 1
                if len(found) < DIFFERENCES_SHOWN_MAX:
                    found.append(
                        f"player {player}: {was_rating and round(was_rating.rating, 3)} is "
                        f"{again.rating:.3f} after {again.games} games by the logs"
                    )
        if ratings and self._repair:
            await self._store.write(connection, ruleset, ratings, [])
        return RatingRecount(
            ruleset, games, count, tuple(found), repaired=bool(count) and self._repair
        )

    async def _result(self, game_id: GameId) -> GameResult:
        folded = await self._folder.fold(game_id)
        seats = tuple(
            SeatPlace(each.player_id, each.seat, each.score, each.is_winner, each.forfeited)
            for each in folded.completion.results
        )
        return GameResult(game_id, folded.ruleset, folded.completion.at, seats)


def _is_same(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(abs(a - b) <= TOLERANCE for a, b in zip(one, other, strict=True))
