"""Relay: no rules. The server orders, logs and fans out whatever players send.

For: lockstep games, and peer games whose connection failed: any JSON object is a move, and
everybody gets it as `relayed`, in one order.

Promises: what is sent arrives unchanged, with its sender; the host ends the game.

Must not know: what the moves mean, other games, sockets, storage, the clock.
"""

from server.rulesets.relay.ruleset import Relay

RULESET = Relay()
