"""`/v1/admin/bots`: what moderators and admins do to bots, each act on record."""

from functools import partial
from typing import Final

from persistence.bots import BotStore
from protocol.bot import Bot, BotOwners, OwnerRequest, StatusRequest
from protocol.boterrors import BotNotFound
from protocol.errors import Forbidden
from server.domains.bots import answers
from server.domains.bots.asking import bot_meant
from server.domains.bots.passes import Passes
from server.gateway.http import Endpoint, HttpRequest
from server.gateway.identity import ADMINS, MODERATORS, require_role

TAG: Final = "moderation"
ONE: Final = "/v1/admin/bots/{bot}"


class BotAdminRoutes:
    """The addresses of those who look after bots."""

    def __init__(self, *, bots: BotStore, passes: Passes) -> None:
        self._bots = bots
        self._passes = passes

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", errors=(Forbidden, BotNotFound), tag=TAG)
        return [
            make("GET", f"{ONE}/owners", "Read who owned a bot.", self._owners, answer=BotOwners),
            make(
                "PUT",
                f"{ONE}/owner",
                "Say who owns a bot from now on.",
                self._set_owner,
                body=OwnerRequest,
                answer=BotOwners,
            ),
            make(
                "PUT",
                f"{ONE}/status",
                "Suspend or retire a bot, or make it active again.",
                self._set_status,
                body=StatusRequest,
                answer=Bot,
            ),
        ]

    async def _owners(self, request: HttpRequest) -> BotOwners:
        require_role(request.who, ADMINS)
        bot = await bot_meant(self._bots, request)
        return answers.owners(await self._bots.owners(bot.bot_id))

    async def _set_owner(self, request: HttpRequest) -> BotOwners:
        require_role(request.who, ADMINS)
        body: OwnerRequest = request.body
        bot = await bot_meant(self._bots, request)
        await self._bots.set_owner(
            bot.bot_id, body.address, actor=request.who.user_id, reason=body.reason
        )
        await self._passes.look()
        return await self._owners(request)

    async def _set_status(self, request: HttpRequest) -> Bot:
        require_role(request.who, MODERATORS)
        body: StatusRequest = request.body
        bot = await bot_meant(self._bots, request)
        await self._bots.set_status(
            bot.bot_id, body.status, actor=request.who.user_id, reason=body.reason
        )
        await self._passes.look()
        return answers.bot(await bot_meant(self._bots, request))
