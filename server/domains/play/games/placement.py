"""Where a new game goes: to this node, unless another one has clearly less to do.

A game costs least where its players are connected, and nobody knows yet where that will be. So a
game stays where it is made while the nodes have about equally many. Otherwise two of the others are
drawn and the one with fewer games gets it, unless it uses more of its core than this one: nodes
that all saw the same figures, some seconds old, would send everything to the same node if each
chose the best (the power of two choices).

How busy a node is, it says itself when it renews its lease. Games are counted, as the share of a
core says little on a machine that others use as well.
"""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Final

from persistence.games.store import GameStore, NodeLoad, NodeRow
from protocol.errors import PlayhallError
from protocol.ids import GameId
from server.core.node_calls import NodeCalls, NodeSilent
from server.gamekit.fold import AnyRuleset
from server.version import VERSION

LOOK_EVERY_S: Final = 2.0
# A game is sent elsewhere where that node has at most this share of our games, less some.
SHARE: Final = 0.75
FEWER: Final = 2
# How much more of a core it may use all the same.
BUSIER_MAX: Final = 0.15
CHOICES: Final = 2


class LoadMeter:
    """Measures how busy this node is, from one reading to the next."""

    def __init__(
        self,
        *,
        games: Callable[[], int],
        connections: Callable[[], int],
        is_draining: Callable[[], bool],
        rulesets: Mapping[str, AnyRuleset],
    ) -> None:
        self._games = games
        self._connections = connections
        self._is_draining = is_draining
        self._rulesets = rulesets
        self._last = (time.monotonic(), time.process_time())
        self._load = 0.0

    @property
    def games(self) -> int:
        """How many games this node has now."""
        return self._games()

    @property
    def plays(self) -> str:
        """Name what can be played here: nodes of which this is equal can play the same games."""
        names = sorted(f"{each.name} {each.version}" for each in self._rulesets.values())
        return blake2b("\n".join(names).encode(), digest_size=8).hexdigest()

    def read(self) -> NodeLoad:
        """Give how busy the node was since the last reading."""
        now, used = time.monotonic(), time.process_time()
        since, used_before = self._last
        if now > since:
            self._load = (used - used_before) / (now - since)
        self._last = (now, used)
        return NodeLoad(
            games=self._games(),
            connections=self._connections(),
            load=round(self._load, 3),
            is_draining=self._is_draining(),
            plays=self.plays,
            version=VERSION,
        )


class Placement:
    """Chooses nodes for new games."""

    def __init__(self, store: GameStore, calls: NodeCalls, meter: LoadMeter) -> None:
        self._store = store
        self._calls = calls
        self._meter = meter
        self._here: NodeRow | None = None
        self._others: list[NodeRow] = []
        self._looked_at = -LOOK_EVERY_S

    async def choose(self) -> str:
        """Name the node for a new game; this one where nobody else can be asked."""
        here = self._store.node
        if not self._calls.is_possible:
            return here
        if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            rows = await self._store.list_nodes()
            self._others = [row for row in rows if row.node != here]
            self._here = next((row for row in rows if row.node == here), None)
        if self._here is None:
            return here
        return choose_node(self._here._replace(games=self._meter.games), self._others)

    async def hand_over(self, node: str, game_id: GameId) -> None:
        """Have a node take a game of its own; if it does not hear, the first player does it."""
        with suppress(NodeSilent, PlayhallError):
            await self._calls.ask(node, "game.take", {"game_id": game_id})


def choose_node(here: NodeRow, others: list[NodeRow]) -> str:
    """Choose among this node and the others that serve and can play the same games."""
    fit = [
        row
        for row in others
        if row.lease_s > 0
        and not row.is_draining
        and row.plays == here.plays
        and row.load <= here.load + BUSIER_MAX
    ]
    drawn = random.sample(fit, min(CHOICES, len(fit)))
    best = min(drawn, key=lambda row: row.games, default=here)
    return best.node if best.games <= here.games * SHARE - FEWER else here.node
