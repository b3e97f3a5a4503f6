"""Talk in lobbies and at games.

For: passing on what somebody says to everybody in a lobby, or at and around a game.

Promises: only who is there may speak, and not too much at a time; nothing is kept.

Must not know: who is in a lobby or at a game (functions that are handed in say so),
sockets, SQL.
"""
