"""Bots that compete: who they are, who owns them, and how they sign in.

For: registering bots, their owners as a history, the tokens that bots sign in with, `/v1/bots`.

Promises: a bot's token is stored as a hash only, is shown once, and is good only while its maker
owns the bot and the bot is active; a socket that it opened closes within seconds after that; what
moderators and admins do to bots is on record.

Must not know: epochs, what a bot claims, how a chain is read.
"""
