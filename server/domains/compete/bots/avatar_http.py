"""Avatars of bots: adding, moderating and wearing them; and what a bot had come to."""

from functools import partial
from typing import Final

from persistence.bots.avatars import AvatarDraft, BotAvatarStore
from persistence.bots.store import BotStore
from protocol.bots import (
    Avatar,
    AvatarChoice,
    AvatarNotApproved,
    AvatarNotFound,
    AvatarPath,
    AvatarReviewQuery,
    Avatars,
    Bot,
    BotNotActive,
    BotNotFound,
    ModerationRequest,
    NewAvatar,
    NotTheOwner,
    SnapshotsQuery,
    StatsSnapshots,
    TooManyAvatars,
)
from protocol.errors import Forbidden, InvalidField
from server.domains.compete.bots import rules, views
from server.domains.compete.bots.http import read_addressed_bot
from server.gateway.http.endpoints import Endpoint, HttpRequest
from server.gateway.session.identity import MODERATORS

TAG: Final = "bots"
AVATARS: Final = "/v1/bots/{bot}/avatars"


class AvatarRoutes:
    """The addresses of avatars and snapshots."""

    def __init__(self, *, bots: BotStore, avatars: BotAvatarStore) -> None:
        self._bots = bots
        self._avatars = avatars

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [*self._to_read(), *self._to_choose(), *self._to_moderate()]

    def _to_read(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", errors=(BotNotFound,), tag=TAG, scope="bot")
        return [
            get(
                AVATARS,
                "List a bot's approved avatars, or all of them for its owner and moderators.",
                self._list,
                answer=Avatars,
            ),
            get(
                "/v1/bots/{bot}/stats",
                "List snapshots of a bot's statistics, one per day.",
                self._stats,
                query=SnapshotsQuery,
                answer=StatsSnapshots,
            ),
        ]

    def _to_choose(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", tag=TAG)
        owners = (BotNotFound, NotTheOwner, BotNotActive)
        return [
            make(
                "POST",
                AVATARS,
                "Add an avatar to a bot that you own; a moderator reviews it.",
                self._add,
                body=NewAvatar,
                answer=Avatar,
                errors=(*owners, TooManyAvatars),
            ),
            make(
                "PUT",
                "/v1/bots/{bot}/avatar",
                "Choose the approved avatar that a bot of yours shows.",
                self._wear,
                body=AvatarChoice,
                answer=Bot,
                errors=(*owners, AvatarNotFound, AvatarNotApproved),
            ),
        ]

    def _to_moderate(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", scope="moderator", tag="moderation")
        return [
            make(
                "GET",
                "/v1/admin/avatars",
                "List avatars awaiting moderation, oldest first.",
                self._queue,
                query=AvatarReviewQuery,
                answer=Avatars,
                errors=(Forbidden,),
            ),
            make(
                "PATCH",
                "/v1/avatars/{avatar_id}",
                "Approve or reject an avatar; a rejected one is no longer shown.",
                self._moderate,
                body=ModerationRequest,
                answer=Avatar,
                errors=(Forbidden, AvatarNotFound, InvalidField),
            ),
        ]

    async def _list(self, request: HttpRequest) -> Avatars:
        bot = await read_addressed_bot(self._bots, request)
        sees_all = request.identity is not None and bool(MODERATORS & set(request.identity.roles))
        found = await self._avatars.list_bot_avatars(
            request.requester, bot.bot_id, sees_all=sees_all
        )
        return views.avatars(found)

    async def _stats(self, request: HttpRequest) -> StatsSnapshots:
        query: SnapshotsQuery = request.query
        after = views.read_snapshot_cursor(query.cursor)
        bot = await read_addressed_bot(self._bots, request)
        found = await self._bots.list_snapshots(
            request.requester, bot.bot_id, after=after, limit=query.limit
        )
        return views.snapshots(found, query.limit)

    async def _add(self, request: HttpRequest) -> Avatar:
        body: NewAvatar = request.body
        draft = AvatarDraft(**body.model_dump())
        bot = await read_addressed_bot(self._bots, request)
        added = await self._avatars.add(
            request.who.user_id, bot.bot_id, draft, rules.require_owner, at_most=rules.AVATARS_MAX
        )
        return views.avatar(added)

    async def _wear(self, request: HttpRequest) -> Bot:
        body: AvatarChoice = request.body
        bot = await read_addressed_bot(self._bots, request)
        who = request.who.user_id
        await self._avatars.select_avatar(who, bot.bot_id, body.avatar_id, rules.require_owner)
        return views.bot(await read_addressed_bot(self._bots, request))

    async def _queue(self, request: HttpRequest) -> Avatars:
        query: AvatarReviewQuery = request.query
        found = await self._avatars.list_by_moderation(query.moderation_status, limit=query.limit)
        return views.avatars(found)

    async def _moderate(self, request: HttpRequest) -> Avatar:
        avatar_id = request.parse_path(AvatarPath).avatar_id
        body: ModerationRequest = request.body
        return views.avatar(
            await self._avatars.moderate_avatar(
                avatar_id, body.moderation_status, actor=request.who.user_id, reason=body.reason
            )
        )
