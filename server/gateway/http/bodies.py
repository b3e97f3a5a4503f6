"""Bodies of requests: read and inflated within a bound, whatever their headers say.

Kilobytes can become gigabytes, so a compressed body is taken only where an endpoint says so. It is
inflated piece by piece in a thread, and given up as soon as it exceeds the bound of the endpoint.
"""

import asyncio
import sys
import zlib
from typing import Final

from aiohttp import web

from protocol.errors import BadFrame, TooLarge, UnsupportedEncoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY_BYTES_MAX: Final = 256 * 1024
# Of contents and of transfers: what leaves the bytes of a body as they are.
PLAIN_CODINGS: Final = frozenset(["identity", "chunked"])
COMPRESSIONS: Final = ("gzip", "zstd")
# Whoever compresses says how much memory it takes to undo: 8 MiB is what RFC 9659 allows at most.
_ZSTD_WINDOW_LOG_MAX: Final = 23
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


def has_coded_body(request: web.Request) -> bool:
    """Say whether there is a body, and something was done to its bytes."""
    has_body = not request.content.is_eof() or bool(request.content.total_bytes)
    return has_body and bool(_codings_of(request))


def require_coding(request: web.Request, *, is_compressible: bool) -> None:
    """Raise `UnsupportedEncoding` unless a body may come like this."""
    codings = _codings_of(request)
    # A transfer that is compressed is none of ours: proxies undo it.
    is_content = codings[0] in _listed(request, "Content-Encoding")
    if is_compressible and is_content and len(codings) == 1 and codings[0] in COMPRESSIONS:
        return
    remedy = f"with Content-Encoding {' or '.join(COMPRESSIONS)}, or " if is_compressible else ""
    raise UnsupportedEncoding(
        f"A body encoded with {codings[0][:40]} is not accepted; send it {remedy}without "
        "Content-Encoding (identity)."
    )


async def read_body(request: web.Request, bytes_max: int) -> bytes:
    """Read a body, also one that nobody asked for: unread, it would cost the connection.

    Raises `TooLarge`, also for what a body is inflated to, and `BadFrame` for one that is broken.
    """
    too_large = TooLarge(f"The body is larger than {bytes_max} bytes.")
    if (request.content_length or 0) > bytes_max:
        raise too_large
    pieces, size = [], 0
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > bytes_max:
            raise too_large
        pieces.append(piece)
    body = b"".join(pieces)
    if not body or not (codings := _codings_of(request)):
        return body
    return await asyncio.to_thread(inflate, body, codings[0], bytes_max)


def inflate(body: bytes, coding: str, bytes_max: int) -> bytes:
    """Undo a compression; raise `TooLarge`, `BadFrame`."""
    try:
        data, is_whole = _gunzip(body, bytes_max) if coding == "gzip" else _unzstd(body, bytes_max)
    except (zlib.error, zstd.ZstdError):
        raise BadFrame(f"The body is not {coding}, although Content-Encoding says so.") from None
    if len(data) > bytes_max:
        raise TooLarge(f"The body is larger than {bytes_max} bytes when it is inflated.")
    if not is_whole:
        raise BadFrame(f"The body is not one whole {coding} stream.")
    return data


def _gunzip(body: bytes, bytes_max: int) -> tuple[bytes, bool]:
    unpack = zlib.decompressobj(_GZIP_WINDOW)
    data = unpack.decompress(body, bytes_max + 1)
    return data, unpack.eof and not unpack.unused_data


def _unzstd(body: bytes, bytes_max: int) -> tuple[bytes, bool]:
    options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG_MAX}
    unpack = zstd.ZstdDecompressor(options=options)
    data = unpack.decompress(body, bytes_max + 1)
    return data, unpack.eof and not unpack.unused_data


def _codings_of(request: web.Request) -> list[str]:
    codings = [*_listed(request, "Content-Encoding"), *_listed(request, "Transfer-Encoding")]
    return [coding for coding in codings if coding not in PLAIN_CODINGS]


def _listed(request: web.Request, header: str) -> list[str]:
    """Give the names that a header lists, in lowercase."""
    joined = ",".join(request.headers.getall(header, ())).lower()
    return [name for name in (name.strip() for name in joined.split(",")) if name]
