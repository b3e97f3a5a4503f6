"""A server's HTTP side."""

from types import TracebackType
from typing import Final

import aiohttp
import orjson

from loadtest.line.errors import ClientError, Refused
from loadtest.line.unreachable import checked_url, stranger, unreachable
from protocol.game import Json

TIMEOUT_S: Final = 30.0
CONNECTIONS_MAX: Final = 32


class Web:
    """Requests to one server; answers are JSON, errors are raised as `Refused`."""

    def __init__(self, url: str) -> None:
        self.url = checked_url(url)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Web":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @property
    def socket_url(self) -> str:
        """The address of the websocket."""
        scheme, _, rest = self.url.partition("://")
        return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/ws"

    async def get(self, path: str, *, token: str | None = None) -> Json:
        """Read something."""
        return self._object(await self._ask("GET", path, token=token))

    async def post(self, path: str, body: Json) -> Json:
        """Ask for something to be done."""
        return self._object(await self._ask("POST", path, body=orjson.dumps(body)))

    async def text(self, path: str) -> str:
        """Read something that is no JSON."""
        return (await self._ask("GET", path)).decode()

    async def _ask(
        self, method: str, path: str, *, token: str | None = None, body: bytes | None = None
    ) -> bytes:
        assert self._session is not None, "use it in `async with`"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            async with self._session.request(
                method, self.url + path, data=body, headers=headers, allow_redirects=False
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(self.url, error) from error
        if answer.status >= 300:
            raise self._refused(answer.status, content, answer.headers.get("Location"))
        return content

    def _object(self, content: bytes) -> Json:
        data = _parsed(content)
        if not isinstance(data, dict):
            raise stranger(self.url, 200, None) or AssertionError
        return data

    def _refused(self, status: int, content: bytes, location: str | None) -> ClientError:
        data = _parsed(content)
        if isinstance(data, dict) and "code" in data:
            return Refused.of(data)
        foreign = stranger(self.url, status, location)
        return foreign or Refused("http", f"HTTP status {status}.", retry=status >= 500)


def _parsed(content: bytes) -> object:
    try:
        data: object = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return data
