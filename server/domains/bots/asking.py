"""What of a request says which bot is meant, and who asks."""

from persistence.behalf import Requester
from persistence.bots import BotStore, StoredBot
from protocol.bot import BotPath
from protocol.codec import validate
from protocol.ids import BotId
from server.domains.bots.rules import names_id
from server.gateway.http import HttpRequest


async def bot_meant(store: BotStore, request: HttpRequest) -> StoredBot:
    """Read the bot in the address, by its slug or its id; raise `BotNotFound`."""
    bot = validate(BotPath, {"bot": request.path["bot"]}).bot
    if names_id(bot):
        return await store.read(asker(request), bot_id=BotId(bot))
    return await store.read(asker(request), slug=bot)


def asker(request: HttpRequest) -> Requester | None:
    """Say whom the database shall take the request for."""
    return None if request.identity is None else request.identity.requester
