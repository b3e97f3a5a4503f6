"""The settings of reactions."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class ReactionsSettings(Settings):
    """`PLAYHALL_REACTIONS_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_REACTIONS_")

    likes_per_minute: int = Field(default=120, ge=1, description="Likes of one account.")
    comments_per_minute: int = Field(default=20, ge=1, description="Comments of one account.")
    comments_burst: int = Field(default=10, ge=1, description="Comments at once after a pause.")
