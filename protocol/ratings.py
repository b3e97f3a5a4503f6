"""Ratings on the wire."""

from typing import Final, Literal

from pydantic import Field

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import Cursor, Limit
from protocol.ids import WireGameId, WirePlayerId
from protocol.lobbies import RulesetName

DEVIATION_LISTED_MAX: Final = 110.0


class NotRated(PlayhallError):
    """This ruleset has no ratings."""

    code, status = "not_rated", 404


class Rating(WireModel):
    """How strong a player is at a ruleset."""

    ruleset: RulesetName
    system: Literal["glicko2", "plackett_luce"]
    rating: float = Field(description="1500 is where everybody begins.")
    deviation: float = Field(description="How uncertain it is: a standard deviation.")
    is_provisional: bool = Field(
        description=f"Whether the deviation is above {DEVIATION_LISTED_MAX:g}, so few games count."
    )
    games: int
    rated_at: str | None


class PlayerRatingsShown(WireModel):
    """A player's ratings, by ruleset."""

    player_id: WirePlayerId
    ratings: list[Rating]


class RatingChange(WireModel):
    """What a game did to a rating."""

    game_id: WireGameId
    completed_at: str
    place: int = Field(description="Of the player, or of their team; equals share one.")
    before: float
    after: float
    deviation: float


class RatingHistory(WireModel):
    """A player's rated games in a ruleset, newest first."""

    player_id: WirePlayerId
    ruleset: RulesetName
    changes: list[RatingChange]
    next: str | None


class RatingRow(WireModel):
    """A player in the list of a ruleset."""

    player_id: WirePlayerId
    display_name: str
    rating: float
    deviation: float
    games: int
    rated_at: str


class RatingList(WireModel):
    """Players by rating, from the highest."""

    ruleset: RulesetName
    players: list[RatingRow]
    next: str | None


class RatingListQuery(WireModel):
    """Whom to list."""

    provisional: bool = Field(default=False, description="Whether to list provisional ratings too.")
    cursor: Cursor | None = None
    limit: Limit = 20


class RatingHistoryPath(WireModel):
    """The player and the ruleset in an address."""

    player_id: WirePlayerId
    ruleset: RulesetName
