"""The settings of reports."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class ReportsSettings(Settings):
    """`PLAYHALL_REPORTS_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_REPORTS_")

    filed_per_minute: int = Field(default=10, ge=1, description="Reports of one account.")
