"""Epochs: a day's competition, from its profile to its payouts.

For: phases and who advances them, claims on slots, votes, the numbered stream of a day,
settlement, `epoch.*` commands and `/v1/epochs`.

Promises: every change of a day is an event with the next version, in one transaction with
what it changes; a day is settled once, by rules that anyone can run again on its events, and
no share, basis point or wei is lost or made up.

Must not know: games, lobbies, or how a bot proves who it is.
"""
