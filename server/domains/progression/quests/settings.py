"""The settings of quests."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class QuestsSettings(BaseSettings):
    """`PLAYHALL_QUESTS_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_QUESTS_", frozen=True)

    actions_per_minute: int = Field(default=300, ge=1, description="Actions of one account.")
    actions_burst: int = Field(default=100, ge=1, description="Actions at once after a pause.")
