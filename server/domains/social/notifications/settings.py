"""The settings of notifications."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class NotificationsSettings(Settings):
    """`PLAYHALL_NOTIFICATIONS_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_NOTIFICATIONS_")

    changes_per_minute: int = Field(
        default=300, ge=1, description="Changes to notifications by one account."
    )
    changes_burst: int = Field(default=100, ge=1, description="Changes at once after a pause.")
    batch_people: int = Field(
        default=1000, ge=1, le=10_000, description="People who are notified in one transaction."
    )
