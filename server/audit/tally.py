"""Lifetime statistics, counted again one game at a time, as the database counts them."""

from datetime import datetime
from typing import NamedTuple

from persistence.audit import Lifetime, Xp


class Difference(NamedTuple):
    """A column that is not as it was counted again."""

    column: str
    stored: object
    counted: object


def with_game(
    so_far: Lifetime, *, score: int, tricks_won: int, is_winner: bool, at: datetime
) -> Lifetime:
    """Add one game to a player's statistics."""
    wins = so_far.current_win_streak + 1 if is_winner else 0
    losses = 0 if is_winner else so_far.current_loss_streak + 1
    return Lifetime(
        games_played=so_far.games_played + 1,
        games_won=so_far.games_won + is_winner,
        highest_score=score if so_far.highest_score is None else max(so_far.highest_score, score),
        lowest_score=score if so_far.lowest_score is None else min(so_far.lowest_score, score),
        total_points=so_far.total_points + score,
        total_tricks_won=so_far.total_tricks_won + tricks_won,
        most_consecutive_wins=max(so_far.most_consecutive_wins, wins),
        most_consecutive_losses=max(so_far.most_consecutive_losses, losses),
        current_win_streak=wins,
        current_loss_streak=losses,
        last_game_at=at,
    )


def differences(stored: Lifetime | None, counted: Lifetime) -> list[Difference]:
    """List the columns that differ; a row that is missing differs in all that is not zero."""
    pairs = zip(Lifetime._fields, stored or Lifetime(), counted, strict=True)
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def xp_differences(xp: Xp | None) -> list[Difference]:
    """Say where XP is not the sum of what matches brought."""
    return [Difference("xp_total", *xp)] if xp is not None and xp.stored != xp.earned else []
