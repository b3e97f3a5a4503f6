"""Achievements: what a ruleset gives its players for, over one game or many.

A ruleset lists them:

    achievements = (
        Achievement("first_win", "First win", "Win a game.", won),
        Achievement("veteran", "Veteran", "Win 100 games.", won, steps=100, points=50),
    )

The function looks at a finished game and a seat, and says how much the game adds. Over all games of
a player that makes their progress; at `steps` the achievement is granted. It is pure: the server
calls it once for each game, and again when it counts anew.
"""

from server.gamekit.contract import CompletedGame


def won(game: CompletedGame, seat: int) -> int:
    """Count a win."""
    return int(game.outcome.standings[seat].is_winner)
