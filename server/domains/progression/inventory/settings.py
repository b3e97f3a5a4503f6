"""The settings of inventories."""

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from server.core.settings import Settings


class InventorySettings(Settings):
    """`PLAYHALL_INVENTORY_*`."""

    model_config = SettingsConfigDict(env_prefix="PLAYHALL_INVENTORY_")

    plausibility: Literal["off", "shadow", "enforce"] = Field(
        default="shadow",
        description="What is done about implausible gains where a definition does not say: "
        "nothing, a flag for review, or a refusal as well.",
    )
    requests_per_minute: int = Field(default=300, ge=1, description="Transactions of one account.")
    requests_burst: int = Field(
        default=100, ge=1, description="Transactions at once after a pause."
    )
    items_max: int = Field(default=5000, ge=1, le=100_000, description="Items that are defined.")
    currencies_max: int = Field(
        default=100, ge=1, le=1000, description="Currencies that are defined."
    )
    recipes_max: int = Field(
        default=5000, ge=1, le=100_000, description="Recipes that are defined."
    )
