"""Games as replies show them: how far, and the whole snapshot."""

from typing import Any

from server.gamekit.contract import Viewer
from server.gamekit.fold import GameFold


def build_head(
    head: int, *, seat: int | None, cmd_no: int, status: str, commitment: str | None
) -> dict[str, object]:
    """Draw up the reply that says where a stream stands, and what the log commits to there."""
    return {
        "head": head,
        "seat": seat,
        "cmd_no": cmd_no,
        "status": status,
        "commitment": commitment,
    }


def build_snapshot(fold: GameFold, viewer: Viewer) -> dict[str, object]:
    """Draw the whole snapshot of a game for a viewer."""
    return {
        "head": fold.next_index - 1,
        "seat": viewer,
        "status": "completed" if fold.table.completed else "in_progress",
        "players": [_seat(fold, seat) for seat in range(len(fold.table.seats))],
        "turn": _turn(fold),
        "view": fold.ruleset.view(fold.state, viewer),
        **_ticks(fold),
    }


def _ticks(fold: GameFold) -> dict[str, object]:
    if fold.realtime is None:
        return {}
    rules = fold.realtime
    return {"tick": fold.tick, "tick_hz": rules.tick_hz, "patch_hz": rules.patch_hz}


def _seat(fold: GameFold, seat: int) -> dict[str, Any]:
    occupant = fold.table.seats[seat]
    return {
        "seat": seat,
        "player_id": occupant.player_id,
        "bot": occupant.bot,
        "present": occupant.present,
        "connected": occupant.connected,
    }


def _turn(fold: GameFold) -> dict[str, Any] | None:
    if fold.turn is None:
        return None
    return {"seats": list(fold.turn.seats), "deadline_ms": fold.deadline_ms}
