"""How a series goes on. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID, uuid5

from persistence.series.store import StoredSeries
from protocol.domain_events import SeatOutcome
from protocol.ids import LobbyId, PlayerId
from protocol.series import NoRematch


def agree(series: StoredSeries, player_id: PlayerId) -> StoredSeries:
    """Let somebody agree; once everybody has, the first game is to start."""
    if player_id not in series.people:
        raise NoRematch
    if series.state != "proposed" or player_id in series.agreed:
        return series
    agreed = (*series.agreed, player_id)
    if set(agreed) != set(series.people):
        return replace(series, agreed=agreed)
    return replace(series, agreed=agreed, state="playing", number=1, is_starting=True)


def decline(series: StoredSeries, player_id: PlayerId) -> StoredSeries:
    """Let somebody decline, which ends a series that has not begun."""
    if player_id not in series.people or series.state != "proposed":
        raise NoRematch("There is no rematch of this game to decline.")
    return replace(series, state="finished")


def count_game(series: StoredSeries, seats: Sequence[SeatOutcome]) -> StoredSeries:
    """Count the present game; the next one is to start, unless the series is decided.

    Somebody who left a game and did not come back is out, and the series ends: of the others, who
    has most wins has won it. A game that several win, or nobody, counts for nobody.
    """
    winners = [seat.player_id for seat in seats if seat.is_winner]
    wins = dict(series.wins)
    if len(winners) == 1:
        wins[winners[0]] = wins.get(winners[0], 0) + 1
    left = {seat.player_id for seat in seats if seat.forfeited}
    counted = replace(series, wins=wins)
    most = max(wins.values(), default=0)
    is_decided = most > series.best_of // 2 or series.number == series.best_of
    if not is_decided and not left:
        return replace(counted, number=series.number + 1, game_id=None, is_starting=True)
    staying = {player: count for player, count in wins.items() if player not in left}
    most = max(staying.values(), default=0)
    best = [player for player, count in staying.items() if count == most]
    return replace(
        counted, state="finished", winner_id=best[0] if len(best) == 1 and most else None
    )


def rotated_seats(series: StoredSeries) -> list[PlayerId | None]:
    """Give the seats of the present game: everybody moves on by one with each game."""
    by = series.number % len(series.seats)
    return [*series.seats[by:], *series.seats[:by]]


def lobby_of(series: StoredSeries) -> LobbyId:
    """Name the lobby of the present game, so that it is made once."""
    return LobbyId(str(uuid5(UUID(series.series_id), str(series.number))))
