"""Achievements of players, on the wire."""

from pydantic import Field

from protocol.envelope import WireModel
from protocol.ids import GameId, PlayerId
from protocol.lobbies import RulesetName


class AchievementsQuery(WireModel):
    """Which achievements."""

    ruleset: RulesetName | None = None


class PlayerAchievement(WireModel):
    """An achievement, and how far a player is with it."""

    ruleset: str
    key: str
    title: str
    description: str
    points: int
    steps: int = Field(description="The progress at which it is granted.")
    progress: int = Field(description="At most `steps`.")
    granted_at: str | None
    game_id: GameId | None = Field(description="The game that reached it.")


class PlayerAchievements(WireModel):
    """The achievements of this server's rulesets; hidden ones once they are granted."""

    player_id: PlayerId
    points: int = Field(description="Of all that are granted and listed.")
    achievements: list[PlayerAchievement]
