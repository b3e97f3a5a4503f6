"""The settings of saves that are logs."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class CommandSavesSettings(Settings):
    """`PLAYHALL_COMMAND_SAVES_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_COMMAND_SAVES_")

    requests_per_minute: int = Field(default=300, ge=1, description="Requests of one account.")
    requests_burst: int = Field(default=100, ge=1, description="Requests at once after a pause.")
