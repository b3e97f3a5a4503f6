"""A log as a game of one seat: beginning it, folding it, and carrying commands out. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from server.gamekit.contract import Event, Payload
from server.gamekit.fold import AnyRuleset, Fold, Origin
from server.gamekit.table import CMD, Player, game_completed, game_created

SEAT: Final = 0
# What a view has for the moment alone.
_NOT_STATE: Final = frozenset({"seat", "legal_moves"})


def origin_of(ruleset: AnyRuleset, player_id: Any, config: Payload, seed: str) -> Origin:
    """Say what a log starts from."""
    parsed = ruleset.config.model_validate(config)
    return Origin(ruleset, (Player(player_id),), parsed, seed)


def begun(origin: Origin) -> tuple[Fold, list[Event]]:
    """Make the first events, and fold them."""
    ruleset, fold = origin.ruleset, Fold(origin)
    created = game_created(
        ruleset.name,
        ruleset.version,
        origin.players,
        origin.config.model_dump(),
        origin.seed,
        leavers_rank_last=ruleset.leavers_rank_last,
    )
    return fold, [*_taken(fold, [created]), *_taken(fold, ruleset.setup(fold.state))]


def commands_in(events: Iterable[Event]) -> int:
    """Count the commands of a log."""
    return sum(CMD in event.payload for event in events)


def folded(origin: Origin, events: Iterable[Event]) -> Fold:
    """Fold a log."""
    fold = Fold(origin)
    for event in events:
        fold.apply(event, at_ms=0)  # no rule looks at the time
    return fold


def carried_out(fold: Fold, move: Payload, cmd_no: int) -> list[Event]:
    """Decide a move, the player's so many-th, and fold what comes of it; raise `IllegalMove`."""
    ruleset = fold.ruleset
    events = ruleset.decide(fold.state, SEAT, ruleset.read_move(move))
    events[0].payload[CMD] = [SEAT, cmd_no]
    taken = _taken(fold, events)
    outcome = fold.outcome()
    if outcome is not None:
        taken += _taken(fold, [game_completed(fold.table, outcome, fold.origin.seed)])
    return taken


def state_of(fold: Fold) -> Payload:
    """Give the state of a slot: what its player sees, without what can be chosen now."""
    view = fold.ruleset.view(fold.state, SEAT)
    return {key: value for key, value in view.items() if key not in _NOT_STATE}


def _taken(fold: Fold, events: Sequence[Event]) -> list[Event]:
    for event in events:
        fold.apply(event, at_ms=0)
    return list(events)
