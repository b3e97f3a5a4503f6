"""The settings of matchmaking."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Seconds, Settings

Points = Annotated[float, Field(ge=0, le=10_000)]


class MatchmakingSettings(Settings):
    """`PLAYHALL_MATCH_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_MATCH_")

    window: Points = Field(
        default=100.0, description="How far ratings in a match may be apart at first."
    )
    window_per_s: Points = Field(
        default=10.0, description="How much further with each second of waiting."
    )
    window_max: Points = Field(
        default=1000.0, description="How far ratings in a match may be apart at most."
    )
    region_s: Seconds = Field(
        default=15.0, description="How long people wait for others of their region."
    )
    bots_after_s: Seconds = Field(
        default=30.0, description="How long people wait before bots fill a match; 0 for never."
    )
    accept_s: Seconds = Field(
        default=0.0, description="How long people have to accept a match; 0 if they need not."
    )
    grace_s: Seconds = Field(
        default=30.0,
        description="How long somebody may be disconnected before they lose their place.",
    )
    tickets_max: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=10_000, description="Tickets that wait in one queue."
    )
