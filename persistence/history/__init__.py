"""Summaries, statistics, match history and leaderboards of finished games."""
