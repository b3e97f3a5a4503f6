"""The settings of feeds."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class FeedSettings(Settings):
    """`PLAYHALL_FEED_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_FEED_")

    searches_per_minute: int = Field(
        default=120, ge=1, description="Searches of one account, or of one network without one."
    )
    cached_s: float = Field(
        default=300.0, ge=0, description="Seconds for which the anonymous public feed is cached."
    )
    cache_bytes: int = Field(
        default=16 * 1024 * 1024, ge=0, description="Bytes of cached pages on a node."
    )
