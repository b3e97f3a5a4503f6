"""The Lamplighter: a short story for one player, whose choices decide how the night ends.

For: the narrative game of the four: flags, counters, remembered choices, what is unlocked, and
events that open and close by the story's own clock. Saves can be its log: see the guide on quests.

Promises: pure and deterministic; every choice takes time, so each story ends by dawn.

Must not know: other games, sockets, storage, the clock.
"""

from server.rulesets.lamplighter.ruleset import Lamplighter

RULESET = Lamplighter()
