"""Rematches and series: the players of a finished game agree to play again, once or several times.

Promises: nothing starts that not everybody agreed to; a game of a series counts once and is started
once, whichever node dies; seats rotate.

Must not know: how games are played, how a lobby is made.
"""
