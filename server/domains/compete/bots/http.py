"""`/v1/bots` and `/v1/admin/bots`: bots, their tokens, and their moderation."""

from functools import partial
from typing import Final

from persistence.bots.store import BotStore, StoredBot
from persistence.bots.tokens import BotTokenStore
from protocol.bots import (
    Bot,
    BotNotActive,
    BotNotFound,
    BotOwners,
    BotPath,
    Bots,
    BotsQuery,
    BotTaken,
    BotTokenNotFound,
    BotTokenPath,
    BotTokens,
    MadeBotToken,
    NewBot,
    NewBotToken,
    NotTheOwner,
    OwnerRequest,
    StatusRequest,
    TooManyBots,
    TooManyBotTokens,
    WalletRequired,
)
from protocol.codec import validate
from protocol.errors import Forbidden, InvalidField
from protocol.ids import BotId
from server.core.clock import Clock
from server.domains.compete.bots import rules, views
from server.domains.compete.bots.authentication import TokenAuthenticator
from server.domains.compete.bots.drafts import draft_bot, draft_token
from server.domains.compete.bots.rules import is_bot_id
from server.gateway.http.endpoints import Endpoint, HttpRequest


async def read_addressed_bot(store: BotStore, request: HttpRequest) -> StoredBot:
    """Read the bot in the address, by its slug or its id; raise `BotNotFound`."""
    bot = validate(BotPath, {"bot": request.path["bot"]}).bot
    if is_bot_id(bot):
        return await store.read(request.requester, bot_id=BotId(bot))
    return await store.read(request.requester, slug=bot)


TAG: Final = "bots"
ONE: Final = "/v1/bots/{bot}"
TOKENS: Final = f"{ONE}/tokens"


class BotRoutes:
    """The addresses of bots and their tokens."""

    def __init__(
        self,
        *,
        bots: BotStore,
        tokens: BotTokenStore,
        authenticator: TokenAuthenticator,
        clock: Clock,
    ) -> None:
        self._bots = bots
        self._tokens = tokens
        self._authenticator = authenticator
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [*self._of_bots(), *self._of_tokens()]

    def _of_bots(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", tag=TAG)
        return [
            get(
                "/v1/bots",
                "Find bots by part of their slug.",
                self._find,
                query=BotsQuery,
                answer=Bots,
                scope="bot",
            ),
            get(
                "/v1/me/bots",
                "List the bots that your wallets own now.",
                self._own,
                auth="required",
                query=BotsQuery,
                answer=Bots,
            ),
            get(ONE, "Read a bot.", self._read, answer=Bot, errors=(BotNotFound,), scope="bot"),
            Endpoint(
                "POST",
                "/v1/bots",
                "Register a bot: a token of an ERC-721 contract.",
                self._register,
                auth="required",
                body=NewBot,
                answer=Bot,
                errors=(WalletRequired, BotTaken, TooManyBots),
                tag=TAG,
            ),
        ]

    def _of_tokens(self) -> list[Endpoint]:
        make = partial(Endpoint, auth="required", tag=TAG)
        return [
            make(
                "POST",
                TOKENS,
                "Create a token with which a bot of yours signs in; it is shown once.",
                self._make_token,
                body=NewBotToken,
                answer=MadeBotToken,
                errors=(BotNotFound, NotTheOwner, BotNotActive, TooManyBotTokens),
            ),
            make(
                "GET",
                TOKENS,
                "List the tokens that you created for a bot.",
                self._list_tokens,
                answer=BotTokens,
                errors=(BotNotFound,),
            ),
            make(
                "DELETE",
                TOKENS + "/{token_id}",
                "Revoke a token that you created and close its connections.",
                self._revoke_token,
                answer=BotTokens,
                errors=(BotNotFound, BotTokenNotFound, InvalidField),
            ),
        ]

    async def _find(self, request: HttpRequest) -> Bots:
        query: BotsQuery = request.query
        after = views.read_cursor(query.cursor)
        found = await self._bots.search(
            request.requester, text=query.text.lower(), after=after, limit=query.limit
        )
        return views.bots(found, query.limit)

    async def _own(self, request: HttpRequest) -> Bots:
        query: BotsQuery = request.query
        after = views.read_cursor(query.cursor)
        found = await self._bots.list_own(
            request.who.user_id, text=query.text.lower(), after=after, limit=query.limit
        )
        return views.bots(found, query.limit)

    async def _read(self, request: HttpRequest) -> Bot:
        return views.bot(await read_addressed_bot(self._bots, request))

    async def _register(self, request: HttpRequest) -> Bot:
        draft = draft_bot(request.body, request.who.user_id)
        return views.bot(await self._bots.add(draft, at_most=rules.BOTS_MAX))

    async def _make_token(self, request: HttpRequest) -> MadeBotToken:
        bot = await read_addressed_bot(self._bots, request)
        token, draft = draft_token(request.body, bot.bot_id, now=self._clock.now())
        made = await self._tokens.add(
            request.who.user_id, draft, rules.require_owner, at_most=rules.TOKENS_MAX
        )
        return views.token_with_secret(made, token)

    async def _list_tokens(self, request: HttpRequest) -> BotTokens:
        bot = await read_addressed_bot(self._bots, request)
        return views.tokens(await self._tokens.list(request.who.user_id, bot.bot_id))

    async def _revoke_token(self, request: HttpRequest) -> BotTokens:
        path = request.parse_path(BotTokenPath)
        bot = await read_addressed_bot(self._bots, request)
        await self._tokens.revoke(request.who.user_id, bot.bot_id, path.token_id)
        await self._authenticator.enforce()
        return await self._list_tokens(request)


ADMIN_TAG: Final = "moderation"
ADMIN_ONE: Final = "/v1/admin/bots/{bot}"


class BotAdminRoutes:
    """The addresses of those who look after bots."""

    def __init__(self, *, bots: BotStore, authenticator: TokenAuthenticator) -> None:
        self._bots = bots
        self._authenticator = authenticator

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(
            Endpoint,
            auth="required",
            scope="admin",
            errors=(Forbidden, BotNotFound),
            tag=ADMIN_TAG,
        )
        return [
            make(
                "GET",
                f"{ADMIN_ONE}/owners",
                "Read who owned a bot.",
                self._owners,
                answer=BotOwners,
            ),
            make(
                "PUT",
                f"{ADMIN_ONE}/owner",
                "Set the owner of a bot from now on.",
                self._set_owner,
                body=OwnerRequest,
                answer=BotOwners,
            ),
            make(
                "PUT",
                f"{ADMIN_ONE}/status",
                "Suspend, retire or reactivate a bot.",
                self._set_status,
                scope="moderator",
                body=StatusRequest,
                answer=Bot,
            ),
        ]

    async def _owners(self, request: HttpRequest) -> BotOwners:
        bot = await read_addressed_bot(self._bots, request)
        return views.owners(await self._bots.list_owners(bot.bot_id))

    async def _set_owner(self, request: HttpRequest) -> BotOwners:
        body: OwnerRequest = request.body
        bot = await read_addressed_bot(self._bots, request)
        await self._bots.set_owner(
            bot.bot_id, body.address, actor=request.who.user_id, reason=body.reason
        )
        await self._authenticator.enforce()
        return await self._owners(request)

    async def _set_status(self, request: HttpRequest) -> Bot:
        body: StatusRequest = request.body
        bot = await read_addressed_bot(self._bots, request)
        await self._bots.set_status(
            bot.bot_id, body.status, actor=request.who.user_id, reason=body.reason
        )
        await self._authenticator.enforce()
        return views.bot(await read_addressed_bot(self._bots, request))
