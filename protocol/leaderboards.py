"""Boards of the statistics that a ruleset declares, on the wire."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import Cursor, Limit
from protocol.ids import WirePlayerId
from protocol.lobbies import RulesetName, pattern_with_message

SEASONS_MAX: Final = 100  # of a ruleset
SEASONS_AT_ONCE_MAX: Final = 8  # that a game counts for
FRIENDS_MAX: Final = 1000  # on one board
STATISTICS_SHOWN_MAX: Final = 64

BoardPeriod: TypeAlias = Literal["all", "day", "week", "season"]
BoardScope: TypeAlias = Literal["all", "around", "friends"]
StatisticName = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(r"[a-z0-9_]+", "Use a to z, digits and underscores"),
]
SeasonName = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(
        r"[a-z0-9][a-z0-9_-]*", "Use a to z, digits, dashes and underscores: `spring-2027`"
    ),
]


Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Instant = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$"
    ),
    Field(description="UTC: 2027-03-01T00:00:00.000Z"),
]


class BoardNotFound(PlayhallError):
    """This ruleset keeps no such board; GET /v1/rulesets/{ruleset}/boards lists them."""

    code, status = "board_not_found", 404


class SeasonTaken(PlayhallError):
    """There is a season of this name already, and a season is never changed."""

    code, status = "season_taken", 409


class TooManySeasons(PlayhallError):
    """The ruleset has the maximum number of seasons."""

    code, status = "too_many_seasons", 409


class RulesetPath(WireModel):
    """The ruleset in an address."""

    ruleset: RulesetName


class RulesetBoardPath(RulesetPath):
    """The board in an address."""

    statistic: StatisticName


class RulesetSeasonPath(RulesetPath):
    """The season in an address."""

    season: SeasonName


class PlayerRulesetPath(RulesetPath):
    """The player and the ruleset in an address."""

    player_id: WirePlayerId


class RulesetBoard(WireModel):
    """A board: what is counted, and how a player's games make one number of it."""

    statistic: str
    combine: Literal["sum", "max", "min", "last"]
    lowest_leads: bool


class RulesetSeason(WireModel):
    """A period with boards of its own; `ends_at` is not part of it."""

    name: str
    starts_at: str
    ends_at: str


class RulesetSeasonRequest(WireModel):
    """When a season is; it must not have begun."""

    starts_at: Instant
    ends_at: Instant


class RulesetBoards(WireModel):
    """The boards that a ruleset keeps, and its seasons, newest first."""

    ruleset: str
    boards: list[RulesetBoard]
    seasons: list[RulesetSeason]


class RulesetBoardQuery(WireModel):
    """Which part of a board to read."""

    period: BoardPeriod = "all"
    day: Day | None = Field(
        default=None, description="A day of the period, in UTC; by default today."
    )
    season: SeasonName | None = Field(default=None, description="Which, with `period=season`.")
    scope: BoardScope = Field(
        default="all",
        description="`around`: the places around yours. `friends`: you and whom you follow, "
        "ranked among yourselves.",
    )
    bots: bool = Field(default=False, description="Whether bots are listed as well.")
    cursor: Cursor | None = None
    limit: Limit = 20


class BoardEntry(WireModel):
    """A place on a board; equal values share a rank, and the earlier one is listed first."""

    rank: int
    player_id: WirePlayerId
    display_name: str
    is_bot: bool
    value: int
    games: int = Field(description="How many games of the period counted.")
    achieved_at: str = Field(description="When the game ended that the value is from.")


class BoardPage(WireModel):
    """A page of a board, from the best."""

    ruleset: str
    statistic: str
    period: str = Field(description="`all`, `day:2027-03-31`, `week:2027-W13` or `season:NAME`.")
    entries: list[BoardEntry]
    next: str | None


class PlayerStatistic(WireModel):
    """What a player's games add up to."""

    statistic: str
    value: int
    games: int


class PlayerStatistics(WireModel):
    """A player's declared statistics in one ruleset, over all of their games."""

    player_id: WirePlayerId
    ruleset: str
    statistics: list[PlayerStatistic]


class BoardListing(WireModel):
    """Whether you are on leaderboards; your games are counted either way."""

    is_listed: bool
