"""Blueprints: designs that people make, publish and fork.

For: making, listing, forking and deleting one's own; the public market.

Promises: what a blueprint is never changes; its name says its version, and stands once in an
owner's list and once on the market; whose it is and who sees it is decided by the database's
row level security; lists page by an opaque cursor.

Must not know: what a design means to a game, how files are stored.
"""
