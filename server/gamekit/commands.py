"""What a game was made from: the state that it began with, and the commands in their order.

The log records what happened; this is what made it happen. Put through the rules again, one
after the other, the commands give the same events.
"""

from collections.abc import Sequence
from typing import Final

from server.gamekit.contract import Event, Payload, Ruleset
from server.gamekit.fold import AnyRuleset, GameFold, GameOrigin
from server.gamekit.realtime import RealtimeRuleset
from server.gamekit.table import AFTER_TICK, CMD, TABLE_EVENTS, TICK, TIMER

PRESENCE: Final = frozenset(
    {
        "player_left",
        "player_joined",
        "player_disconnected",
        "player_reconnected",
        "player_became_spectator",
    }
)


def derives_moves(ruleset: AnyRuleset) -> bool:
    """Say whether a ruleset can derive the moves from the events."""
    return isinstance(ruleset, RealtimeRuleset) or type(ruleset).move_of is not Ruleset.move_of


def initial_state(origin: GameOrigin) -> Payload:
    """Write what the rules' `initial` is given: the game before its first event."""
    return {
        "config": origin.config.model_dump(mode="json"),
        "players": [player.player_id for player in origin.players],
        "seed": origin.seed,
    }


def command_stream(origin: GameOrigin, log: Sequence[Event]) -> list[Payload] | None:
    """List what was done in a game, in order; None if its rules cannot derive the moves.

    Each command is at the index of the first event that came of it, and has its seat and

    - `move`, as `move_of` gives it, with the `cmd_no` that its player gave it. A `cmd_no` of
      None marks what the server played: a bot's move, or that of a player whose time was up
      or who had left;
    - or `presence`, with the type of the table's event: `player_left`, ….

    In a real-time game, a tick that took inputs has its number as `tick`, and `inputs`: for each
    its seat, `cmd_no` and move.

    A timer that went off has no seat, and is at `timer`, as `[name, at_ms]`. Where the rules
    read the time, each has when it happened as `at_ms`.

    Moves that were refused are not in it; the log has them as `invalid_action`. Raises
    whatever the rules raise on a log that is not theirs.
    """
    if not derives_moves(origin.ruleset):
        return None
    fold, commands = GameFold(origin), list[Payload]()
    for index, event in enumerate(log):
        done = _command_of(fold, event)
        if done is not None:
            at = {"at_ms": event.at_ms} if origin.ruleset.reads_time else {}
            commands.append({"event_index": index, **done, **at})
        fold.apply(event)
    return commands


def _command_of(fold: GameFold, event: Event) -> Payload | None:
    """Say what was done, if this event is the first that came of something."""
    if event.type in PRESENCE:
        return {"seat": event.payload["seat"], "presence": event.type}
    if event.type == TICK:
        return {"tick": event.payload[AFTER_TICK], "inputs": event.payload["inputs"]}
    if event.type in TABLE_EVENTS:
        return None
    if TIMER in event.payload:
        return {"timer": event.payload[TIMER]}
    moved = fold.ruleset.move_of(fold.state, event)
    if moved is None:
        return None
    _, cmd_no = event.payload.get(CMD, (moved.seat, None))
    return {"seat": moved.seat, "cmd_no": cmd_no, "move": moved.move}
