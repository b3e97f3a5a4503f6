"""Inventories over HTTP: what a slot holds and what moves it, and what staff does."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import orjson

from persistence.inventory.store import (
    SEQ_MAX,
    EconomyStore,
    StackPosition,
    StoredReviewEntry,
    StoredTransaction,
)
from protocol import inventory as wire
from protocol.errors import Forbidden, InvalidField, ProfileNotFound, RateLimited
from protocol.ids import UserId
from protocol.saves import SaveSlotNotFound
from server.core.clock import Clock, wire_fields, wire_time
from server.core.cursors import CursorCodec
from server.core.rate_limits import Rate, RateLimiter
from server.domains.progression.inventory.service import EconomyService
from server.domains.progression.inventory.settings import InventorySettings
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "inventory"
INVENTORY: Final = "/v1/saves/{slot_id}/inventory"
FLAGS: Final = "/v1/admin/economy/flags"

_STACKS: Final = CursorCodec("inventory", StackPosition, str, str)
_UNLOCKS: Final = CursorCodec("unlocks", str, str)
_LEDGER: Final = CursorCodec("ledger", int, int)
_FLAGS: Final = CursorCodec("flags", int, int)


class InventoryRoutes:
    """The addresses of inventories and the ledger."""

    def __init__(
        self,
        *,
        service: EconomyService,
        store: EconomyStore,
        settings: InventorySettings,
        clock: Clock,
    ) -> None:
        self._service = service
        self._store = store
        self._admit = AccountLimit(
            RateLimiter(
                "inventory",
                Rate(settings.requests_per_minute, settings.requests_burst),
                "You are changing your inventory too often",
            ),
            clock,
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [*self._of_reading(), *self._of_moving(), *self._of_staff()]

    def _of_reading(self) -> list[Endpoint]:
        make = partial(Endpoint, "GET", auth="required", tag=TAG, is_tagged=True)
        return [
            make(
                INVENTORY,
                "Read what a slot holds, with the balances of all its currencies.",
                self._inventory,
                query=wire.InventoryQuery,
                answer=wire.Inventory,
                errors=(SaveSlotNotFound,),
            ),
            make(
                "/v1/unlocks",
                "List the lore or the cosmetics that you have unlocked.",
                self._unlocks,
                query=wire.UnlocksQuery,
                answer=wire.UnlockPage,
            ),
            make(
                "/v1/ledger",
                "List your transactions, newest first.",
                self._ledger,
                query=wire.LedgerQuery,
                answer=wire.Ledger,
            ),
        ]

    def _of_moving(self) -> list[Endpoint]:
        make = partial(
            Endpoint,
            "POST",
            auth="required",
            tag=TAG,
            answer=wire.EconomyAnswer,
            admit=self._admit,
        )
        always = (SaveSlotNotFound, wire.AssetNotFound, wire.KeyReused, RateLimited)
        gains = (wire.HoldingFull, wire.AssetRetired, wire.GainRefused, wire.ModdedSlot)
        return [
            make(
                f"{INVENTORY}/collect",
                "Report what was found; only of what the server does not own.",
                self._collect,
                body=wire.CollectRequest,
                errors=(*always, *gains, wire.ServerOwned),
            ),
            make(
                f"{INVENTORY}/spend",
                "Spend items and currencies.",
                self._spend,
                body=wire.SpendRequest,
                errors=(*always, wire.NotEnough),
            ),
            make(
                f"{INVENTORY}/use",
                "Use an item up.",
                self._use,
                body=wire.UseRequest,
                errors=(*always, *gains, wire.NotEnough, wire.NotUsable),
            ),
            make(
                f"{INVENTORY}/craft",
                "Craft by a recipe, or trade components by one.",
                self._craft,
                body=wire.CraftRequest,
                errors=(*always, *gains, wire.NotEnough, wire.RecipeNotFound),
            ),
        ]

    def _of_staff(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", tag=TAG)
        return [
            make(
                "POST",
                "/v1/admin/economy/adjustments",
                "Give somebody a bundle, or take it back.",
                self._adjust,
                scope="support",
                body=wire.Adjustment,
                answer=wire.EconomyAnswer,
                errors=(
                    Forbidden,
                    ProfileNotFound,
                    SaveSlotNotFound,
                    InvalidField,
                    wire.AssetNotFound,
                    wire.HoldingFull,
                    wire.NotEnough,
                    wire.KeyReused,
                ),
            ),
            make(
                "GET",
                "/v1/admin/economy/ledger",
                "Read somebody's transactions, on record.",
                self._ledger_of,
                scope="support",
                query=wire.ManagedLedgerQuery,
                answer=wire.Ledger,
                errors=(Forbidden,),
            ),
            make(
                "GET",
                FLAGS,
                "List the review queue, newest first.",
                self._flags,
                scope="moderator",
                query=wire.FlagsQuery,
                answer=wire.Flags,
                errors=(Forbidden,),
            ),
            make(
                "POST",
                f"{FLAGS}/{{flag_id}}/decision",
                "Decide an entry of the review queue.",
                self._decide,
                scope="moderator",
                body=wire.FlagDecision,
                answer=wire.Flag,
                errors=(Forbidden, InvalidField, wire.FlagNotFound, wire.FlagDecided),
            ),
        ]

    # ------------------------------------------------------------------ reading

    async def _inventory(self, request: HttpRequest) -> wire.Inventory:
        slot_id, query = _slot_id(request), request.query
        after = StackPosition() if query.cursor is None else _STACKS.read(query.cursor)
        stacks, currencies = await self._store.list_inventory(
            request.who.requester, slot_id, after=after, limit=query.limit
        )
        return wire.Inventory(
            slot_id=slot_id,
            items=[
                wire.InventoryStack(**{**stack._asdict(), "metadata": orjson.loads(stack.metadata)})
                for stack in stacks
            ],
            currencies=currencies,
            next=_STACKS.after_page(
                stacks, query.limit, lambda last: StackPosition(last.item_id, last.stack_key)
            ),
        )

    async def _unlocks(self, request: HttpRequest) -> wire.UnlockPage:
        query: wire.UnlocksQuery = request.query
        after = "" if query.cursor is None else _UNLOCKS.read(query.cursor)
        found = await self._store.list_unlocks(
            request.who.requester, query.kind, after=after, limit=query.limit
        )
        return wire.UnlockPage(
            unlocks=[wire.Unlock(**wire_fields(each)) for each in found],
            next=_UNLOCKS.after_page(found, query.limit, lambda last: last.unlock_id),
        )

    async def _ledger(self, request: HttpRequest) -> wire.Ledger:
        query: wire.LedgerQuery = request.query
        found = await self._store.list_own_ledger(
            request.who.requester, query.slot_id, below=_below(query.cursor), limit=query.limit
        )
        return _page(found, query.limit)

    # ------------------------------------------------------------------ moving

    async def _collect(self, request: HttpRequest) -> wire.EconomyAnswer:
        return await self._moved(request, self._service.collect)

    async def _spend(self, request: HttpRequest) -> wire.EconomyAnswer:
        return await self._moved(request, self._service.spend)

    async def _use(self, request: HttpRequest) -> wire.EconomyAnswer:
        return await self._moved(request, self._service.use)

    async def _craft(self, request: HttpRequest) -> wire.EconomyAnswer:
        return await self._moved(request, self._service.craft)

    async def _moved(
        self,
        request: HttpRequest,
        move: Callable[..., Awaitable[tuple[StoredTransaction, bool]]],
    ) -> wire.EconomyAnswer:
        slot_id = _slot_id(request)
        return _answer(*await move(request.who.user_id, slot_id, request.body))

    # ------------------------------------------------------------------ staff

    async def _adjust(self, request: HttpRequest) -> wire.EconomyAnswer:
        actor = request.who.user_id
        return _answer(*await self._service.adjust(request.body, actor=actor))

    async def _ledger_of(self, request: HttpRequest) -> wire.Ledger:
        query: wire.ManagedLedgerQuery = request.query
        found = await self._store.list_ledger(
            UserId(query.account_id),
            query.slot_id,
            below=_below(query.cursor),
            limit=query.limit,
            actor=request.who.user_id,
        )
        return _page(found, query.limit)

    async def _flags(self, request: HttpRequest) -> wire.Flags:
        query: wire.FlagsQuery = request.query
        below = SEQ_MAX if query.cursor is None else _FLAGS.read(query.cursor)
        found = await self._store.list_review_entries(
            query.status, query.account_id, below=below, limit=query.limit
        )
        return wire.Flags(
            flags=[_flag(each) for each in found],
            next=_FLAGS.after_page(found, query.limit, lambda last: last.seq),
        )

    async def _decide(self, request: HttpRequest) -> wire.Flag:
        flag_id = request.parse_path(wire.FlagPath).flag_id
        asked: wire.FlagDecision = request.body
        actor = request.who.user_id
        return _flag(
            await self._store.decide_review_entry(flag_id, asked.decision, asked.note, actor=actor)
        )


def _slot_id(request: HttpRequest) -> str:
    return request.parse_path(wire.InventorySlotPath).slot_id


def _below(cursor: str | None) -> int:
    return SEQ_MAX if cursor is None else _LEDGER.read(cursor)


def _page(found: list[StoredTransaction], limit: int) -> wire.Ledger:
    return wire.Ledger(
        transactions=[_transaction(each) for each in found],
        next=_LEDGER.after_page(found, limit, lambda last: last.seq),
    )


def _transaction(stored: StoredTransaction) -> wire.LedgerTransaction:
    return wire.LedgerTransaction(
        transaction_id=stored.transaction_id,
        kind=stored.kind,
        slot_id=stored.slot_id,
        key=stored.key,
        reason=stored.reason,
        changes=[wire.LedgerChange(**each._asdict()) for each in stored.changes],
        lore=[each for kind, each in stored.unlocked if kind == "lore"],
        cosmetics=[each for kind, each in stored.unlocked if kind == "cosmetic"],
        at=wire_time(stored.at),
    )


def _answer(stored: StoredTransaction, is_repeat: bool) -> wire.EconomyAnswer:
    return wire.EconomyAnswer(**_transaction(stored).model_dump(), repeated=is_repeat)


def _flag(stored: StoredReviewEntry) -> wire.Flag:
    fields = wire_fields(stored)
    del fields["seq"]
    return wire.Flag(**fields)
