"""The settings of collaborations."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class CollaborationSettings(Settings):
    """`PLAYHALL_COLLABORATIONS_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_COLLABORATIONS_")

    changes_per_minute: int = Field(
        default=60, ge=1, description="Invitations and changes of them by one account."
    )
