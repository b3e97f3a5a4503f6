"""How games make entries of boards. Pure.

Adding games is independent of their order, because events are delivered in any: of equal values
the earliest game is kept where it matters, and the newest game decides about `last`. Two games that
ended in the same millisecond are told apart by their ids.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from protocol.ids import GameId, PlayerId
from protocol.leaderboards import BoardPeriod
from server.gamekit.contract import SCORE, WINS, Statistic

ALL_TIME: Final = "all"
# Statistics that a summary has beside the others; `server.domains.play.games.results`.
WITH_COLUMNS: Final = ("tricks_won", "highest_bid")


class Period(NamedTuple):
    """A period by its key; `ends_at` is set for days and weeks, which are deleted later."""

    key: str
    ends_at: datetime | None = None


class BoardSeat(NamedTuple):
    """What a game brought a player, by statistic."""

    player_id: PlayerId
    values: Mapping[str, int]


class BoardGame(NamedTuple):
    """A game as boards count it; players who left are not in it."""

    game_id: GameId
    ruleset: str
    at: datetime
    seats: tuple[BoardSeat, ...]


class EntryKey(NamedTuple):
    """Which entry: the ruleset is known."""

    statistic: str
    period: str
    player_id: PlayerId


class EntryValue(NamedTuple):
    """A statistic over some games; `achieved_at` and `game_id` are of the game it is from."""

    value: int
    games: int
    achieved_at: datetime
    game_id: GameId


def read_values(declared: Iterable[Statistic], player: Mapping[str, Any]) -> dict[str, int]:
    """Read a player's values from a game's summary; a statistic without a value is left out."""
    own = player.get("statistics", {})
    found: dict[str, int | None] = {}
    for statistic in declared:
        name = statistic.name
        if name == SCORE:
            found[name] = player["score"]
        elif name == WINS:
            found[name] = int(player["is_winner"])
        else:
            found[name] = player.get(name) if name in WITH_COLUMNS else own.get(name)
    return {name: value for name, value in found.items() if value is not None}


def day_of(day: date) -> Period:
    """Give the period of a day."""
    return Period(f"day:{day.isoformat()}", _midnight(day + timedelta(days=1)))


def week_of(day: date) -> Period:
    """Give the period of the week that a day is in; weeks begin on Monday (ISO 8601)."""
    year, week, weekday = day.isocalendar()
    return Period(f"week:{year}-W{week:02}", _midnight(day + timedelta(days=8 - weekday)))


def season_of(name: str) -> Period:
    """Give the period of a season."""
    return Period(f"season:{name}")


def period_asked(period: BoardPeriod, day: date, season: str | None) -> Period:
    """Give the period that somebody asks for; `season` is set where it is one."""
    if period == "day":
        return day_of(day)
    if period == "week":
        return week_of(day)
    return Period(ALL_TIME) if period == "all" else season_of(season or "")


def periods_of(statistic: Statistic, at: datetime, seasons: Sequence[str]) -> list[Period]:
    """List the periods that a game counts for; without a board, only all time."""
    if not statistic.board:
        return [Period(ALL_TIME)]
    day = at.astimezone(UTC).date()
    return [Period(ALL_TIME), day_of(day), week_of(day), *map(season_of, seasons)]


def add_game(statistic: Statistic, so_far: EntryValue | None, game: EntryValue) -> EntryValue:
    """Add a game to an entry, in whatever order games come."""
    if so_far is None:
        return game
    games = so_far.games + game.games
    new, old = game.value, so_far.value
    if statistic.combine in ("sum", "last"):
        newest = max(so_far, game, key=_moment)
        value = old + new if statistic.combine == "sum" else newest.value
        return newest._replace(value=value, games=games)
    if new == old:
        return min(so_far, game, key=_moment)._replace(games=games)
    is_better = new > old if statistic.combine == "max" else new < old
    return (game if is_better else so_far)._replace(games=games)


def rank_value(statistic: Statistic, value: int) -> int:
    """Give the number by which entries are ranked, the highest first."""
    return -value if statistic.combine == "min" else value


def _moment(entry: EntryValue) -> tuple[datetime, GameId]:
    return entry.achieved_at, entry.game_id


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
