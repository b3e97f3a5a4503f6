"""Saves: slots of single-player titles, on several devices of one person.

For: reading and writing slots with their revisions; merging what several devices changed by the
rules of the title's schema; conflicts that keep both branches; telling other devices.

Promises: a write that was acknowledged is reachable until its revision is pruned by policy, and
branches in conflict are not pruned; a request that is repeated has no second effect; clocks of
clients decide nothing; what the server owns in a state is written by no client; data of mods is
kept and never interpreted.

Must not know: what a state means to its title, what is built on slots (inventory, quests).
"""
