"""What a game was made from: the state that it began with, and the commands in their order.

The log records what happened; this is what made it happen. Put through the rules again, one
after the other, the commands give the same events.
"""

from collections.abc import Sequence
from typing import Final

from server.gamekit.contract import Event, Payload, Ruleset
from server.gamekit.fold import AnyRuleset, GameFold, GameOrigin
from server.gamekit.table import CMD, TABLE_EVENTS

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
    return type(ruleset).move_of is not Ruleset.move_of


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

    Moves that were refused are not in it; the log has them as `invalid_action`. Raises
    whatever the rules raise on a log that is not theirs.
    """
    if not derives_moves(origin.ruleset):
        return None
    fold, commands = GameFold(origin), list[Payload]()
    for index, event in enumerate(log):
        if event.type in PRESENCE:
            seat = event.payload["seat"]
            commands.append({"event_index": index, "seat": seat, "presence": event.type})
        elif event.type not in TABLE_EVENTS:
            moved = origin.ruleset.move_of(fold.state, event)
            if moved is not None:
                _, cmd_no = event.payload.get(CMD, (moved.seat, None))
                commands.append(
                    {
                        "event_index": index,
                        "seat": moved.seat,
                        "cmd_no": cmd_no,
                        "move": moved.move,
                    }
                )
        fold.apply(event, at_ms=0)  # no rule looks at the time
    return commands
