"""Inventories on the wire: items, currencies, recipes, what moves them, and the review queue.

What a slot holds is moved by transactions of a ledger alone. Each has a `key` that its maker
chooses: whoever repeats a request with the same key gets the same answer, and nothing moves twice.
"""

from typing import Annotated, Final, Literal, TypeAlias

import orjson
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN
from protocol.limits import INT_MAX
from protocol.lobbies import pattern_with_message
from protocol.schemas import JsonObject
from protocol.text import NAME, ONE_LINE, SOME_LINES

QUANTITY_MAX: Final = 1_000_000_000  # of one asset in one bundle
TIMES_MAX: Final = 1000
BUNDLE_ASSETS_MAX: Final = 64
BUNDLE_UNLOCKS_MAX: Final = 64
METADATA_BYTES_MAX: Final = 2048
KEY_CHARS_MAX: Final = 100

_ID: Final = r"[a-z0-9][a-z0-9_.-]*"
Uuid = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
AssetId = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(
        _ID, "Name an item, currency or recipe with a to z, digits, dots, dashes, underscores"
    ),
]
UnlockId = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(_ID, "Name an unlock with a to z, digits, dots, dashes, underscores"),
]
Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
Quantities = Annotated[dict[AssetId, Quantity], Field(max_length=BUNDLE_ASSETS_MAX)]
HoldingMax = Annotated[int, Field(ge=1, le=INT_MAX)]
Key = Annotated[
    str,
    StringConstraints(max_length=KEY_CHARS_MAX),
    pattern_with_message(
        r"[A-Za-z0-9][A-Za-z0-9:_.-]*",
        "Write a key with letters, digits, colons, dots, dashes and underscores",
    ),
]
StackKey = Annotated[
    str,
    StringConstraints(max_length=16),
    pattern_with_message(
        r"(?:[0-9a-f]{16})?", "Name a stack as the inventory does; an empty text is plain ones"
    ),
]
DefinitionName = Annotated[str, StringConstraints(max_length=100), NAME]
Description = Annotated[str, StringConstraints(max_length=1000), SOME_LINES]
Why = Annotated[str, StringConstraints(max_length=500), NAME]
Mode: TypeAlias = Literal["off", "shadow", "enforce"]
Kind: TypeAlias = Literal[
    "grant", "collect", "spend", "use", "craft", "trade", "give", "take_back", "discard"
]
FlagStatus: TypeAlias = Literal["open", "dismissed", "confirmed"]


def _without_repeats(ids: list[str]) -> list[str]:
    if len(set(ids)) != len(ids):
        raise PydanticCustomError("repeated", "Name each of them once")
    return ids


def _small(metadata: JsonObject) -> JsonObject:
    try:
        json = orjson.dumps(metadata)
    except orjson.JSONEncodeError:  # nested too deeply, or an integer that is too large
        raise PydanticCustomError("not_json", "Use fewer levels, and smaller numbers") from None
    if len(json) > METADATA_BYTES_MAX:
        raise PydanticCustomError("too_large", "Use at most 2048 bytes of JSON")
    if b"\\u0000" in json:
        raise PydanticCustomError("control_character", "Remove NUL characters")
    return metadata


Unlocks = Annotated[
    list[UnlockId], Field(max_length=BUNDLE_UNLOCKS_MAX), AfterValidator(_without_repeats)
]
Metadata = Annotated[JsonObject, AfterValidator(_small)]

# ------------------------------------------------------------------ errors


class AssetNotFound(PlayhallError):
    """There is no such item or currency; /v1/items and /v1/currencies list them."""

    code, status = "asset_not_found", 404


class RecipeNotFound(PlayhallError):
    """There is no such recipe; /v1/recipes lists them."""

    code, status = "recipe_not_found", 404


class AssetRetired(PlayhallError):
    """This is not given out any more."""

    code, status = "asset_retired", 409


class NotEnough(PlayhallError):
    """You have too little of this; nothing was changed."""

    code, status = "not_enough", 409


class HoldingFull(PlayhallError):
    """You would hold more of this than you may; use or spend some first."""

    code, status = "holding_full", 409


class ServerOwned(PlayhallError):
    """Only the server gives this out: by quests, recipes and use."""

    code, status = "server_owned", 403


class NotUsable(PlayhallError):
    """This item cannot be used up."""

    code, status = "not_usable", 409


class KeyReused(PlayhallError):
    """This key was used for something else; make a new one for each request."""

    code, status = "key_reused", 409


class ModdedSlot(PlayhallError):
    """This slot is modded, so it gives nothing that belongs to the account."""

    code, status = "modded_slot", 409


class GainRefused(PlayhallError):
    """This is more than can have been earned; nothing was changed, and people will look at it."""

    code, status = "gain_refused", 409


class DefinitionChanged(PlayhallError):
    """Somebody has changed this since, or made or deleted it; read it again."""

    code, status = "definition_changed", 412


class MatchRequired(PlayhallError):
    """Send If-Match with the ETag that you read (or *), or If-None-Match: * to make a new one."""

    code, status = "match_required", 428


class DefinitionInUse(PlayhallError):
    """Something refers to this; set `is_retired` instead."""

    code, status = "definition_in_use", 409


class TooManyDefinitions(PlayhallError):
    """There are as many of these as there may be; delete one first."""

    code, status = "too_many_definitions", 409


class FlagNotFound(PlayhallError):
    """The review queue has no such entry."""

    code, status = "flag_not_found", 404


class FlagDecided(PlayhallError):
    """Somebody has decided this already."""

    code, status = "flag_decided", 409


# ------------------------------------------------------------------ bundles


class Components(WireModel):
    """Items and currencies by quantity."""

    items: Quantities = Field(default_factory=dict)
    currencies: Quantities = Field(default_factory=dict)


class Bundle(Components):
    """What is given at once: items and currencies by quantity, lore and cosmetics to unlock."""

    lore: Unlocks = Field(default_factory=list)
    cosmetics: Unlocks = Field(default_factory=list)


class ComponentsContent(WireModel):
    """Items and currencies by quantity."""

    items: dict[str, int]
    currencies: dict[str, int]


class BundleContent(ComponentsContent):
    """What is given at once."""

    lore: list[str]
    cosmetics: list[str]


# ------------------------------------------------------------------ definitions


class AssetPath(WireModel):
    """The item, currency or recipe in an address."""

    asset_id: AssetId


class GainLimits(WireModel):
    """What is plausible to gain; what is left out is not limited."""

    per_transaction: Quantity | None = None
    per_hour: HoldingMax | None = Field(default=None, description="Of an account, in all slots.")
    per_day: HoldingMax | None = Field(default=None, description="Of an account, in all slots.")
    per_play_hour: HoldingMax | None = Field(
        default=None,
        description="Ever, for each hour that was played (and one more): of the slot, or of all "
        "slots for a currency of the account.",
    )
    mode: Mode | None = Field(
        default=None,
        description="`shadow` lets it pass and flags it for review, `enforce` refuses it as well; "
        "by default PLAYHALL_INVENTORY_PLAUSIBILITY.",
    )


class _Definition(WireModel):
    name: DefinitionName
    description: Description = ""
    is_retired: bool = Field(default=False, description="Nobody gets any more; what is held stays.")


class _AssetDefinition(_Definition):
    is_server_owned: bool = Field(
        default=True, description="If not, clients may report that they found it (collect)."
    )
    holding_max: HoldingMax = QUANTITY_MAX


class ItemRequest(_AssetDefinition):
    """An item."""

    use_bundle: Bundle | None = Field(
        default=None, description="What using one up gives; null: it cannot be used up."
    )
    limits: GainLimits = GainLimits()


class CurrencyFacts(_AssetDefinition):
    """What everybody sees of a currency."""

    scope: Literal["account", "slot"] = Field(
        default="slot",
        description="Who has a balance: the account, in all its slots, or each slot its own. "
        "Fixed once it was used.",
    )


class CurrencyRequest(CurrencyFacts):
    """A currency."""

    limits: GainLimits = GainLimits()


class RecipeFacts(_Definition):
    """What everybody sees of a recipe."""

    kind: Literal["craft", "trade"] = "craft"


class RecipeRequest(RecipeFacts):
    """What can be made of what, or traded for what."""

    takes: Components
    gives: Bundle


class Item(_AssetDefinition):
    """An item; `ETag` is the revision."""

    item_id: str
    use_bundle: BundleContent | None
    revision: int
    updated_at: str


class Currency(CurrencyFacts):
    """A currency; `ETag` is the revision."""

    currency_id: str
    revision: int
    updated_at: str


class Recipe(RecipeFacts):
    """A recipe; `ETag` is the revision."""

    recipe_id: str
    takes: ComponentsContent
    gives: BundleContent
    revision: int
    updated_at: str


class ManagedItem(Item):
    """An item as editors see it."""

    limits: GainLimits


class ManagedCurrency(Currency):
    """A currency as editors see it."""

    limits: GainLimits


class DefinitionsQuery(WireModel):
    """A page of definitions."""

    cursor: Cursor | None = None
    limit: Limit = 20


class Items(WireModel):
    """Items, by id."""

    items: list[Item]
    next: str | None


class Currencies(WireModel):
    """Currencies, by id."""

    currencies: list[Currency]
    next: str | None


class Recipes(WireModel):
    """Recipes, by id."""

    recipes: list[Recipe]
    next: str | None


class DefinitionDeleted(WireModel):
    """The definition is gone."""

    id: str


# ------------------------------------------------------------------ what is held


class InventorySlotPath(WireModel):
    """The slot in an address."""

    slot_id: Uuid


class InventoryQuery(WireModel):
    """A page of an inventory."""

    cursor: Cursor | None = None
    limit: Limit = 50


class InventoryStack(WireModel):
    """Items of one kind; those with metadata are a stack of their own."""

    entry_id: str
    item_id: str
    quantity: int
    stack_key: str = Field(description="Empty for plain items.")
    metadata: JsonObject


class Inventory(WireModel):
    """What a slot holds; `currencies` are its own and the account's."""

    slot_id: str
    items: list[InventoryStack]
    currencies: dict[str, int]
    next: str | None


class UnlocksQuery(WireModel):
    """A page of unlocks."""

    kind: Literal["lore", "cosmetic"]
    cursor: Cursor | None = None
    limit: Limit = 50


class Unlock(WireModel):
    """Something that the account has unlocked, in all its slots."""

    unlock_id: str
    slot_id: str | None = Field(description="The slot that it was unlocked in; it may be gone.")
    at: str


class UnlockPage(WireModel):
    """Unlocks, by id."""

    unlocks: list[Unlock]
    next: str | None


# ------------------------------------------------------------------ transactions


class _Keyed(WireModel):
    key: Key = Field(
        description="New for each request; a repeat with the same one and the same content gets "
        "the same answer."
    )


class CollectRequest(_Keyed):
    """Report what the player found; only of what the server does not own."""

    bundle: Components
    reason: Annotated[str, StringConstraints(max_length=200), ONE_LINE] = ""


class SpendRequest(_Keyed):
    """Give items and currencies away for nothing: fees, costs, throwing away."""

    bundle: Components
    reason: Annotated[str, StringConstraints(max_length=200), ONE_LINE] = ""


class UseRequest(_Keyed):
    """Use an item up, and get what it gives."""

    item_id: AssetId
    stack_key: StackKey = ""
    quantity: Annotated[int, Field(ge=1, le=TIMES_MAX)] = 1


class CraftRequest(_Keyed):
    """Carry out a recipe, to craft or to trade components."""

    recipe_id: AssetId
    times: Annotated[int, Field(ge=1, le=TIMES_MAX)] = 1


class LedgerChange(WireModel):
    """What one stack or balance got (or lost), and what it was then."""

    slot_id: str | None = Field(description="Null for a currency of the account.")
    item_id: str | None
    stack_key: str
    currency_id: str | None
    amount: int
    balance: int


class LedgerTransaction(WireModel):
    """A transaction of the ledger."""

    transaction_id: str
    kind: Kind
    slot_id: str | None
    key: str
    reason: str
    changes: list[LedgerChange]
    lore: list[str] = Field(description="What was unlocked, and was not before.")
    cosmetics: list[str]
    at: str


class EconomyAnswer(LedgerTransaction):
    """The transaction is committed."""

    repeated: bool = Field(description="The key was carried out before.")


class LedgerQuery(WireModel):
    """Which part of the ledger."""

    slot_id: Uuid | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class Ledger(WireModel):
    """Transactions, newest first."""

    transactions: list[LedgerTransaction]
    next: str | None


# ------------------------------------------------------------------ staff


class ManagedLedgerQuery(LedgerQuery):
    """Whose ledger."""

    account_id: Uuid


class Adjustment(_Keyed):
    """Give somebody a bundle, or take it back; on record with the reason."""

    account_id: Uuid
    slot_id: Uuid | None = Field(
        default=None, description="May be left out where only the account gets something."
    )
    kind: Literal["give", "take_back"]
    bundle: Bundle
    metadata: Metadata = Field(
        default_factory=dict, description="Of the items: which stack they are."
    )
    reason: Why


class FlagPath(WireModel):
    """The entry of the review queue in an address."""

    flag_id: Uuid


class FlagsQuery(WireModel):
    """Which part of the review queue."""

    status: FlagStatus = "open"
    account_id: Uuid | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class Flag(WireModel):
    """Something implausible."""

    flag_id: str
    account_id: str
    slot_id: str | None
    transaction_id: str | None = Field(description="The newest; null where it was refused.")
    rule: str
    asset: str = Field(description="item:iron, currency:gold; or empty.")
    reason: str
    was_refused: bool
    times: int
    status: FlagStatus
    note: str
    first_at: str
    last_at: str
    decided_at: str | None


class Flags(WireModel):
    """The review queue, newest first."""

    flags: list[Flag]
    next: str | None


class FlagDecision(WireModel):
    """What came of a review."""

    decision: Literal["dismissed", "confirmed"]
    note: Annotated[str, StringConstraints(max_length=500), SOME_LINES] = ""
