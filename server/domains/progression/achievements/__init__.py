"""Achievements: what rulesets give players for, counted from the logs of finished games.

Promises: a game counts once for each player, however often its event is delivered; what is stored
can be counted again from the logs.

Must not know: what any ruleset counts.
"""
