"""Tournaments: registration, rounds, pairings, standings.

Promises: each pairing has one game, and each result counts once, however often a node is killed;
what is played are ordinary games. Any node advances any tournament.

Must not know: how games and lobbies work. It has them start games, and learns from a durable event
how they ended.
"""
