"""Four in a row: drop discs into seven columns; four in a line win.

For: the open-information game of the three: nothing is hidden, and a draw is possible.

Promises: pure and deterministic; who leaves resigns.

Must not know: other games, sockets, storage, the clock.
"""

from server.rulesets.four_in_a_row.ruleset import FourInARow

RULESET = FourInARow()
