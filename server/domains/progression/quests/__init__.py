"""Quests: what can be done in a title's saves, and what is given for it, once.

For: conditions over a slot's state, and over what its account has; the steps of quests; rewards;
timed events and seasons by the server's clock; slots that are the log of a ruleset.

Promises: a reward is granted to an account once, whatever was repeated, copied or restored; a
quest goes only where the table of `machine.py` lets it; conditions take bounded time; nobody is
told of a hidden quest before it is available.

Must not know: how slots are stored and merged, how items are booked.
"""
