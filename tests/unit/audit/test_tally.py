"""Statistics counted again, by the rules that the database counts by."""

from datetime import UTC, datetime

from persistence.audit.store import LifetimeStats
from server.ops.audit.rebuild import ColumnDifference, list_column_differences, with_game

AT = datetime(2026, 11, 20, tzinfo=UTC)


def counted(*games: tuple[int, bool]) -> LifetimeStats:
    lifetime = LifetimeStats()
    for score, is_winner in games:
        lifetime = with_game(lifetime, score=score, tricks_won=2, is_winner=is_winner, at=AT)
    return lifetime


def test_first_score_is_highest_and_lowest_even_below_zero() -> None:
    first = counted((-7, False))
    assert (first.highest_score, first.lowest_score, first.total_points) == (-7, -7, -7)


def test_streaks_are_kept_over_what_ends_them() -> None:
    stats = counted((1, True), (1, True), (0, False), (1, True))
    assert (stats.current_win_streak, stats.most_consecutive_wins) == (1, 2)
    assert (stats.current_loss_streak, stats.most_consecutive_losses) == (0, 1)


def test_games_wins_tricks_and_time_add_up() -> None:
    stats = counted((3, True), (5, False))
    assert (stats.games_played, stats.games_won, stats.total_tricks_won) == (2, 1, 4)
    assert stats.last_game_at == AT


def test_differences_name_the_column_and_both_values() -> None:
    stats = counted((3, True))
    assert list_column_differences(stats, stats) == []
    assert list_column_differences(stats._replace(games_won=9), stats) == [
        ColumnDifference("games_won", 9, 1)
    ]


def test_missing_row_differs_in_all_that_was_counted() -> None:
    assert {d.column for d in list_column_differences(None, counted((3, True)))} >= {
        "games_played",
        "games_won",
    }
