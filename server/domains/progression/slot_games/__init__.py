"""Slots that are attached to games on the server, and what the results give them.

Promises: the result of a game is applied to a slot once, however often its event is delivered, and
to one slot of an account; what is given is in the ledger.

Must not know: how games and lobbies work. It learns from a durable event how a game ended.
"""
