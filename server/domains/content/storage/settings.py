"""The settings of stored objects."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class StorageSettings(Settings):
    """`PLAYHALL_STORAGE_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_STORAGE_")

    objects_per_player: int = Field(
        default=1000, ge=0, le=100_000, description="Objects that a player can write."
    )
    objects_per_game: int = Field(
        default=200, ge=0, le=10_000, description="Objects that a game's players can write."
    )
    writes_per_minute: int = Field(default=120, ge=1, description="Writes of one account.")
