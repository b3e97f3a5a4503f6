"""Leaderboards of the statistics that rulesets declare, by period and season.

Promises: a game is counted once, however often its event is delivered and in whatever order games
arrive, so that everything here can be computed again from the logs; equal values share a rank; who
does not want to be listed is not, and neither are load tests.

Must not know: how a result came about, how friends become friends.
"""
