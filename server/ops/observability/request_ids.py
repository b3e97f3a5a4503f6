"""Name in every log line the command or the request that caused it."""

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Final, TypeAlias

from aiohttp import web

from protocol.envelope import Command
from server.core.json_logs import naming
from server.gateway.session.sessions import RUNNING_AWAITED, RUNNING_NOW, CommandRoute, Session

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

REQUEST_ID_HEADER: Final = "X-Request-Id"
_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,64}")


class RequestIds:
    """Ids that no two requests of any process share."""

    def __init__(self) -> None:
        self._life = secrets.token_hex(4)
        self._numbers = count(1)

    def draw(self) -> str:
        """Give the next one."""
        return f"{self._life}-{next(self._numbers)}"

    def take(self, proposed: str | None) -> str:
        """Use the id that a proxy gave, if it is one; else draw one."""
        if proposed is not None and _REQUEST_ID.fullmatch(proposed):
            return proposed
        return self.draw()


def name_commands(ids: RequestIds) -> None:
    """Name websocket commands. Once, before anything is built."""

    def fields(command: Command) -> Mapping[str, str]:
        game_id = getattr(command, "game_id", None)
        named = {"request_id": ids.draw(), "command": command.type}
        return named if game_id is None else {**named, "game_id": str(game_id)}

    def wrap_now(original: Callable[..., None]) -> Callable[..., None]:
        def run_now(session: Session, command: Command, route: CommandRoute) -> None:
            with naming(fields(command)):
                original(session, command, route)

        return run_now

    def wrap_awaited(original: Callable[..., Awaitable[None]]) -> Callable[..., Any]:
        async def run_awaited(session: Session, command: Command, route: CommandRoute) -> None:
            with naming(fields(command)):
                await original(session, command, route)

        return run_awaited

    RUNNING_NOW.observe(wrap_now)
    RUNNING_AWAITED.observe(wrap_awaited)


def name_requests(app: web.Application, ids: RequestIds) -> None:
    """Name HTTP requests; their answers have the id as well."""

    @web.middleware
    async def name_request(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = ids.take(request.headers.get(REQUEST_ID_HEADER))
        named = {"request_id": request_id}
        if (game_id := request.match_info.get("game_id")) is not None:
            named["game_id"] = game_id
        with naming(named):
            answer = await handler(request)
        if not answer.prepared:
            answer.headers[REQUEST_ID_HEADER] = request_id
        return answer

    app.middlewares.insert(0, name_request)
