"""The settings of leaderboards."""

from typing import Annotated, Final

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings

KEPT_S_MIN: Final = 8 * 86_400


class BoardsSettings(Settings):
    """`PLAYHALL_BOARDS_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_BOARDS_")

    days_kept_s: Annotated[int, Field(ge=KEPT_S_MIN, le=3_153_600_000)] = Field(
        default=7_776_000,
        description="How long the boards of a day or a week are kept after it ended.",
    )
