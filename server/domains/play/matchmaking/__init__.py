"""Matchmaking: people wait in a queue until there are others of their strength.

Promises: a person is in one queue at most, and in one match that is found; who goes away leaves the
queue; a match that was found starts, or its players wait on, whichever node dies; any number of
nodes search the same queues.

Must not know: how strong people are computed to be, how games are played.
"""
