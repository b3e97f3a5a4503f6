"""HTTP connections: aiohttp's, but what goes wrong in them is answered and counted our way.

aiohttp logs each request that it cannot parse as an error, with a trace, and answers in plain
text. Anybody can send such bytes: they are refused like any other request, and counted.
"""

import asyncio
import logging
from collections.abc import Callable
from itertools import islice
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.http import HttpProcessingError
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from protocol.errors import BadFrame, PlayhallError
from server.gateway.http import SAFE_HEADERS, error_response, in_one_line
from server.gateway.refusals import Count

log = logging.getLogger(__name__)


class _Connection(RequestHandler):
    """One connection."""

    __slots__ = ("_count", "_is_broken", "_newest_body")

    def __init__(
        self,
        server: web.Server,
        *,
        loop: asyncio.AbstractEventLoop,
        count: Count,
        **settings: Any,
    ) -> None:
        super().__init__(server, loop=loop, **settings)
        self._count = count
        self._is_broken = False  # what came is no HTTP: where a next request begins is not known
        self._newest_body: StreamReader | None = None

    def data_received(self, data: bytes) -> None:
        """Parse what came; where that is no HTTP, the body that was being received ends as well.

        aiohttp's parser forgets that body, so whoever reads it would wait. And it fails at each
        further piece: their queue fills up, and the client seems to be the one that has to wait.
        """
        if self._is_broken:
            return
        known = len(self._messages)
        super().data_received(data)
        for message, body in islice(self._messages, known, None):
            if isinstance(message, _ErrInfo):
                self._break_off(message.exc)
            else:
                self._newest_body = body

    def _break_off(self, error: BaseException | None) -> None:
        self._is_broken = True
        current = self._current_request
        for body in (self._newest_body, None if current is None else current.content):
            if error is not None and body is not None and not body.is_eof():
                body.set_exception(error)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a request that could not be parsed, or whose answer failed."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        log.debug("%s sent what is no HTTP: %s", request.remote, in_one_line(exc))
        refused = BadFrame(f"The request is not valid HTTP: {in_one_line(exc)}.")
        self._count(refused.wire_code)
        response = error_response(refused)
        response.headers.update(SAFE_HEADERS)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what went wrong while answering, and count it.

        Part of an answer may have been sent: the connection is closed, so that its client can
        tell that the rest is missing.
        """
        error = kw.get("exc_info")
        if isinstance(error, (HttpProcessingError, web.RequestPayloadError)):
            # What was left of a broken body; the request itself was answered.
            log.debug("%s sent what is no HTTP: %s", self.peername, in_one_line(error))
        elif isinstance(error, PlayhallError):
            self._count(error.wire_code)
            log.warning("an answer broke off: %s", error)
        else:
            self._count(PlayhallError.code)
            super().log_exception(*args, **kw)


def connections(server: web.Server, count: Count) -> Callable[[], asyncio.Protocol]:
    """Make the function that makes the protocol of a new connection to a server."""
    loop = asyncio.get_running_loop()
    # The runner keeps the settings that it was given there, for the protocols it would make.
    settings = server._kwargs
    return lambda: _Connection(server, loop=loop, count=count, **settings)
