"""Arena: up to eight players gather gems in real time."""

from server.rulesets.arena.ruleset import Arena

RULESET = Arena()
