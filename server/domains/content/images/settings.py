"""What an image may take to be processed, and how many may wait."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class ImageSettings(Settings):
    """`PLAYHALL_IMAGES_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_IMAGES_")

    enabled: bool = Field(
        default=True, description="Whether images are processed, where the extra is installed."
    )
    pixels_max: int = Field(
        default=50_000_000, ge=10_000, description="Width times height of one image."
    )
    frames_max: int = Field(default=2000, ge=1, description="Frames of an animation.")
    memory_bytes_max: int = Field(
        default=1_073_741_824, ge=268_435_456, description="Of the process of one image."
    )
    seconds_max: int = Field(
        default=20, ge=1, le=600, description="CPU seconds, and seconds, that an image may take."
    )
    waiting_max: int = Field(
        default=10_000, ge=1, description="Images that wait, after which more are refused."
    )
    waiting_per_account: int = Field(default=100, ge=1, description="Of these, of one account.")
