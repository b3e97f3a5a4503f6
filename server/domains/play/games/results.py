"""A finished game's summary and results, from its fold alone."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final

from persistence.eventlog.completion import Completion, SeatResult, UncountedReason
from persistence.eventlog.hashchain import canonical_json
from protocol.history import GameSummary
from server.gamekit.contract import Outcome, Standing
from server.gamekit.fold import GameFold
from server.gamekit.table import SeatTable, TableSeat

NUMBER_MAX: Final = 2**31 - 1  # `int` columns
_NUMBERS: Final = ("score", "longest_win_streak", "longest_loss_streak")
# Statistics with columns of their own, which every game fills: with these where none are declared.
TRICKS_WON: Final = "tricks_won"
HIGHEST_BID: Final = "highest_bid"


def build_completion(fold: GameFold, outcome: Outcome, at: datetime) -> Completion:
    """Draw up what is stored when a game ends."""
    seats = fold.table.seats
    results = tuple(
        SeatResult(
            player_id=seats[standing.seat].player_id,
            seat=standing.seat,
            score=standing.score,
            tricks_won=standing.statistics.get(TRICKS_WON, 0),
            is_winner=standing.is_winner,
            forfeited=standing.forfeited,
        )
        for standing in outcome.standings
    )
    winners = [result.player_id for result in results if result.is_winner]
    winner_id = winners[0] if len(winners) == 1 else None
    return Completion(
        at, build_game_summary(fold.table, outcome), results, winner_id, _uncounted(fold)
    )


def _uncounted(fold: GameFold) -> UncountedReason | None:
    """Say why a game counts for nothing; None where it counts."""
    if fold.ruleset.scores_declared:
        return "declared"
    return "solo" if len(fold.table.seats) == 1 else None


def require_storable(outcome: Outcome, *, seats: int, statistics: Collection[str]) -> None:
    """Raise `ValueError` for a result that cannot be stored, before anything is published of it."""
    standings = outcome.standings
    if [standing.seat for standing in standings] != list(range(seats)):
        raise ValueError(f"the outcome must have one standing for each of {seats} seats, in order")
    for standing in standings:
        if undeclared := standing.statistics.keys() - set(statistics):
            raise ValueError(
                f"seat {standing.seat}: the ruleset declares no statistics {sorted(undeclared)}"
            )
        numbers = {name: getattr(standing, name) for name in _NUMBERS}
        for field, value in (numbers | dict(standing.statistics)).items():
            if type(value) is not int or abs(value) > NUMBER_MAX:
                raise ValueError(
                    f"seat {standing.seat}: {field} is not a 32-bit integer: {value!r}"
                )
        if type(standing.is_winner) is not bool:
            raise ValueError(
                f"seat {standing.seat}: is_winner is not a bool: {standing.is_winner!r}"
            )
    for each in list(outcome.rounds):
        canonical_json(each)  # one by one: each is as large as an event at most


def build_game_summary(table: SeatTable, outcome: Outcome) -> GameSummary:
    """Summarise a game; names are added where it is stored."""
    standings = outcome.standings
    players = [_player(table.seats[standing.seat], standing) for standing in standings]
    if table.leavers_rank_last is not None:  # games from before have neither
        for player, standing in zip(players, standings, strict=True):
            player["forfeited"] = standing.forfeited
            player["place"] = 1 + sum(_rank(other) < _rank(standing) for other in standings)
    return GameSummary.model_construct(
        players=players,
        rounds=outcome.rounds,
        final_scores={table.seats[s.seat].player_id: s.score for s in standings},
        highest_bid=_most(s.statistics.get(HIGHEST_BID) for s in standings),
        highest_score=_most(s.score for s in standings),
        lowest_score=min((s.score for s in standings), default=None),
        most_consecutive_wins=_most(s.longest_win_streak for s in standings),
        most_consecutive_losses=_most(s.longest_loss_streak for s in standings),
        highest_misplay=_most(seat.misplays for seat in table.seats),
    )


def _player(seat: TableSeat, standing: Standing) -> dict[str, Any]:
    own = dict(standing.statistics)
    tricks_won, highest_bid = own.pop(TRICKS_WON, 0), own.pop(HIGHEST_BID, None)
    return {
        "player_id": seat.player_id,
        "seat_index": standing.seat,
        "score": standing.score,
        "tricks_won": tricks_won,
        "highest_bid": highest_bid,
        "misplays": seat.misplays,
        "longest_win_streak": standing.longest_win_streak,
        "longest_loss_streak": standing.longest_loss_streak,
        "is_winner": standing.is_winner,
        "is_bot": seat.bot is not None,
        **({"statistics": own} if own else {}),
    }


def _rank(standing: Standing) -> tuple[bool, bool, int]:
    """Order standings from the best: players who left come last, winners first."""
    return standing.forfeited, not standing.is_winner, -standing.score


def _most(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
