"""Presence: which node a player is connected to.

For: closing the older of a player's connections, whichever nodes they are on, and telling those who
went away from those who are at another node now.

Promises: of two connections of a player one stays, the one that was noted last; nothing is written
while a node is the only one.

Must not know: what a player is connected for.
"""
