"""`/v1/admin/epochs`: what admins do to days, each act on record."""

from functools import partial
from typing import Final

from persistence.epochs.steps import SettlementStore
from persistence.epochs.store import EpochStore
from protocol import epochs as wire
from protocol.epochs import (
    AlreadyPaid,
    EpochMirrored,
    EpochNotFound,
    EpochNotLive,
    EpochNotSettled,
    EpochPlayed,
    MirrorGap,
)
from protocol.errors import Forbidden, InvalidField, NotFound
from protocol.ids import EpochId
from server.domains.compete.epochs.http import parse_day_key
from server.domains.compete.epochs.mirror import DayMirror
from server.domains.compete.epochs.scheduler import Scheduler
from server.domains.compete.epochs.steps import EpochSteps
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG: Final = "epochs"
ONE: Final = "/v1/admin/epochs/{epoch}"


class EpochAdminRoutes:
    """The addresses of those who look after days."""

    def __init__(
        self,
        *,
        days: EpochStore,
        store: SettlementStore,
        steps: EpochSteps,
        scheduler: Scheduler,
        mirroring: DayMirror,
    ) -> None:
        self._days = days
        self._store = store
        self._steps = steps
        self._scheduler = scheduler
        self._mirroring = mirroring

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(
            Endpoint,
            auth="required",
            scope="admin",
            tag=TAG,
            errors=(Forbidden, EpochNotFound, InvalidField),
        )
        return [
            make(
                "POST",
                "/v1/admin/epochs/rollover",
                "Take every step that is due, now and on this node.",
                self._roll_over,
                answer=wire.RolledOver,
            ),
            make(
                "POST",
                f"{ONE}/recompute",
                "Settle a day again; earlier results stay readable.",
                self._recompute,
                body=wire.Recompute,
                answer=wire.Recomputed,
                errors=(Forbidden, EpochNotFound, EpochNotSettled, AlreadyPaid),
            ),
            make(
                "POST",
                f"{ONE}/mirror",
                "Mirror events of a day that another system plays; each line is applied once.",
                self._mirror,
                body=wire.MirrorBatch,
                answer=wire.Mirrored,
                errors=(
                    Forbidden,
                    EpochNotFound,
                    EpochNotLive,
                    EpochMirrored,
                    EpochPlayed,
                    MirrorGap,
                    InvalidField,
                ),
            ),
            make(
                "PATCH",
                f"{ONE}/payouts/{{bot_id}}",
                "Set the status of a payout.",
                self._set_payout,
                body=wire.PayoutChange,
                answer=wire.Noted,
            ),
            make(
                "PATCH",
                f"{ONE}/edition",
                "Record that the edition of a day was minted.",
                self._set_edition,
                body=wire.Minted,
                answer=wire.Noted,
            ),
        ]

    async def _roll_over(self, request: HttpRequest) -> wire.RolledOver:
        actor = request.who.user_id
        steps = await self._scheduler.tick()
        await self._store.record_rollover(actor, steps=steps)
        return wire.RolledOver(steps=steps)

    async def _recompute(self, request: HttpRequest) -> wire.Recomputed:
        actor = request.who.user_id
        body: wire.Recompute = request.body
        epoch_id = await self._epoch_id(request)
        differs = await self._steps.verify(epoch_id)
        number = await self._steps.recompute(epoch_id, by=actor, reason=body.reason)
        return wire.Recomputed(number=number, changed=bool(differs))

    async def _mirror(self, request: HttpRequest) -> wire.Mirrored:
        actor = request.who.user_id
        return await self._mirroring.apply(await self._epoch_id(request), request.body, actor=actor)

    async def _set_payout(self, request: HttpRequest) -> wire.Noted:
        actor = request.who.user_id
        body: wire.PayoutChange = request.body
        bot_id = request.parse_path(wire.BotPath).bot_id
        epoch_id = await self._epoch_id(request)
        if not await self._store.set_payout(
            epoch_id, bot_id, status=body.status, tx_hash=body.tx_hash, actor=actor
        ):
            raise NotFound("This bot has no payout for this epoch.")
        return wire.Noted()

    async def _set_edition(self, request: HttpRequest) -> wire.Noted:
        actor = request.who.user_id
        body: wire.Minted = request.body
        epoch_id = await self._epoch_id(request)
        minted_at = await self._days.now()
        if not await self._store.set_edition(
            epoch_id, token_id=int(body.token_id), minted_at=minted_at, actor=actor
        ):
            raise EpochNotSettled(
                "The epoch has no edition yet; one is created when it is archived."
            )
        return wire.Noted()

    async def _epoch_id(self, request: HttpRequest) -> EpochId:
        return (await self._days.read_day(parse_day_key(request))).epoch_id
