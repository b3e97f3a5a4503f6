"""What a ruleset is written with.

For: the game contract (`contract`), seeded chance (`chance`), cards (`cards`), and the
table that every game sits at (`table`, `fold`): seats, presence, misplays, command numbers.

Promises: pure and deterministic. No I/O, no clock, no chance that is not seeded.

Must not know: sockets, storage, lobbies, or any single game.
"""
