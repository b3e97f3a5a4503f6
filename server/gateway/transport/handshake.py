"""The opening handshake (RFC 6455, section 4.2), as data: from a request's head to a verdict."""

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from multidict import CIMultiDict, CIMultiDictProxy

from server.core.addresses import is_same_host, normalize_origin
from server.gateway.http.cors import ANY_ORIGIN
from server.gateway.transport.proxies import Proxies

QUERY_FIELDS_MAX: Final = 32
NO_PROXIES: Final = Proxies()

_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)")


@dataclass(frozen=True, slots=True)
class UpgradeRequest:
    """A client's wish to open a websocket; `remote` is its address."""

    path: str
    query: Mapping[str, str]
    headers: CIMultiDictProxy[str]
    remote: str


@dataclass(frozen=True, slots=True)
class HttpRefusal:
    """An HTTP answer instead of a websocket: a status, and a sentence that says what helps."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Write it as HTTP/1.1; the connection is not used again."""
        body = self.body.encode() + b"\n"
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            "Content-Type: text/plain; charset=utf-8",
            "X-Content-Type-Options: nosniff",
            "Cache-Control: no-store",
            f"Content-Length: {len(body)}",
            "Connection: close",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass(frozen=True, slots=True)
class NegotiatedHandshake:
    """What both sides agreed on: the client's key, and the subprotocol, if one was offered."""

    key: str
    subprotocol: str | None


def parse_method_and_target(head: bytes) -> tuple[str, str]:
    """Give method and target of a request's head; empty where it is no HTTP."""
    line = head.partition(b"\r\n")[0].decode("latin-1")
    method, _, rest = line.partition(" ")
    return method, rest.partition(" ")[0]


def parse_request(
    head: bytes, remote: str, proxies: Proxies = NO_PROXIES
) -> UpgradeRequest | HttpRefusal:
    """Parse the head of a GET, without the empty line at its end; `remote` is who connected."""
    request_line, *lines = head.decode("latin-1").split("\r\n")
    if not request_line.endswith(" HTTP/1.1"):
        return HttpRefusal(400, "A websocket needs HTTP/1.1.")
    headers: CIMultiDict[str] = CIMultiDict()
    for line in lines:
        if (match := _HEADER.fullmatch(line)) is None:
            return HttpRefusal(400, "A header line is malformed.")
        headers.add(match[1], match[2].strip(" \t"))
    path, _, query = parse_method_and_target(head)[1].partition("?")
    return upgrade_request(path, query, CIMultiDictProxy(headers), remote, proxies)


def upgrade_request(
    path: str,
    query: str,
    headers: CIMultiDictProxy[str],
    remote: str,
    proxies: Proxies = NO_PROXIES,
) -> UpgradeRequest | HttpRefusal:
    """Make the request of a GET whose head is parsed; `remote` is who connected."""
    try:
        fields = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX))
    except ValueError:
        return HttpRefusal(400, f"A query can have at most {QUERY_FIELDS_MAX} fields.")
    client = proxies.client(remote, headers.getall("X-Forwarded-For", ()))
    return UpgradeRequest(path, fields, headers, client)


def negotiate(
    request: UpgradeRequest, *, subprotocol: str | None, origins: frozenset[str]
) -> NegotiatedHandshake | HttpRefusal:
    """Check a handshake; a client that offers other subprotocols only is refused."""
    headers = request.headers
    if "websocket" not in _tokens(headers, "Upgrade"):
        return _upgrade_required("This address is a websocket; send Upgrade: websocket.")
    if headers.get("Sec-WebSocket-Version") != "13":
        return _upgrade_required("Only version 13 of the websocket protocol is supported.")
    if (problem := _malformed(headers)) is not None:
        return HttpRefusal(400, problem)
    if not _is_welcome(headers.get("Origin"), headers["Host"], origins):
        return HttpRefusal(
            403,
            "This origin is not allowed to connect; the operator can add it to PLAYHALL_ORIGINS.",
        )
    offered = _tokens(headers, "Sec-WebSocket-Protocol", lower=False)
    if subprotocol is not None and offered and subprotocol not in offered:
        return HttpRefusal(400, f"Offer the subprotocol {subprotocol} or none.")
    return NegotiatedHandshake(headers["Sec-WebSocket-Key"], subprotocol if offered else None)


def _upgrade_required(sentence: str) -> HttpRefusal:
    asked = {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    return HttpRefusal(426, sentence, asked)


def _malformed(headers: CIMultiDictProxy[str]) -> str | None:
    for name in ("Host", "Sec-WebSocket-Key"):
        if len(headers.getall(name, ())) != 1:
            return f"Send exactly one {name} header."
    if len(headers.getall("Origin", ())) > 1:
        return "Send at most one Origin header."
    if "upgrade" not in _tokens(headers, "Connection"):
        return "The Connection header must contain Upgrade."
    if headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers:
        return "A websocket handshake must not have a body."
    if not _is_key(headers["Sec-WebSocket-Key"]):
        return "Sec-WebSocket-Key must be 16 bytes in base64."
    return None


def _tokens(headers: CIMultiDictProxy[str], name: str, *, lower: bool = True) -> list[str]:
    joined = ",".join(headers.getall(name, ()))
    tokens = [token.strip() for token in (joined.lower() if lower else joined).split(",")]
    return [token for token in tokens if token]


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key, validate=True)) == 16
    except (NotBase64, ValueError):
        return False


def _is_welcome(origin: str | None, host: str, origins: frozenset[str]) -> bool:
    """Say whether a browser's page may connect; clients that are no browsers send no Origin."""
    if origin is None or ANY_ORIGIN in origins:
        return True
    # The server's own pages may always connect, whichever others are named.
    return is_same_host(origin, host) or normalize_origin(origin) in origins
