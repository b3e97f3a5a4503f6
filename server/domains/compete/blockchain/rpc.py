"""A client of a chain's node: JSON-RPC over HTTP, answers bounded and checked."""

import asyncio
from collections.abc import Coroutine, Iterable
from itertools import count
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import unquote, urlsplit

import aiohttp
import orjson
from pydantic import JsonValue

from persistence.blockchain.store import BlockHeader, Contract
from server.domains.compete.blockchain.decoding import (
    TRANSFER,
    TransferLog,
    encode_owner_of_call,
    parse_header,
    parse_owner,
    parse_quantity,
    parse_transfer,
)
from server.domains.compete.blockchain.errors import (
    AnswerTooLarge,
    ChainError,
    InvalidAnswer,
    NodeUnreachable,
    RpcRefused,
)

TIMEOUT_S: Final = 20.0
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
REASON_CHARS_MAX: Final = 200
AT_ONCE: Final = 8
SECRET_CHARS_MIN: Final = 6  # parts of the URL from here on are left out of what is said
REVERTED: Final = 3
TOO_MANY: Final = 429
JSON: Final = {"Content-Type": "application/json"}

T = TypeVar("T")


class RpcClient:
    """One node's JSON-RPC address, for as long as the context lasts."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._numbers = count(1)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        assert self._http is None, "a node is opened once"
        self._http = aiohttp.ClientSession(timeout=self._timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    async def chain_id(self) -> int:
        """Say which chain it follows."""
        return parse_quantity(await self._call("eth_chainId"), "the chain's id")

    async def newest_block_number(self) -> int:
        """Give the number of its newest block."""
        return parse_quantity(await self._call("eth_blockNumber"), "the newest block's number")

    async def read_block(self, number: int) -> BlockHeader | None:
        """Read a block's head, if there is such a block."""
        found = await self._call("eth_getBlockByNumber", hex(number), False)
        if found is None:
            return None
        read = parse_header(found)
        if read.block.number != number:
            raise InvalidAnswer(f"block {read.block.number} came instead of block {number}")
        return read

    async def read_transfers(
        self, contract: Contract, *, first: int, last: int
    ) -> list[TransferLog]:
        """Read a contract's transfers in a range of blocks, in the chain's order."""
        wanted: JsonValue = {
            "address": contract.address,
            "topics": [TRANSFER],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        logs = await self._call("eth_getLogs", wanted)
        if not isinstance(logs, list):
            raise InvalidAnswer("the logs are not a list")
        read = sorted({parse_transfer(log, contract) for log in logs}, key=_place)
        if any(not first <= log.block.number <= last for log in read):
            raise InvalidAnswer("a log is of a different block than requested")
        if len({_place(log) for log in read}) < len(read):
            raise InvalidAnswer("two logs are in one place")
        return read

    async def read_token_owner(self, contract: Contract, token_id: int, *, at: int) -> str | None:
        """Ask a contract who owned a token at a block; nobody if it refuses to say."""
        call: JsonValue = {"to": contract.address, "data": encode_owner_of_call(token_id)}
        try:
            return parse_owner(await self._call("eth_call", call, hex(at)))
        except RpcRefused as refused:
            if refused.is_revert:  # what ERC-721 wants of tokens that nobody has
                return None
            raise

    async def _call(self, method: str, *params: JsonValue) -> JsonValue:
        number = next(self._numbers)
        asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        try:
            async with self._turns:  # so that waiting for it does not count as the node's time
                status, body = await self._post_again_if_cut(orjson.dumps(asked))
        except TimeoutError:
            raise AnswerTooLarge(f"{method}: no answer within {self._timeout.total:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            # Only the kind: what these say holds the URL, and with it the key.
            raise NodeUnreachable(f"{method}: {type(error).__name__}") from None
        return self._result(method, number, status, body)

    async def _post_again_if_cut(self, body: bytes) -> tuple[int, bytes]:
        try:
            return await self._post(body)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # A connection that was kept open, and that the node has closed meanwhile; all we
            # ask may be asked twice.
            return await self._post(body)

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        assert self._http is not None, "a node is asked inside its context"
        async with self._http.post(
            self._url, data=body, headers=JSON, allow_redirects=False
        ) as answer:
            read = bytearray()
            async for part in answer.content.iter_any():
                read += part
                if len(read) > ANSWER_BYTES_MAX:
                    raise AnswerTooLarge(f"an answer is larger than {ANSWER_BYTES_MAX} bytes")
            return answer.status, bytes(read)

    def _result(self, method: str, number: int, status: int, body: bytes) -> JsonValue:
        if status == TOO_MANY:
            raise NodeUnreachable(f"{method}: rate limited (HTTP {status})")
        try:
            answer: JsonValue = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise NodeUnreachable(f"{method}: no JSON came (HTTP {status})") from None
        if not isinstance(answer, dict) or not {"result", "error"} & set(answer):
            raise NodeUnreachable(f"{method}: no JSON-RPC came (HTTP {status})")
        if error := answer.get("error"):
            raise self._refusal(method, error)
        if answer.get("id") != number:
            raise InvalidAnswer("a response does not match its request")
        return answer.get("result")

    def _refusal(self, method: str, error: JsonValue) -> RpcRefused:
        fields = error if isinstance(error, dict) else {"message": str(error)}
        code, message = fields.get("code"), str(fields.get("message"))
        is_revert = code == REVERTED or "revert" in message.lower()
        for secret in url_secrets(self._url):
            message = message.replace(secret, "…")
        return RpcRefused(f"{method}: {_line(message)} ({code})", is_revert=is_revert)


def url_secrets(url: str) -> list[str]:
    """List the parts of a URL that may be a key, the longest first."""
    parts = urlsplit(url)
    cut = f"{parts.path}/{parts.query}".replace("&", "/").replace("=", "/").split("/")
    found = {*cut, parts.username or "", parts.password or ""}
    plain = {unquote(part) for part in found}
    return sorted(
        (part for part in found | plain if len(part) >= SECRET_CHARS_MIN), key=len, reverse=True
    )


async def gather_all(work: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """Ask several things at once; the first error ends all."""
    try:
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(each) for each in work]
    except BaseExceptionGroup as several:
        errors, other = several.split(ChainError)
        if errors is None or other is not None:
            raise
        raise errors.exceptions[0] from None
    return [each.result() for each in asked]


def _place(log: TransferLog) -> tuple[int, int]:
    return log.block.number, log.log_index


def _line(text: str) -> str:
    printable = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(printable.split())[:REASON_CHARS_MAX]
