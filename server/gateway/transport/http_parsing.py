"""HTTP connections: aiohttp's, but what goes wrong in them is answered and counted our way.

aiohttp logs each request that it cannot parse as an error, with a trace, and answers in plain
text. Anybody can send such bytes: they are refused like any other request, and counted.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from protocol.errors import BadFrame, PlayhallError
from server.gateway.error_counts import Count
from server.gateway.http.endpoints import SAFE_HEADERS, error_response, one_line_reason

log = logging.getLogger(__name__)


class _Connection(RequestHandler):
    """One connection."""

    __slots__ = ("_count", "_is_broken")

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
        self._is_broken = False  # not HTTP any more: no next request can be found in what comes

    def data_received(self, data: bytes) -> None:
        """Parse what came. If it is not HTTP, fail the body that was being received as well.

        aiohttp's parser drops that body without notifying its reader, which would wait for it. The
        parser also queues an error for each further piece. Once the queue is full, aiohttp pauses
        reading, and then it looks as if the client had to wait for the server.
        """
        if self._is_broken:
            return
        super().data_received(data)
        if self._messages and isinstance(newest := self._messages[-1][0], _ErrInfo):
            self._is_broken = True
            self._fail_bodies(newest.exc)

    def _fail_bodies(self, error: BaseException) -> None:
        bodies = [body for _, body in self._messages]
        if self._current_request is not None:
            bodies.append(self._current_request.content)
        for body in bodies:
            if not body.is_eof():
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
        log.debug("%s sent malformed HTTP: %s", request.remote, one_line_reason(exc))
        refused = BadFrame(f"The request is not valid HTTP: {one_line_reason(exc)}.")
        self._count(refused.wire_code)
        response = error_response(refused)
        response.headers.update(SAFE_HEADERS)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what went wrong while answering, and count it.

        Part of an answer may have been sent: the connection is closed, so that its client can
        notice that the rest is missing.
        """
        error = kw.get("exc_info")
        if isinstance(error, (HttpProcessingError, web.RequestPayloadError)):
            # What was left of a broken body; the request itself was answered.
            log.debug("%s sent malformed HTTP: %s", self.peername, one_line_reason(error))
        elif isinstance(error, PlayhallError):
            self._count(error.wire_code)
            log.warning("a response was interrupted: %s", error)
        else:
            self._count(PlayhallError.code)
            super().log_exception(*args, **kw)


def connections(server: web.Server, count: Count) -> Callable[[], asyncio.Protocol]:
    """Make the function that makes the protocol of a new connection to a server."""
    loop = asyncio.get_running_loop()
    # The runner keeps the settings that it was given there, for the protocols it would make.
    settings = server._kwargs
    return lambda: _Connection(server, loop=loop, count=count, **settings)
