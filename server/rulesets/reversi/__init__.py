"""Reversi, with a clock for each player."""

from server.rulesets.reversi.ruleset import Reversi

RULESET = Reversi()
