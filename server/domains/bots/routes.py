"""`/v1/bots`: finding and registering bots, and making the tokens they sign in with."""

from functools import partial
from typing import Final

from persistence.bots import BotStore
from persistence.bottokens import BotTokenStore
from protocol.bot import (
    Bot,
    Bots,
    BotsQuery,
    BotTokenPath,
    BotTokens,
    MadeBotToken,
    NewBot,
    NewBotToken,
)
from protocol.boterrors import (
    BotNotActive,
    BotNotFound,
    BotTaken,
    BotTokenNotFound,
    NotTheOwner,
    TooManyBots,
    TooManyBotTokens,
    WalletRequired,
)
from protocol.codec import validate
from protocol.errors import InvalidField
from server.domains.bots import answers, rules
from server.domains.bots.asking import asker, bot_meant
from server.domains.bots.passes import Passes
from server.gateway.http import Endpoint, HttpRequest
from server.kernel.clock import Clock

TAG: Final = "bots"
ONE: Final = "/v1/bots/{bot}"
TOKENS: Final = f"{ONE}/tokens"


class BotRoutes:
    """The addresses of bots and their tokens."""

    def __init__(
        self, *, bots: BotStore, tokens: BotTokenStore, passes: Passes, clock: Clock
    ) -> None:
        self._bots = bots
        self._tokens = tokens
        self._passes = passes
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [*self._of_bots(), *self._of_tokens()]

    def _of_bots(self) -> list[Endpoint]:
        get = partial(Endpoint, "GET", tag=TAG)
        return [
            get(
                "/v1/bots",
                "Find bots by a part of their slugs.",
                self._find,
                query=BotsQuery,
                answer=Bots,
                bots=True,
            ),
            get(
                "/v1/me/bots",
                "List the bots that your wallets own now.",
                self._own,
                auth="required",
                query=BotsQuery,
                answer=Bots,
            ),
            get(ONE, "Read a bot.", self._read, answer=Bot, errors=(BotNotFound,), bots=True),
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
                "Make a token that a bot of yours signs in with; it is shown once.",
                self._make_token,
                body=NewBotToken,
                answer=MadeBotToken,
                errors=(BotNotFound, NotTheOwner, BotNotActive, TooManyBotTokens),
            ),
            make(
                "GET",
                TOKENS,
                "List the tokens of a bot that you made.",
                self._list_tokens,
                answer=BotTokens,
                errors=(BotNotFound,),
            ),
            make(
                "DELETE",
                TOKENS + "/{token_id}",
                "Revoke a token that you made; what it opened closes.",
                self._revoke_token,
                answer=BotTokens,
                errors=(BotNotFound, BotTokenNotFound, InvalidField),
            ),
        ]

    async def _find(self, request: HttpRequest) -> Bots:
        query: BotsQuery = request.query
        after = answers.read_cursor(query.cursor)
        found = await self._bots.find(
            asker(request), text=query.text.lower(), after=after, limit=query.limit
        )
        return answers.bots(found, query.limit)

    async def _own(self, request: HttpRequest) -> Bots:
        query: BotsQuery = request.query
        after = answers.read_cursor(query.cursor)
        found = await self._bots.own(
            request.who.user_id, text=query.text.lower(), after=after, limit=query.limit
        )
        return answers.bots(found, query.limit)

    async def _read(self, request: HttpRequest) -> Bot:
        return answers.bot(await bot_meant(self._bots, request))

    async def _register(self, request: HttpRequest) -> Bot:
        return answers.bot(await self._bots.add(rules.drawn(request.body, request.who.user_id)))

    async def _make_token(self, request: HttpRequest) -> MadeBotToken:
        bot = await bot_meant(self._bots, request)
        token, draft = rules.minted(request.body, bot.bot_id, now=self._clock.now())
        return answers.made_token(await self._tokens.add(request.who.user_id, draft), token)

    async def _list_tokens(self, request: HttpRequest) -> BotTokens:
        bot = await bot_meant(self._bots, request)
        return answers.tokens(await self._tokens.list(request.who.user_id, bot.bot_id))

    async def _revoke_token(self, request: HttpRequest) -> BotTokens:
        path = validate(BotTokenPath, dict(request.path))
        bot = await bot_meant(self._bots, request)
        await self._tokens.revoke(request.who.user_id, bot.bot_id, path.token_id)
        await self._passes.look()
        return await self._list_tokens(request)
