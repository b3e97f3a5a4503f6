"""Slots that are attached to games on the server, and what a game gives them, on the wire."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, StringConstraints, model_validator

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.inventory import Bundle, BundleContent
from protocol.limits import INT_MAX
from protocol.lobbies import pattern_with_message
from protocol.quests import TitlePath
from protocol.saves import Uuid

REWARDS_MAX: Final = 20  # of a title and a ruleset
RULESETS_MAX: Final = 100  # of a title

Result: TypeAlias = Literal["win", "draw", "loss", "forfeit"]
RulesetName = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(r"[a-z][a-z0-9_]*", "Name a ruleset"),
]


class NoSlotGame(PlayhallError):
    """This slot is attached to no game; PUT one to its /game."""

    code, status = "no_slot_game", 404


class TooManyGameRewards(PlayhallError):
    """The title has rewards for the maximum number of rulesets."""

    code, status = "too_many_game_rewards", 409


class SlotGameRequest(WireModel):
    """The lobby whose game the slot is attached to, or a game that is running."""

    lobby_id: Uuid | None = None
    game_id: Uuid | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "SlotGameRequest":
        if (self.lobby_id is None) == (self.game_id is None):
            raise ValueError("Name a lobby or a game")
        return self


class SlotGame(WireModel):
    """What a slot is attached to."""

    slot_id: str
    lobby_id: str | None
    game_id: str | None
    attached_at: str


class SlotGameDetached(WireModel):
    """The slot is attached to nothing."""

    slot_id: str


class GameReward(WireModel):
    """What a game gives: the first that fits."""

    result: Literal["win", "draw", "loss", "any"] = "any"
    placement: Annotated[int, Field(ge=1, le=INT_MAX)] | None = Field(
        default=None, description="By score, from 1; equal scores have the same. Null: any."
    )
    bundle: Bundle


class GameRewardContent(WireModel):
    """The same as it is shown."""

    result: Literal["win", "draw", "loss", "any"]
    placement: int | None
    bundle: BundleContent


class GameRewardsRequest(WireModel):
    """What a ruleset's games give to the slots of a title; an empty list: nothing."""

    rewards: Annotated[list[GameReward], Field(max_length=REWARDS_MAX)]


class GameRewards(WireModel):
    """What a ruleset's games give."""

    ruleset: str
    rewards: list[GameRewardContent]
    version: int
    updated_at: str


class AllGameRewards(WireModel):
    """What games give to the slots of a title, by ruleset."""

    rewards: list[GameRewards]


class GameRewardsPath(TitlePath):
    """The title and the ruleset in an address."""

    ruleset: RulesetName
