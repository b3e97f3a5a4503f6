"""The settings of maintenance."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class MaintenanceSettings(Settings):
    """`PLAYHALL_MAINTENANCE_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_MAINTENANCE_")

    archive_after_days: int = Field(
        default=180,
        ge=1,
        le=36_500,
        description="Conversations with companions in which nothing was said for so long are "
        "archived, once a month; their people can take them up again.",
    )
