"""The settings of creations."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class CreationsSettings(Settings):
    """`PLAYHALL_CREATIONS_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_CREATIONS_")

    writes_per_minute: int = Field(default=60, ge=1, description="Changes of one account.")
    writes_burst: int = Field(default=60, ge=1, description="Changes at once after a pause.")
    views_per_minute: int = Field(default=300, ge=1, description="Views of one account.")
    views_flush_s: float = Field(
        default=30.0, gt=0, description="Seconds between additions of views to the totals."
    )
