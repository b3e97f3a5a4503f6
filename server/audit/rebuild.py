"""Statistics from the logs: every game folded again, in the order it was counted.

Over all games and in each ruleset; of a game that counts for nothing, nothing is counted.

Which games a player finished, the history says (`verify` checks it against each log);
how they went, the logs say.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from persistence.audit import AuditStore, Books, Lifetime
from persistence.completion import SeatResult
from persistence.games import GameStore
from protocol.ids import GameId, PlayerId
from server.audit.tally import (
    Difference,
    Tally,
    stored_tally,
    tally_differences,
    xp_differences,
)
from server.domains.games.recovery import CorruptLog, recover
from server.domains.games.results import completion_of
from server.gamekit.fold import AnyRuleset

# Results kept at hand, since a game is asked for once for each of its players.
RESULTS_KEPT_MAX: Final = 10_000


class Result(NamedTuple):
    """How one game ended, for everybody in it."""

    at: datetime
    seats: Mapping[PlayerId, SeatResult]


class Count(NamedTuple):
    """A player's statistics as counted, up to the game of this `seq`."""

    tally: Tally
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """What a recount of one player came to; `trouble` says why there is none."""

    player_id: PlayerId
    differences: tuple[Difference, ...] = ()
    repaired: bool = False
    trouble: str | None = None


class Uncountable(Exception):
    """A game's log does not say how it ended; the sentence says why."""


class Rebuild:
    """Counts again; with `repair` what differs is put right, a transaction a player."""

    def __init__(
        self,
        *,
        store: AuditStore,
        games: GameStore,
        rulesets: Mapping[str, AnyRuleset],
        repair: bool,
    ) -> None:
        self._store = store
        self._games = games
        self._rulesets = rulesets
        self._repair = repair
        self._results: dict[GameId, Result] = {}

    async def everybody(self) -> AsyncIterator[Account]:
        """Recount every player, in id order."""
        async for player_id in self._store.players():
            yield await self.recount(player_id)

    async def recount(self, player_id: PlayerId) -> Account:
        """Recount one player."""
        try:
            return await self._recount(player_id)
        except Uncountable as why:
            return Account(player_id, trouble=str(why))

    async def _recount(self, player_id: PlayerId) -> Account:
        async with self._store.snapshot() as books:
            count = await self._counted(books, player_id, since=Count(Tally()))
            differing = await _differing(books, player_id, count)
        if not differing or not self._repair:
            return Account(player_id, tuple(differing))
        async with self._store.locked(player_id) as books:
            # Most was counted above; only games that ended since are folded under the lock.
            count = await self._counted(books, player_id, since=count)
            differing = await _differing(books, player_id, count)
            await _write(books, player_id, count.tally)
            if (xp := await books.xp(player_id)) is not None:
                await books.write_xp(player_id, xp.earned)
        return Account(player_id, tuple(differing), repaired=True)

    async def _counted(self, books: Books, player_id: PlayerId, *, since: Count) -> Count:
        """Go on counting from where a count stands."""
        count = since
        async for game in books.counted_games(player_id, after=count.seq):
            result = await self._result(game.game_id)
            mine = result.seats.get(player_id)
            if mine is None:
                raise Uncountable(f"game {game.game_id} is in the history, but not in the log")
            tally = count.tally.with_game(
                game.ruleset,
                score=mine.counted_score,
                tricks_won=mine.counted_tricks,
                is_winner=mine.is_winner,
                at=result.at,
            )
            count = Count(tally, game.seq)
        return count

    async def _result(self, game_id: GameId) -> Result:
        if (known := self._results.get(game_id)) is not None:
            return known
        result = await self._fold(game_id)
        if len(self._results) == RESULTS_KEPT_MAX:
            del self._results[next(iter(self._results))]
        self._results[game_id] = result
        return result

    async def _fold(self, game_id: GameId) -> Result:
        game = await self._games.find(game_id)
        assert game is not None  # the history refers to it
        rows = await self._games.read_all(game_id)
        try:
            fold = recover(game, rows, self._rulesets.get(game.ruleset)).fold
        except CorruptLog as corrupt:
            raise Uncountable(f"game {game_id} cannot be counted: {corrupt}") from corrupt
        outcome = fold.outcome()
        if outcome is None:
            raise Uncountable(f"game {game_id} is in the history, but its log has no end")
        completion = completion_of(fold, outcome, rows[-1].at)
        return Result(completion.at, {seat.player_id: seat for seat in completion.results})


async def _differing(books: Books, player_id: PlayerId, count: Count) -> list[Difference]:
    """Compare what is stored of a player with their games: statistics counted again, XP summed."""
    statistics = tally_differences(await stored_tally(books, player_id), count.tally)
    return statistics + xp_differences(await books.xp(player_id))


async def _write(books: Books, player_id: PlayerId, tally: Tally) -> None:
    """Put a player's statistics right; a ruleset without any game gets a row of zeros."""
    await books.write_lifetime(player_id, tally.overall or Lifetime())
    for ruleset in {*await books.ruleset_stats(player_id), *tally.by_ruleset}:
        counted = tally.by_ruleset.get(ruleset, Lifetime())
        await books.write_ruleset_stats(player_id, ruleset, counted)
