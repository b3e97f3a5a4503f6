"""Telemetry: how much is taken, what needs consent, where it is forwarded to."""

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from protocol.telemetry import PURPOSES
from server.core.settings import PREFIX, Settings

Days = Annotated[float, Field(ge=1, le=400)]


class TelemetrySettings(Settings):
    """Limits, consent by default, retention of what waits, and targets."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}TELEMETRY_")

    batches_per_minute: Annotated[float, Field(gt=0, le=1_000_000)] = Field(
        default=60.0, description="Batches of telemetry of one account and node."
    )
    opt_in: Annotated[
        str, Field(pattern=f"^(({'|'.join(PURPOSES)})(, *({'|'.join(PURPOSES)}))*)?$")
    ] = Field(
        default="sharing",
        description="Purposes that are allowed only after people agreed, commas between.",
    )
    dead_letters_kept_days: Days = Field(
        default=30.0, description="How long events that no schema fits are kept."
    )
    dead_letters_max: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=100_000, description="How many of them are kept; what comes then is refused only."
    )
    forwards_kept_days: Days = Field(
        default=7.0, description="How long events wait for a target that fails."
    )
    webhook_url: str = Field(default="", description="Forward events to this URL.")
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="What these requests are signed with: `whsec_` and 24 to 64 bytes in base64.",
    )
    redis_stream: Annotated[str, Field(max_length=200)] = Field(
        default="", description="Forward events to this stream of the server at PLAYHALL_REDIS_URL."
    )
    redis_stream_max: Annotated[int, Field(ge=1000, le=100_000_000)] = Field(
        default=100_000, description="About how many entries the stream keeps."
    )

    def needs_opt_in(self) -> frozenset[str]:
        """Name the purposes that need a decision to be allowed."""
        return frozenset(name.strip() for name in self.opt_in.split(",") if name.strip())
