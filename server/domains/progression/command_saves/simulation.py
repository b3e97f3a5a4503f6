"""A log as a game of one seat: beginning it, folding it, and carrying commands out. Pure.

Its events have no time, so rules that read the time have no logs of this kind.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from server.gamekit.contract import Event, Payload
from server.gamekit.fold import AnyRuleset, GameFold, GameOrigin
from server.gamekit.table import CMD, SeatedPlayer, game_completed_event, game_created_event

SEAT: Final = 0
# What a view has for the moment alone.
_NOT_STATE: Final = frozenset({"seat", "legal_moves"})


def read_origin(ruleset: AnyRuleset, player_id: Any, config: Payload, seed: str) -> GameOrigin:
    """Say what a log starts from."""
    parsed = ruleset.config.model_validate(config)
    return GameOrigin(ruleset, (SeatedPlayer(player_id),), parsed, seed)


def begin_log(origin: GameOrigin) -> tuple[GameFold, list[Event]]:
    """Make the first events, and fold them."""
    ruleset, fold = origin.ruleset, GameFold(origin)
    created = game_created_event(
        ruleset.name,
        ruleset.version,
        origin.players,
        origin.config.model_dump(),
        origin.seed,
        leavers_rank_last=ruleset.leavers_rank_last,
    )
    return fold, [*_taken(fold, [created]), *_taken(fold, ruleset.setup(fold.state))]


def count_commands(events: Iterable[Event]) -> int:
    """Count the commands of a log."""
    return sum(CMD in event.payload for event in events)


def fold_log(origin: GameOrigin, events: Iterable[Event]) -> GameFold:
    """Fold a log."""
    fold = GameFold(origin)
    for event in events:
        fold.apply(event)
    return fold


def apply_move(fold: GameFold, move: Payload, cmd_no: int) -> list[Event]:
    """Decide a move, the player's so many-th, and fold what comes of it; raise `IllegalMove`."""
    ruleset = fold.ruleset
    events = ruleset.decide(fold.state, SEAT, ruleset.read_move(move))
    events[0].payload[CMD] = [SEAT, cmd_no]
    taken = _taken(fold, events)
    outcome = fold.outcome()
    if outcome is not None:
        taken += _taken(fold, [game_completed_event(fold.table, outcome, fold.origin.seed)])
    return taken


def build_slot_state(fold: GameFold) -> Payload:
    """Give the state of a slot: what its player sees, without what can be chosen now."""
    view = fold.ruleset.view(fold.state, SEAT)
    return {key: value for key, value in view.items() if key not in _NOT_STATE}


def _taken(fold: GameFold, events: Sequence[Event]) -> list[Event]:
    for event in events:
        fold.apply(event)
    return list(events)
