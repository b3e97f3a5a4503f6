"""Ratings: how strong players are at a ruleset, by the games that count.

Promises: a game changes ratings once, however often its event is delivered; the order in which
games did so is on record, so all of it can be computed again from the logs and compared.

Must not know: matchmaking, which only reads ratings.
"""
