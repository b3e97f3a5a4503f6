"""Small objects that titles keep for players and games, for what needs no table of its own.

Promises: an object's version goes up by one with each write, so that a conditional write overwrites
nothing that was not read; row level security decides who may read and write a player's object.

Must not know: what titles keep in them, how games work.
"""
