"""The use cases of inventories: one transaction of the ledger each.

Whoever asks, it goes the same way (`_carry_out`): a key that was used is answered as it was then;
the slot and the account are locked, in this order; the plan is made and checked by `rules`; the
ledger gets its entries, and the database applies them; the account's devices are told.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple, TypeAlias

import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection
from persistence.inventory.definitions import DefinitionStore
from persistence.inventory.store import (
    EconomyStore,
    EconomyTransaction,
    NewReviewEntry,
    NewTransaction,
    StoredTransaction,
)
from persistence.saves.changes import ChangeRow
from protocol import inventory as wire
from protocol.envelope import WireModel
from protocol.errors import InvalidField
from protocol.ids import UserId
from server.core.tasks import Tasks
from server.domains.interfaces import Holdings, ProgressStream
from server.domains.progression.inventory import rules
from server.domains.progression.inventory.rules import (
    ImplausibleGain,
    StackQuantity,
    TransactionPlan,
)

Planner: TypeAlias = Callable[[EconomyTransaction], Awaitable[TransactionPlan]]


class EconomyRequest(NamedTuple):
    """What somebody wants done: the key, what it says, and how it becomes a plan."""

    key: str
    content_hash: str
    plan: Planner


class EconomyResult(NamedTuple):
    """What came of a request; `change` is what devices are told, None for a repeat."""

    transaction: StoredTransaction
    change: ChangeRow | None


class _Implausible(wire.GainRefused):
    """A refusal, with what is put on the review queue once nothing else came of it."""

    def __init__(self, flags: Sequence[NewReviewEntry]) -> None:
        super().__init__()
        self.flags = flags


class EconomyService:
    """What moves what people hold."""

    def __init__(
        self,
        *,
        store: EconomyStore,
        definitions: DefinitionStore,
        progress: ProgressStream,
        tasks: Tasks,
        plausibility: wire.Mode,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._progress = progress
        self._tasks = tasks
        self._plausibility = plausibility
        self.transactions = self.flagged = self.refused = 0  # totals since the start

    # ------------------------------------------------------------------ people

    async def collect(
        self, account_id: UserId, slot_id: str, asked: wire.CollectRequest
    ) -> tuple[StoredTransaction, bool]:
        """Take in what a player found."""
        plan = TransactionPlan(
            "collect", asked.reason, gives=rules.list_bundle_stacks(asked.bundle)
        )
        return await self._perform(account_id, slot_id, _request("collect", asked, _ready(plan)))

    async def spend(
        self, account_id: UserId, slot_id: str, asked: wire.SpendRequest
    ) -> tuple[StoredTransaction, bool]:
        """Take away what a player pays."""
        plan = TransactionPlan("spend", asked.reason, takes=rules.list_bundle_stacks(asked.bundle))
        return await self._perform(account_id, slot_id, _request("spend", asked, _ready(plan)))

    async def use(
        self, account_id: UserId, slot_id: str, asked: wire.UseRequest
    ) -> tuple[StoredTransaction, bool]:
        """Use an item up; raise `NotUsable`."""

        async def plan(work: EconomyTransaction) -> TransactionPlan:
            assets = await work.read_assets([asked.item_id], [])
            item = assets.get(("item", asked.item_id))
            if item is None:
                raise wire.AssetNotFound(field="item_id")
            if item.use_bundle is None:
                raise wire.NotUsable(field="item_id")
            gives = wire.Bundle(**item.use_bundle)
            return TransactionPlan(
                "use",
                asked.item_id,
                takes=(StackQuantity("item", asked.item_id, asked.quantity, asked.stack_key),),
                gives=rules.list_bundle_stacks(gives, times=asked.quantity),
                unlocks=rules.list_bundle_unlocks(gives),
            )

        return await self._perform(account_id, slot_id, _request("use", asked, plan))

    async def craft(
        self, account_id: UserId, slot_id: str, asked: wire.CraftRequest
    ) -> tuple[StoredTransaction, bool]:
        """Carry out a recipe; raise `RecipeNotFound`."""

        async def plan(work: EconomyTransaction) -> TransactionPlan:
            found = await self._definitions.read(
                "recipe", asked.recipe_id, connection=work.connection
            )
            if found is None:
                raise wire.RecipeNotFound(field="recipe_id")
            recipe = wire.RecipeRequest(**found.content)
            if recipe.is_retired:
                raise wire.AssetRetired("This recipe is not offered any more.", field="recipe_id")
            return TransactionPlan(
                recipe.kind,
                asked.recipe_id,
                takes=rules.list_bundle_stacks(recipe.takes, times=asked.times),
                gives=rules.list_bundle_stacks(recipe.gives, times=asked.times),
                unlocks=rules.list_bundle_unlocks(recipe.gives),
            )

        return await self._perform(account_id, slot_id, _request("craft", asked, plan))

    # ------------------------------------------------------------------ staff

    async def adjust(
        self, asked: wire.Adjustment, *, actor: UserId
    ) -> tuple[StoredTransaction, bool]:
        """Give somebody something, or take it back; on record."""
        stack_key = compute_stack_key(asked.metadata)
        stacks = rules.list_bundle_stacks(
            asked.bundle, stack_key=stack_key, metadata=asked.metadata
        )
        unlocks = rules.list_bundle_unlocks(asked.bundle)
        plan = (
            TransactionPlan("give", asked.reason, gives=stacks, unlocks=unlocks)
            if asked.kind == "give"
            else TransactionPlan("take_back", asked.reason, takes=stacks, relocks=unlocks)
        )

        async def recorded(connection: Connection, transaction: StoredTransaction) -> None:
            await record_entry(
                connection,
                actor=actor,
                action=f"economy_{asked.kind}",
                target=asked.account_id,
                after={
                    "transaction_id": transaction.transaction_id,
                    "slot_id": asked.slot_id,
                    "bundle": asked.bundle.model_dump(),
                    "reason": asked.reason,
                },
            )

        # Keys of staff have a space of their own, which no player's key can be in.
        request = _request(asked.kind, asked, _ready(plan))._replace(key=f"staff/{asked.key}")
        account_id = UserId(asked.account_id)
        return await self._perform(account_id, asked.slot_id, request, recorded)

    # ------------------------------------------------------------------ other domains

    async def grant(
        self,
        connection: Connection,
        account_id: UserId,
        slot_id: str,
        bundle: wire.Bundle,
        *,
        key: str,
        reason: str,
    ) -> wire.Bundle | None:
        """Grant a bundle in the caller's transaction; see `Economy`."""
        plan = TransactionPlan(
            "grant",
            reason,
            gives=rules.list_bundle_stacks(bundle),
            unlocks=rules.list_bundle_unlocks(bundle),
        )
        # A space of keys of its own, so that no request of a player takes a reward's key.
        request = EconomyRequest(f"grant/{key}", _hash("grant", bundle), _ready(plan))
        work = EconomyTransaction(connection, account_id, slot_id)
        try:
            done = await self._carry_out(work, request)
        except _Implausible as refused:
            self._flag_later(refused.flags)
            raise
        return None if done.change is None else _granted(done.transaction)

    async def read_holdings(
        self, connection: Connection, account_id: UserId, slot_id: str
    ) -> Holdings:
        """Read what a slot holds."""
        return Holdings(*await EconomyTransaction(connection, account_id, slot_id).read_holdings())

    async def held_in(
        self, connection: Connection, account_id: UserId, slot_id: str
    ) -> Mapping[str, int]:
        """Read what would be lost with a slot, by item and currency."""
        return await EconomyTransaction(connection, account_id, slot_id).held_in_slot()

    async def flag_for_review(
        self,
        connection: Connection,
        account_id: UserId,
        slot_id: str,
        *,
        rule: str,
        subject: str,
        reason: str,
        mode: wire.Mode | None,
    ) -> None:
        """Flag what another domain finds implausible; see `EconomyReview`."""
        mode = mode or self._plausibility
        if mode == "off":
            return
        is_enforced = mode == "enforce"
        flag = NewReviewEntry(account_id, slot_id, None, rule, subject, reason, is_enforced)
        if is_enforced:
            self._flag_later([flag])
            self.refused += 1
            raise wire.GainRefused
        self.flagged += 1
        await EconomyTransaction(connection, account_id, slot_id).add_review_entry(flag)

    # ------------------------------------------------------------------ details

    async def _perform(
        self,
        account_id: UserId,
        slot_id: str | None,
        request: EconomyRequest,
        also: Callable[[Connection, StoredTransaction], Awaitable[None]] | None = None,
    ) -> tuple[StoredTransaction, bool]:
        """Carry a request out in a transaction of its own; says whether it was a repeat.

        Raise `KeyReused` where the key was used for something else.
        """
        try:
            async with self._store.database.transaction() as connection:
                work = EconomyTransaction(connection, account_id, slot_id)
                done = await self._carry_out(work, request)
                if done.change is not None and also is not None:
                    await also(connection, done.transaction)
        except _Implausible as refused:
            await self._store.add_review_entries(refused.flags)
            raise
        if done.change is not None:
            self._progress.announce(done.change)
        return done.transaction, done.change is None

    async def _carry_out(self, work: EconomyTransaction, request: EconomyRequest) -> EconomyResult:
        if (found := await self._repeated(work, request)) is not None:
            return found
        locked = await work.lock_holdings()
        # Whoever held the account meanwhile may have used the key.
        if (found := await self._repeated(work, request)) is not None:
            return found
        plan = await request.plan(work)
        assets = await work.read_assets(plan.items, plan.currencies)
        rules.require_known(plan, assets)
        if locked.is_modded:
            plan = rules.for_modded(plan, assets)
        if work.slot_id is None and rules.needs_slot(plan, assets):
            raise InvalidField("slot_id: name the slot that holds this.", field="slot_id")
        taken = [stack.id for stack in plan.takes if stack.kind == "item"]
        rules.require_room(plan, assets, await work.read_stacks(taken) if taken else {})
        found_odd = rules.find_implausible_gains(
            plan, assets, play_time=locked.play_time, mode=self._plausibility
        )
        if any(each.is_enforced for each in found_odd):
            self.refused += 1
            raise _Implausible([_flag(work, each, None) for each in found_odd])
        new = NewTransaction(
            work.account_id,
            work.slot_id,
            request.key,
            request.content_hash,
            plan.kind,
            plan.reason,
        )
        moves = rules.list_holding_changes(plan, assets, work.slot_id)
        transaction = await work.book(new, moves, plan.unlocks)
        if plan.relocks:
            await work.remove_unlocks(plan.relocks)
        for each in found_odd:
            await work.add_review_entry(_flag(work, each, transaction.transaction_id))
        change = await self._progress.append(
            work.connection, work.account_id, "inventory.changed", work.slot_id, _said(transaction)
        )
        self.transactions += 1
        self.flagged += bool(found_odd)
        return EconomyResult(transaction, change)

    async def _repeated(
        self, work: EconomyTransaction, request: EconomyRequest
    ) -> EconomyResult | None:
        found = await work.find_transaction(request.key, request.content_hash)
        if found is None:
            return None
        transaction, content_hash = found
        # A grant is claimed once, whatever it was and whichever slot claims it now.
        if transaction.kind != "grant" and (
            content_hash != request.content_hash or transaction.slot_id != work.slot_id
        ):
            raise wire.KeyReused(field="key")
        return EconomyResult(transaction, None)

    def _flag_later(self, flags: Sequence[NewReviewEntry]) -> None:
        """Flag what was refused; the caller's transaction is rolled back, so in another one."""
        self._tasks.start_work(self._store.add_review_entries(flags), name="economy flags")


def compute_stack_key(metadata: object) -> str:
    """Name a stack by its metadata."""
    if not metadata:
        return ""
    return sha256(orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _request(
    kind: str,
    asked: wire.CollectRequest
    | wire.SpendRequest
    | wire.UseRequest
    | wire.CraftRequest
    | wire.Adjustment,
    plan: Planner,
) -> EconomyRequest:
    return EconomyRequest(asked.key, _hash(kind, asked), plan)


def _hash(kind: str, asked: WireModel) -> str:
    said = orjson.dumps([kind, asked.model_dump()], option=orjson.OPT_SORT_KEYS)
    return sha256(said).hexdigest()


def _ready(plan: TransactionPlan) -> Planner:
    async def given(_: EconomyTransaction) -> TransactionPlan:
        return plan

    return given


def _flag(
    work: EconomyTransaction, odd: ImplausibleGain, transaction_id: str | None
) -> NewReviewEntry:
    return NewReviewEntry(
        work.account_id,
        work.slot_id,
        transaction_id,
        odd.rule,
        odd.asset,
        odd.reason,
        transaction_id is None,
    )


def _granted(transaction: StoredTransaction) -> wire.Bundle:
    changes, unlocked = transaction.changes, transaction.unlocked
    return wire.Bundle(
        items={each.item_id: each.amount for each in changes if each.item_id is not None},
        currencies={
            each.currency_id: each.amount for each in changes if each.currency_id is not None
        },
        lore=[each for kind, each in unlocked if kind == "lore"],
        cosmetics=[each for kind, each in unlocked if kind == "cosmetic"],
    )


def _said(transaction: StoredTransaction) -> dict[str, object]:
    """Say what a device needs in order to show its inventory without reading it again."""
    return {
        "transaction_id": transaction.transaction_id,
        "kind": transaction.kind,
        "items": [
            {"item_id": each.item_id, "stack_key": each.stack_key, "quantity": each.balance}
            for each in transaction.changes
            if each.item_id is not None
        ],
        "currencies": {
            each.currency_id: each.balance
            for each in transaction.changes
            if each.currency_id is not None
        },
        "lore": [each for kind, each in transaction.unlocked if kind == "lore"],
        "cosmetics": [each for kind, each in transaction.unlocked if kind == "cosmetic"],
    }
