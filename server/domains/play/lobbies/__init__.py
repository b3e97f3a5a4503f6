"""Lobbies: where players meet before a game.

For: opening, finding, joining and leaving lobbies, bots, kicks and settings, quick play,
peer lobbies, whose game runs on their host's machine, lobbies with several tables, starting
the game, and clearing up after people and nodes that went away. `rules` and the pure functions
in `peers` lead from one lobby to the next; they are carried out by `changes` (locked, stored,
published).

Promises: a seat is given once, whatever the races. Every change adds one to the lobby's
version and is published after it is committed, whole, in one frame for everybody; that frame
has no join code, which only replies to members do. Where the host of a peer lobby is
reached, its members get in a frame of their own. A session between peers is on record
once. Whoever may no longer see a lobby is sent nothing more of it.

Must not know: how a game is played or stored (`start_game` is handed in), sockets' bytes,
chat, SQL.
"""
