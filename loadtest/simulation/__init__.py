"""Simulated players, many in one process, and the check of all that they saw.

For: players on picows connections (`player`), some of them at a time in a lobby and a game
(`group`), and what a game's players saw together, compared with its log over HTTP (`trace`).

Promises: every event that any player got is checked for its place and against what the
others got; memory is bounded by the games under way and a sample of those that are over.

Must not know: how numbers are shown, the command line.
"""
