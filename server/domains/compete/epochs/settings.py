"""Epochs: whether this node advances the days."""

from pydantic import Field

from server.core.settings import Settings


class EpochSettings(Settings):
    """Whether days are created and advanced."""

    epochs: bool = Field(default=True, description="Create and advance the days of competition.")
