"""The settings of quests."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class QuestsSettings(Settings):
    """`PLAYHALL_QUESTS_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_QUESTS_")

    actions_per_minute: int = Field(default=300, ge=1, description="Actions of one account.")
    actions_burst: int = Field(default=100, ge=1, description="Actions at once after a pause.")
