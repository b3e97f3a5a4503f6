"""Records: what is left of finished games.

For: which games there are, summaries, lifetime statistics, match history, leaderboards.

Promises: reads only; a private game is shown to those who played it; lists page by an
opaque cursor that survives new matches; players with equal values share a rank.

Must not know: running games, how a result came about.
"""
