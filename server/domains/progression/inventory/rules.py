"""What a transaction moves, what it needs, and what is plausible. Pure.

A plan says what is taken and what is given. It is checked in this order: everything is known,
there is enough to take, what is given fits, and what is gained can have been earned.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from persistence.inventory.store import AssetKind, HoldingChange, PlayTime, StoredAsset
from protocol import inventory as wire
from protocol.limits import INT_MAX

Assets: TypeAlias = Mapping[tuple[AssetKind, str], StoredAsset]

# The kinds of transactions that people bring about; what staff gives is plausible.
JUDGED: Final = frozenset({"grant", "collect", "use", "craft", "trade"})
HOUR_S: Final = 3600


class StackQuantity(NamedTuple):
    """So many of a stack or a currency."""

    kind: AssetKind
    id: str
    quantity: int
    stack_key: str = ""
    metadata: Mapping[str, Any] = {}


class TransactionPlan(NamedTuple):
    """What a transaction shall do."""

    kind: wire.Kind
    reason: str
    takes: Sequence[StackQuantity] = ()
    gives: Sequence[StackQuantity] = ()
    unlocks: Sequence[tuple[str, str]] = ()
    relocks: Sequence[tuple[str, str]] = ()

    @property
    def items(self) -> set[str]:
        """The items that it moves."""
        return {stack.id for stack in (*self.takes, *self.gives) if stack.kind == "item"}

    @property
    def currencies(self) -> set[str]:
        """The currencies that it moves."""
        return {stack.id for stack in (*self.takes, *self.gives) if stack.kind == "currency"}


class ImplausibleGain(NamedTuple):
    """Why a gain is implausible; `is_enforced`: it is refused, and not only noted."""

    rule: str
    asset: str
    reason: str
    is_enforced: bool


def list_bundle_stacks(
    components: wire.Components,
    *,
    times: int = 1,
    stack_key: str = "",
    metadata: Mapping[str, Any] | None = None,
) -> tuple[StackQuantity, ...]:
    """List what is in a bundle; the key and the metadata are of its items."""
    named = metadata or {}
    items = (
        StackQuantity("item", each, quantity * times, stack_key, named)
        for each, quantity in components.items.items()
    )
    currencies = (
        StackQuantity("currency", each, quantity * times)
        for each, quantity in components.currencies.items()
    )
    return (*items, *currencies)


def list_bundle_unlocks(bundle: wire.Bundle) -> tuple[tuple[str, str], ...]:
    """List what a bundle unlocks."""
    lore = (("lore", each) for each in bundle.lore)
    return (*lore, *(("cosmetic", each) for each in bundle.cosmetics))


def require_known(plan: TransactionPlan, assets: Assets) -> None:
    """Raise `AssetNotFound` or, for what nobody gets any more, `AssetRetired`."""
    for stack in (*plan.takes, *plan.gives):
        if (stack.kind, stack.id) not in assets:
            raise wire.AssetNotFound(
                f"There is no {stack.kind} {stack.id}; /v1/{_list_of(stack.kind)} lists them.",
                field=stack.id,
            )
    for stack in plan.gives:
        asset = assets[stack.kind, stack.id]
        if asset.is_retired and plan.kind != "give":
            raise wire.AssetRetired(f"{stack.id} is not given out any more.", field=stack.id)
        if asset.is_server_owned and plan.kind == "collect":
            raise wire.ServerOwned(
                f"Only the server gives {stack.id} out: by quests, recipes and use.",
                field=stack.id,
            )


def for_modded(plan: TransactionPlan, assets: Assets) -> TransactionPlan:
    """Leave out of a reward what belongs to the account; raise `ModdedSlot` for other gains.

    What a modded slot gains stays in it: its currencies and items, but nothing of the account.
    """
    if plan.kind not in JUDGED:
        return plan
    kept = tuple(stack for stack in plan.gives if assets[stack.kind, stack.id].scope == "slot")
    if len(kept) == len(plan.gives) and not plan.unlocks:
        return plan
    if plan.kind != "grant":  # the player would pay for nothing
        raise wire.ModdedSlot
    return plan._replace(gives=kept, unlocks=())


def require_room(
    plan: TransactionPlan, assets: Assets, stacks: Mapping[tuple[str, str], int]
) -> None:
    """Raise `NotEnough` or `HoldingFull`. What is taken makes room for what is given."""
    for stack in plan.takes:
        asset = assets[stack.kind, stack.id]
        is_item = stack.kind == "item"
        held = stacks.get((stack.id, stack.stack_key), 0) if is_item else asset.held
        if held < stack.quantity:
            raise wire.NotEnough(
                f"You have {held} {stack.id} and need {stack.quantity}; nothing was changed.",
                field=stack.id,
            )
    net: dict[tuple[AssetKind, str], int] = {}
    for stack in plan.takes:
        net[stack.kind, stack.id] = net.get((stack.kind, stack.id), 0) - stack.quantity
    for stack in plan.gives:
        net[stack.kind, stack.id] = net.get((stack.kind, stack.id), 0) + stack.quantity
    for which, change in net.items():
        asset = assets[which]
        most = min(asset.holding_max, INT_MAX)
        # What is over the limit already (it was lowered) may shrink.
        if change > 0 and asset.held + change > most:
            raise wire.HoldingFull(
                f"You would have {asset.held + change} {asset.id}, of at most {most}; use or spend "
                "some first.",
                field=asset.id,
            )
        if change > 0 and asset.gained + change > INT_MAX:
            raise wire.HoldingFull(f"{asset.id}: no more of it can be counted.", field=asset.id)


def list_holding_changes(
    plan: TransactionPlan, assets: Assets, slot_id: str | None
) -> list[HoldingChange]:
    """List what the player loses and gets, in this order, each stack once a side."""
    return [
        *(_move(stack, assets, slot_id, -stack.quantity) for stack in plan.takes),
        *(_move(stack, assets, slot_id, stack.quantity) for stack in plan.gives),
    ]


def needs_slot(plan: TransactionPlan, assets: Assets) -> bool:
    """Say whether something of a plan is held by a slot."""
    return any(assets[stack.kind, stack.id].scope == "slot" for stack in (*plan.takes, *plan.gives))


def find_implausible_gains(
    plan: TransactionPlan, assets: Assets, *, play_time: PlayTime, mode: wire.Mode
) -> list[ImplausibleGain]:
    """Say what of a plan's gains cannot have been earned; `mode` is for limits without one."""
    if plan.kind not in JUDGED:
        return []
    gains: dict[tuple[AssetKind, str], int] = {}
    for stack in plan.gives:
        gains[stack.kind, stack.id] = gains.get((stack.kind, stack.id), 0) + stack.quantity
    return [
        each
        for which, gain in gains.items()
        for each in _of_asset(assets[which], gain, play_time, mode)
    ]


def _of_asset(
    asset: StoredAsset, gain: int, play_time: PlayTime, mode: wire.Mode
) -> Iterable[ImplausibleGain]:
    limits = wire.GainLimits(**asset.limits)
    mode = limits.mode or mode
    if mode == "off":
        return
    played_s = play_time.in_all if asset.scope == "account" else play_time.in_slot
    hours = played_s / HOUR_S + 1
    name = f"{asset.kind}:{asset.id}"
    found = (
        ("per_transaction", gain, limits.per_transaction, "at once"),
        ("per_hour", asset.last_hour + gain, limits.per_hour, "within an hour"),
        ("per_day", asset.last_day + gain, limits.per_day, "within a day"),
        (
            "per_play_hour",
            asset.gained + gain,
            None if limits.per_play_hour is None else int(limits.per_play_hour * hours),
            f"in {played_s} s of play",
        ),
    )
    for rule, measured, allowed, when in found:
        if allowed is not None and measured > allowed:
            reason = f"{measured} {when}, of at most {allowed}"
            yield ImplausibleGain(rule, name, reason, mode == "enforce")


def _move(stack: StackQuantity, assets: Assets, slot_id: str | None, amount: int) -> HoldingChange:
    holder = slot_id if assets[stack.kind, stack.id].scope == "slot" else None
    return HoldingChange(stack.kind, stack.id, holder, amount, stack.stack_key, stack.metadata)


def _list_of(kind: AssetKind) -> str:
    return "items" if kind == "item" else "currencies"
