"""Which modules the compiled build consists of: the path of a move, from its frame to its log.

One unit: they call each other directly and know each other's layout. Left out, although a move
comes through them, are

- what extends a class that is written in C (`gateway/transport/websocket.py`, of picows), or is
  asked for with `isinstance` by a protocol (`gateway/transport/handlers.py`);
- what rulesets of others extend (`gamekit/contract.py`, `gamekit/realtime.py`), and rulesets:
  compiled code cannot be interrupted by the watch over rules, nor extended by interpreted classes;
- what tests move or stand in for: `core/clock.py`, which made no difference to what a move costs,
  and `play/games/registry.py`, which is asked once a move and once a commit;
- models, which pydantic makes.
"""

from typing import Final

MODULES: Final = (
    "protocol.codec",
    "protocol.kept_bytes",
    "persistence.eventlog.hashchain",
    "persistence.eventlog.writer",
    "persistence.hook_points",
    "server.core.containment",
    "server.core.rate_limits",
    "server.core.subscriptions",
    "server.domains.play.games.commands",
    "server.domains.play.games.event_batches",
    "server.domains.play.games.inputs",
    "server.domains.play.games.live_game",
    "server.domains.play.games.patches",
    "server.domains.play.games.recorder",
    "server.domains.play.games.ruleset_failures",
    "server.domains.play.games.streams",
    "server.domains.play.games.subscribers",
    "server.domains.play.games.turn_timer",
    "server.domains.play.games.views",
    "server.gamekit.fold",
    "server.gamekit.table",
    "server.gateway.session.identity",
    "server.gateway.session.sessions",
    "server.gateway.transport.framing",
    "server.gateway.transport.send_buffer",
    "server.gateway.transport.socket",
)
