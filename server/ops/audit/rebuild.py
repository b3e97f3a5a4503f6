"""Players' statistics counted again from the logs, game by game, in their order.

Over all games and in each ruleset; of a game that counts for nothing, nothing is counted.

Which games a player finished, the history says (`verify` checks it against each log);
how they went, the logs say.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from persistence.audit.store import AuditReader, AuditStore, LifetimeStats, StoredXp
from persistence.eventlog.completion import SeatResult
from protocol.ids import GameId, PlayerId
from server.ops.audit.folding import GameFolder, Uncountable


class ColumnDifference(NamedTuple):
    """A column that is not as it was counted again."""

    column: str
    stored: object
    counted: object


@dataclass(frozen=True, slots=True)
class RecountedStatistics:
    """A player's statistics: over all games, and in each ruleset."""

    overall: LifetimeStats | None = None
    by_ruleset: Mapping[str, LifetimeStats] = field(default_factory=dict)

    def with_game(
        self, ruleset: str, *, score: int | None, tricks_won: int, is_winner: bool, at: datetime
    ) -> "RecountedStatistics":
        """Add one game; a score of None adds no points."""

        def added(so_far: LifetimeStats | None) -> LifetimeStats:
            return with_game(
                so_far or LifetimeStats(),
                score=score,
                tricks_won=tricks_won,
                is_winner=is_winner,
                at=at,
            )

        in_ruleset = added(self.by_ruleset.get(ruleset))
        return RecountedStatistics(added(self.overall), {**self.by_ruleset, ruleset: in_ruleset})


async def read_stored_tally(books: AuditReader, player_id: PlayerId) -> RecountedStatistics:
    """Read a player's statistics as they are stored."""
    return RecountedStatistics(
        await books.read_lifetime_stats(player_id), await books.read_ruleset_stats(player_id)
    )


def with_game(
    so_far: LifetimeStats, *, score: int | None, tricks_won: int, is_winner: bool, at: datetime
) -> LifetimeStats:
    """Add one game to a player's statistics; a score of None adds no points."""
    wins = so_far.current_win_streak + 1 if is_winner else 0
    losses = 0 if is_winner else so_far.current_loss_streak + 1
    highest = [each for each in (so_far.highest_score, score) if each is not None]
    lowest = [each for each in (so_far.lowest_score, score) if each is not None]
    return LifetimeStats(
        games_played=so_far.games_played + 1,
        games_won=so_far.games_won + is_winner,
        highest_score=max(highest, default=None),
        lowest_score=min(lowest, default=None),
        total_points=so_far.total_points + (score or 0),
        total_tricks_won=so_far.total_tricks_won + tricks_won,
        most_consecutive_wins=max(so_far.most_consecutive_wins, wins),
        most_consecutive_losses=max(so_far.most_consecutive_losses, losses),
        current_win_streak=wins,
        current_loss_streak=losses,
        last_game_at=at,
    )


def list_column_differences(
    stored: LifetimeStats | None, counted: LifetimeStats | None
) -> list[ColumnDifference]:
    """List the columns that differ; a row that is missing differs in all that is not zero."""
    pairs = zip(
        LifetimeStats._fields, stored or LifetimeStats(), counted or LifetimeStats(), strict=True
    )
    return [ColumnDifference(*pair) for pair in pairs if pair[1] != pair[2]]


def list_tally_differences(
    stored: RecountedStatistics, counted: RecountedStatistics
) -> list[ColumnDifference]:
    """List what differs over all games, then in each ruleset as `games_won in el_dorado`."""
    found = list_column_differences(stored.overall, counted.overall)
    for ruleset in sorted({*stored.by_ruleset, *counted.by_ruleset}):
        pair = stored.by_ruleset.get(ruleset), counted.by_ruleset.get(ruleset)
        for column, *values in list_column_differences(*pair):
            found.append(ColumnDifference(f"{column} in {ruleset}", *values))
    return found


def list_xp_differences(xp: StoredXp | None) -> list[ColumnDifference]:
    """Say where XP is not the sum of what matches brought."""
    return [ColumnDifference("xp_total", *xp)] if xp is not None and xp.stored != xp.earned else []


# Results kept at hand, since a game is asked for once for each of its players.
RESULTS_KEPT_MAX: Final = 10_000


class RecountedGame(NamedTuple):
    """How one game ended, for everybody in it."""

    at: datetime
    seats: Mapping[PlayerId, SeatResult]


class PlayerCount(NamedTuple):
    """A player's statistics as counted, up to the game of this `seq`."""

    tally: RecountedStatistics
    seq: int = 0


@dataclass(frozen=True, slots=True)
class PlayerRecount:
    """What a recount of one player came to; `problem` says why there is none."""

    player_id: PlayerId
    differences: tuple[ColumnDifference, ...] = ()
    repaired: bool = False
    problem: str | None = None


class StatisticsRebuild:
    """Counts again; with `repair` what differs is put right, a transaction a player."""

    def __init__(
        self,
        *,
        store: AuditStore,
        folder: GameFolder,
        repair: bool,
    ) -> None:
        self._store = store
        self._folder = folder
        self._repair = repair
        self._results: dict[GameId, RecountedGame] = {}

    async def recount_all_players(self) -> AsyncIterator[PlayerRecount]:
        """Recount every player, in id order."""
        async for player_id in self._store.iterate_players():
            yield await self.recount_player(player_id)

    async def recount_player(self, player_id: PlayerId) -> PlayerRecount:
        """Recount one player."""
        try:
            return await self._recount(player_id)
        except Uncountable as why:
            return PlayerRecount(player_id, problem=str(why))

    async def _recount(self, player_id: PlayerId) -> PlayerRecount:
        async with self._store.read_snapshot() as books:
            count = await self._counted(books, player_id, since=PlayerCount(RecountedStatistics()))
            differing = await _differing(books, player_id, count)
        if not differing or not self._repair:
            return PlayerRecount(player_id, tuple(differing))
        async with self._store.lock_player_stats(player_id) as books:
            # Most was counted above; only games that ended since are folded under the lock.
            count = await self._counted(books, player_id, since=count)
            differing = await _differing(books, player_id, count)
            await _write(books, player_id, count.tally)
            if (xp := await books.read_xp(player_id)) is not None:
                await books.write_xp(player_id, xp.earned)
        return PlayerRecount(player_id, tuple(differing), repaired=True)

    async def _counted(
        self, books: AuditReader, player_id: PlayerId, *, since: PlayerCount
    ) -> PlayerCount:
        """Go on counting from where a count stands."""
        count = since
        async for game in books.iterate_counted_games(player_id, after=count.seq):
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
            count = PlayerCount(tally, game.seq)
        return count

    async def _result(self, game_id: GameId) -> RecountedGame:
        if (known := self._results.get(game_id)) is not None:
            return known
        result = await self._fold(game_id)
        if len(self._results) == RESULTS_KEPT_MAX:
            del self._results[next(iter(self._results))]
        self._results[game_id] = result
        return result

    async def _fold(self, game_id: GameId) -> RecountedGame:
        completion = (await self._folder.fold(game_id)).completion
        return RecountedGame(completion.at, {seat.player_id: seat for seat in completion.results})


async def _differing(
    books: AuditReader, player_id: PlayerId, count: PlayerCount
) -> list[ColumnDifference]:
    """Compare what is stored of a player with their games: statistics counted again, XP summed."""
    statistics = list_tally_differences(await read_stored_tally(books, player_id), count.tally)
    return statistics + list_xp_differences(await books.read_xp(player_id))


async def _write(books: AuditReader, player_id: PlayerId, tally: RecountedStatistics) -> None:
    """Put a player's statistics right; a ruleset without any game gets a row of zeros."""
    await books.write_lifetime_stats(player_id, tally.overall or LifetimeStats())
    for ruleset in {*await books.read_ruleset_stats(player_id), *tally.by_ruleset}:
        counted = tally.by_ruleset.get(ruleset, LifetimeStats())
        await books.write_ruleset_stats(player_id, ruleset, counted)
