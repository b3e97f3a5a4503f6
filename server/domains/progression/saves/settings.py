"""Saves: how many there may be, how large, and what is kept of them."""

from pydantic import Field

from protocol.saves import STATE_BYTES_MAX, STATE_DEPTH_MAX
from server.core.settings import Settings


class SavesSettings(Settings):
    """Bounds of slots, states and revisions."""

    saves_slots_max: int = Field(
        default=20, ge=1, le=1000, description="Save slots of one account."
    )
    saves_state_bytes_max: int = Field(
        default=STATE_BYTES_MAX, ge=1024, le=STATE_BYTES_MAX, description="Bytes of a state."
    )
    saves_state_depth_max: int = Field(
        default=STATE_DEPTH_MAX, ge=2, le=STATE_DEPTH_MAX, description="Levels of a state."
    )
    saves_mods_bytes_max: int = Field(
        default=256 * 1024, ge=0, le=STATE_BYTES_MAX, description="Bytes of all mods in a state."
    )
    saves_revisions_kept: int = Field(
        default=50, ge=1, le=1000, description="Revisions of a slot that keep their states."
    )
    saves_revisions_bytes_max: int = Field(
        default=8 * STATE_BYTES_MAX, ge=0, description="Bytes of those states."
    )
    saves_pins_max: int = Field(default=10, ge=0, le=100, description="Pinned revisions of a slot.")
    saves_writes_per_minute: int = Field(default=300, ge=1, description="Writes of one account.")
    saves_writes_burst: int = Field(default=100, ge=1, description="Writes at once after a pause.")
