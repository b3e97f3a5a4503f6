"""Rock, paper, scissors: moves at the same time."""

from server.rulesets.rock_paper_scissors.ruleset import RockPaperScissors

RULESET = RockPaperScissors()
