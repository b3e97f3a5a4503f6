"""Inventories on the wire: items, currencies, recipes, what moves them, and the review queue."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from protocol.envelope import WireModel
from protocol.lobbies import shaped

QUANTITY_MAX = 1_000_000_000  # of one asset in one bundle
BUNDLE_ASSETS_MAX = 64
BUNDLE_UNLOCKS_MAX = 64

AssetId = Annotated[
    str,
    StringConstraints(max_length=64),
    shaped(
        r"[a-z0-9][a-z0-9_.-]*",
        "Name an item, recipe or currency with a to z, digits, dots, dashes and underscores",
    ),
]
UnlockId = Annotated[
    str,
    StringConstraints(max_length=64),
    shaped(
        r"[a-z0-9][a-z0-9_.-]*",
        "Name an unlock with a to z, digits, dots, dashes and underscores",
    ),
]
Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
Quantities = Annotated[dict[AssetId, Quantity], Field(max_length=BUNDLE_ASSETS_MAX)]


def _without_repeats(ids: list[str]) -> list[str]:
    if len(set(ids)) != len(ids):
        raise ValueError("Name each of them once")
    return ids


Unlocks = Annotated[
    list[UnlockId], Field(max_length=BUNDLE_UNLOCKS_MAX), AfterValidator(_without_repeats)
]


class Bundle(WireModel):
    """What is given at once: items and currencies by quantity, lore and cosmetics to unlock."""

    items: Quantities = Field(default_factory=dict)
    currencies: Quantities = Field(default_factory=dict)
    lore: Unlocks = Field(default_factory=list)
    cosmetics: Unlocks = Field(default_factory=list)
