"""What many players need: nodes, cores of databases, shards of Redis.

Everything is a sum of rates times costs. The only thing that depends on itself is the number of
nodes: the more there are, the more players are connected to another node than their game's owner,
whose moves and events then take a second hop.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

from loadtest.scaling.costs import US, Costs

ROUNDS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Workload:
    """Who is there, and what they do. All of these are assumptions."""

    players: int  # who are connected
    playing: float = 0.4  # the share of them that is in a game; the others sit in menus and lobbies
    seats: int = 4
    seconds_per_move: float = 8.0  # of each player
    watchers_per_game: float = 0.5
    # The share of players that a load balancer sends to the node of their game, beyond chance.
    routed: float = 0.0

    @property
    def games(self) -> float:
        """Games at once."""
        return self.players * self.playing / self.seats

    @property
    def moves_per_s(self) -> float:
        """Moves of all players, each an event."""
        return self.players * self.playing / self.seconds_per_move

    @property
    def recipients(self) -> float:
        """Who receives an event."""
        return self.seats + self.watchers_per_game


@dataclass(frozen=True, slots=True)
class Limits:
    """How far machines are used; the rest is for peaks, for deploying and for what fails."""

    node_busy: float = 0.6
    database_busy: float = 0.5
    redis_busy: float = 0.5
    connections_per_node: int = 15_000
    # Of one PostgreSQL server: what its processors can do, and what one write-ahead log takes.
    database_cores: int = 32
    database_events_per_s: int = 150_000


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a workload needs."""

    nodes: int
    elsewhere: float  # the share of players who are at another node than their game
    node_cores: float
    hop_share: float  # of the nodes' work that is due to second hops
    memory_gb: float  # of connections
    events_per_s: float
    deliveries_per_s: float
    database_cores: float
    databases: int
    redis_notices_per_s: float
    redis_shards: int


def plan(costs: Costs, work: Workload, limits: Limits | None = None) -> Deployment:
    """Find out what a workload needs: nodes are added until they suffice for themselves."""
    limits = limits or Limits()
    nodes = 1
    for _ in range(ROUNDS_MAX):
        found = _with_nodes(costs, work, limits, nodes)
        if found.nodes <= nodes:
            break
        nodes = found.nodes
    return found


def _with_nodes(costs: Costs, work: Workload, limits: Limits, nodes: int) -> Deployment:
    events = work.moves_per_s
    elsewhere = (1 - 1 / nodes) * (1 - work.routed)
    # Each recipient who is elsewhere is at a node of its own, but for chance.
    others = nodes - 1
    apart = work.recipients * elsewhere
    following = others * (1 - (1 - 1 / others) ** apart) if others else 0.0
    own_us = events * costs.server.at(work.recipients) + work.players * costs.idle_us_per_s
    hop_us = events * (following * costs.hop_us + elsewhere * costs.forward_us)
    node_cores = (own_us + hop_us) / US
    database_cores = events * costs.database_event_us / US
    # A message to Redis each: an event that is followed from elsewhere, and a move that is made
    # there, with its answer.
    redis_us = events * (
        min(following, 1.0) * costs.redis_notice_us + elsewhere * costs.redis_forward_us
    )
    return Deployment(
        nodes=max(
            1,
            ceil(node_cores / limits.node_busy),
            ceil(work.players / limits.connections_per_node),
        ),
        elsewhere=elsewhere,
        node_cores=node_cores,
        hop_share=hop_us / (own_us + hop_us),
        memory_gb=work.players * costs.idle_bytes / 1e9,
        events_per_s=events,
        deliveries_per_s=events * work.recipients,
        database_cores=database_cores,
        databases=max(
            1,
            ceil(database_cores / limits.database_busy / limits.database_cores),
            ceil(events / limits.database_events_per_s),
        ),
        redis_notices_per_s=events * (min(following, 1.0) + 2 * elsewhere),
        redis_shards=ceil(redis_us / US / limits.redis_busy),
    )
