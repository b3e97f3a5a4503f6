"""HTTP requests to one server, and the reason why one got no answer from Playhall.

The client needs a handful of small JSON requests: signing in, renewing tokens, reading a page.
An HTTP library would be its largest dependency by far, so this is HTTP/1.1 over asyncio's
streams: kept-alive connections, `Content-Length` and chunked bodies, no redirects, no proxies,
no compression. A request that is cancelled closes its connection.
"""

import asyncio
import random
import re
import socket
import ssl
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException, HTTPMessage, parse_headers
from io import BytesIO
from types import TracebackType
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

import orjson

from playhall.errors import ClientError, DataDamaged, Json, RequestRefused, ServerUnreachable

TIMEOUT_S: Final = 30.0  # of a whole request, with its connection
CONNECTIONS_MAX: Final = 32
# Servers close idle connections after a while. One that is not reused for so long is closed
# here first, so that a request seldom meets a connection which the server is just closing.
IDLE_MAX_S: Final = 5.0
BODY_BYTES_MAX: Final = 64 * 1024 * 1024  # more than the largest page of events

BACKOFF_BASE_S: Final = 0.1
BACKOFF_CAP_S: Final = 10.0

# What servers that are not Playhall say to Playhall's addresses.
_FOREIGN: Final = frozenset([400, 401, 403, 404, 405, 406, 415, 501])
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: .*)?")
# Left as they are in a path with its query; everything else is percent-encoded.
_PATH_CHARS: Final = "%/:?@!$&'()*+,;=~"


def full_jitter_pause_s(
    attempt: int, *, base_s: float = BACKOFF_BASE_S, cap_s: float = BACKOFF_CAP_S
) -> float:
    """Draw a pause before another try: from 0 to a bound that doubles with each attempt.

    The pause is random from 0 on ("full jitter"), so that clients which were disconnected
    together do not come back together.
    """
    return random.uniform(0, min(cap_s, base_s * 2 ** min(attempt, 30)))  # noqa: S311 - no secret


class _Stream(NamedTuple):
    """An open connection; `idle_since` is monotonic."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0


class _Response(NamedTuple):
    status: int
    headers: HTTPMessage
    body: bytes
    keep_alive: bool


class HttpClient:
    """Requests to one server; answers are JSON, and errors are raised as `RequestRefused`."""

    def __init__(self, url: str) -> None:
        """Raises `ServerUnreachable` where the URL is not that of a server."""
        self.url = normalise_url(url)
        parts = urlsplit(self.url)
        self._host = str(parts.hostname)
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._host_header = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._slots = asyncio.BoundedSemaphore(CONNECTIONS_MAX)
        self._idle: list[_Stream] = []
        self._is_open = False

    async def __aenter__(self) -> "HttpClient":
        self._is_open = True
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._is_open = False
        while self._idle:
            self._idle.pop().writer.close()

    @property
    def socket_url(self) -> str:
        """The address of the websocket."""
        scheme, _, rest = self.url.partition("://")
        return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/ws"

    async def get(self, path: str, *, token: str | None = None) -> Json:
        """Read a JSON object."""
        return self._object(await self._request("GET", path, token=token))

    async def get_range(
        self, path: str, start: int, end: int, *, tag: str, token: str | None = None
    ) -> bytes:
        """Read the bytes from `start` to before `end` of what has this entity tag.

        Raises `DataDamaged` where it is something else by now.
        """
        headers = {"Range": f"bytes={start}-{end - 1}", "If-Range": f'"{tag}"'}
        response = await self._respond("GET", path, token=token, headers=headers)
        if response.status != HTTPStatus.PARTIAL_CONTENT or len(response.body) != end - start:
            raise DataDamaged(f"{path} has changed, or the server does not send parts.")
        return response.body

    async def post(self, path: str, body: Json) -> Json:
        """Send a JSON object, and read the one that answers it."""
        return self._object(await self._request("POST", path, body=orjson.dumps(body)))

    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Make a request of any kind, and read the JSON object that answers it."""
        content = None if body is None else orjson.dumps(body)
        return self._object(
            await self._request(method, path, token=token, body=content, headers=headers)
        )

    async def _request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        response = await self._respond(method, path, token=token, body=body, headers=headers)
        return response.body

    async def _respond(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> _Response:
        assert self._is_open, "use it in `async with`"
        request = self._encoded(method, path, token, body, headers or {})
        try:
            async with asyncio.timeout(TIMEOUT_S), self._slots:
                response = await self._exchange(request, repeatable=method == "GET")
        except TimeoutError as error:
            raise ServerUnreachable(
                f"{self.url} did not answer in time. Is it the right host?"
            ) from (error)
        except (OSError, EOFError, ValueError, HTTPException, asyncio.LimitOverrunError) as error:
            raise _no_answer(self.url) from error
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refused(response)
        return response

    def _encoded(
        self,
        method: str,
        path: str,
        token: str | None,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> bytes:
        lines = [
            f"{method} {quote(self._prefix + path, safe=_PATH_CHARS)} HTTP/1.1",
            f"Host: {self._host_header.encode('idna').decode()}",
            "Accept: application/json",
        ]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if token is not None:
            if not token.isprintable():  # a line break would begin another header
                raise ValueError("a token has no control characters")
            lines.append(f"Authorization: Bearer {token}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + (body or b"")

    async def _exchange(self, request: bytes, *, repeatable: bool) -> _Response:
        """Send a request on an idle connection if there is one, otherwise on a new one."""
        stream = self._idle_stream()
        if stream is not None:
            try:
                return await self._exchange_on(stream, request)
            except (ConnectionError, EOFError):
                # The server was closing the idle connection. Whether it still acted on the
                # request cannot be known, so only what has no effect is sent again.
                if not repeatable:
                    raise
        return await self._exchange_on(await self._connect(), request)

    async def _exchange_on(self, stream: _Stream, request: bytes) -> _Response:
        keep_alive = False
        try:
            stream.writer.write(request)
            await stream.writer.drain()
            response = await _read_response(stream.reader)
            keep_alive = response.keep_alive and self._is_open
        finally:
            # Also after a cancellation: what is left of the response would answer the next request.
            if not keep_alive:
                stream.writer.close()
        if keep_alive:
            self._idle.append(stream._replace(idle_since=time.monotonic()))
        return response

    def _idle_stream(self) -> _Stream | None:
        """Take the connection that was used last; close those that are too old or closed."""
        oldest = time.monotonic() - IDLE_MAX_S
        while self._idle:
            stream = self._idle.pop()
            if stream.idle_since >= oldest and not stream.reader.at_eof():
                return stream
            stream.writer.close()
        return None

    async def _connect(self) -> _Stream:
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        except TimeoutError:
            raise
        except OSError as error:
            raise _no_connection(self.url, error) from error
        return _Stream(reader, writer)

    def _object(self, content: bytes) -> Json:
        data = _parsed(content)
        if not isinstance(data, dict):
            raise _not_playhall(self.url)
        return data

    def _refused(self, response: _Response) -> ClientError:
        data = _parsed(response.body)
        if isinstance(data, dict) and "code" in data:
            return RequestRefused.from_reply(data)
        status = response.status
        if status < HTTPStatus.BAD_REQUEST:
            target = response.headers.get("Location")
            return ServerUnreachable(
                f"{self.url} redirects to {target}; name that address instead."
            )
        if status in _FOREIGN:
            return _not_playhall(self.url)
        # Possibly a proxy before a Playhall server that is in trouble.
        return RequestRefused("http", f"HTTP status {status}.", retry=status >= 500)


async def _read_response(reader: asyncio.StreamReader) -> _Response:
    """Read one response; raise `HTTPException`, `ValueError` or `EOFError` for anything else."""
    minor_version, status, headers = await _read_head(reader)
    while status < HTTPStatus.OK:  # interim, such as 103
        minor_version, status, headers = await _read_head(reader)
    is_framed = True
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        body = b""
    elif headers.get("Transfer-Encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    elif (length := headers.get("Content-Length")) is not None:
        body = await reader.readexactly(_bounded(int(length)))
    else:
        body, is_framed = await _read_to_end(reader), False
    is_kept = minor_version == 1 and headers.get("Connection", "").lower() != "close"
    return _Response(status, headers, body, keep_alive=is_framed and is_kept)


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, int, HTTPMessage]:
    """Read the minor version, the status and the headers."""
    head = await reader.readuntil(b"\r\n\r\n")
    status_line, _, fields = head.partition(b"\r\n")
    found = _STATUS_LINE.fullmatch(status_line)
    if found is None:
        raise BadStatusLine(repr(status_line))
    return int(found[1]), int(found[2]), parse_headers(BytesIO(fields))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        _bounded(len(body) + size)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # a trailer
    return bytes(body)


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while part := await reader.read(64 * 1024):
        body += part
        _bounded(len(body))
    return bytes(body)


def _bounded(size: int) -> int:
    if size > BODY_BYTES_MAX:
        raise ValueError("the body is too large")
    return size


def normalise_url(url: str) -> str:
    """Give a server's address without a slash at its end; raise `ServerUnreachable` for others."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        parts.netloc.encode("idna")
    except ValueError:  # a port that is no number, a name that no host can have
        is_address = False
    if not is_address:
        raise ServerUnreachable(f"{url} is not a server address; write it as http://host:port.")
    return url.rstrip("/")


def _no_connection(url: str, error: OSError) -> ServerUnreachable:
    """Say why no connection could be opened, and what may help."""
    rest = url.partition("://")[2]
    match error:
        case ssl.SSLCertVerificationError():
            why = f"The certificate of {url} is not trusted ({error.verify_message})."
        case ssl.SSLError():
            why = f"Something answers at {url}, but does not use TLS; try http://{rest}."
        case socket.gaierror():
            why = f"There is no host {urlsplit(url).hostname}. Is {url} spelled correctly?"
        case _:
            why = f"Nothing answers at {url}. Is a server running there, on this port?"
    return ServerUnreachable(why)


def _no_answer(url: str) -> ServerUnreachable:
    """Say why a connection was opened, and no HTTP came from it."""
    scheme, _, rest = url.partition("://")
    if scheme == "http":
        return ServerUnreachable(
            f"{url} does not answer in HTTP; if the port uses TLS, try https://{rest}."
        )
    return ServerUnreachable(
        f"The connection to {url} was interrupted; if the port does not use TLS, try http://{rest}."
    )


def _not_playhall(url: str) -> ServerUnreachable:
    return ServerUnreachable(
        f"{url} answers, but it is not a Playhall server. Are the host and port correct?"
    )


def _parsed(content: bytes) -> object:
    try:
        data: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return data
