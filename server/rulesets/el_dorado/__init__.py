"""El Dorado: bid how many tricks you will take, then take exactly that many.

For: the card game of that name, for 2 to 10 players: its rules (`rules`), the state that
its events fold into (`state`), its moves and events, scores, snapshots and bots.

Promises: pure and deterministic; nobody is shown another's hand, a deck or a seed.

Must not know: other games, sockets, storage, the clock.
"""

from server.rulesets.el_dorado.ruleset import ElDorado

RULESET = ElDorado()
