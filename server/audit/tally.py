"""Players' statistics, counted again one game at a time, as the database counts them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from persistence.audit import Books, Lifetime, Xp
from protocol.ids import PlayerId


class Difference(NamedTuple):
    """A column that is not as it was counted again."""

    column: str
    stored: object
    counted: object


@dataclass(frozen=True, slots=True)
class Tally:
    """A player's statistics: over all games, and in each ruleset."""

    overall: Lifetime | None = None
    by_ruleset: Mapping[str, Lifetime] = field(default_factory=dict)

    def with_game(
        self, ruleset: str, *, score: int | None, tricks_won: int, is_winner: bool, at: datetime
    ) -> "Tally":
        """Add one game; a score of None adds no points."""

        def added(so_far: Lifetime | None) -> Lifetime:
            return with_game(
                so_far or Lifetime(),
                score=score,
                tricks_won=tricks_won,
                is_winner=is_winner,
                at=at,
            )

        in_ruleset = added(self.by_ruleset.get(ruleset))
        return Tally(added(self.overall), {**self.by_ruleset, ruleset: in_ruleset})


async def stored_tally(books: Books, player_id: PlayerId) -> Tally:
    """Read a player's statistics as they are stored."""
    return Tally(await books.lifetime(player_id), await books.ruleset_stats(player_id))


def with_game(
    so_far: Lifetime, *, score: int | None, tricks_won: int, is_winner: bool, at: datetime
) -> Lifetime:
    """Add one game to a player's statistics; a score of None adds no points."""
    wins = so_far.current_win_streak + 1 if is_winner else 0
    losses = 0 if is_winner else so_far.current_loss_streak + 1
    highest = [each for each in (so_far.highest_score, score) if each is not None]
    lowest = [each for each in (so_far.lowest_score, score) if each is not None]
    return Lifetime(
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


def differences(stored: Lifetime | None, counted: Lifetime | None) -> list[Difference]:
    """List the columns that differ; a row that is missing differs in all that is not zero."""
    pairs = zip(Lifetime._fields, stored or Lifetime(), counted or Lifetime(), strict=True)
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def tally_differences(stored: Tally, counted: Tally) -> list[Difference]:
    """List what differs over all games, then in each ruleset as `games_won in el_dorado`."""
    found = differences(stored.overall, counted.overall)
    for ruleset in sorted({*stored.by_ruleset, *counted.by_ruleset}):
        pair = stored.by_ruleset.get(ruleset), counted.by_ruleset.get(ruleset)
        for column, *values in differences(*pair):
            found.append(Difference(f"{column} in {ruleset}", *values))
    return found


def xp_differences(xp: Xp | None) -> list[Difference]:
    """Say where XP is not the sum of what matches brought."""
    return [Difference("xp_total", *xp)] if xp is not None and xp.stored != xp.earned else []
