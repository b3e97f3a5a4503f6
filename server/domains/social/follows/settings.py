"""The settings of follows."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class FollowsSettings(Settings):
    """`PLAYHALL_FOLLOWS_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_FOLLOWS_")

    changes_per_minute: int = Field(default=60, ge=1, description="Changes of one account.")
