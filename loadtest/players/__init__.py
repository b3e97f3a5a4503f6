"""Simulated players: one small file a ruleset, found by its name.

For: choosing moves from nothing but the player's own event stream, and keeping the score,
for simulations (`loadtest.simulation`) and for the terminal player's `--auto`.

Promises: pure; a ruleset that has no file here is played by `kind.GenericBehaviour`, which asks for
legal moves; one that has is one line in `KINDS`, plays faster, and has its result counted.

Must not know: sockets, commands, indexes, other players' hands.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from loadtest.players import el_dorado, four_in_a_row, lamplighter, relay
from loadtest.players.kind import RulesetPlayer

KINDS: Final[Mapping[str, RulesetPlayer]] = MappingProxyType(
    {
        kind.ruleset: kind
        for kind in (el_dorado.KIND, four_in_a_row.KIND, lamplighter.KIND, relay.KIND)
    }
)
