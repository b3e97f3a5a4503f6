"""Bytes that can be resumed: entity tags, single ranges, answers without a body (RFC 9110)."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from aiohttp import hdrs, web

from protocol.files import BadRange
from server.gateway.http.endpoints import error_response

# What browsers are to make of bytes that somebody uploaded.
SAFE_BYTES_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Accept-Ranges": "bytes",
}

_RANGE: Final = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.IGNORECASE | re.ASCII)


class Representation(NamedTuple):
    """Bytes that an address stands for; `tag` names them and no others."""

    tag: str
    size: int
    headers: Mapping[str, str]


# Begins to read the bytes from the first number to before the second.
Open = Callable[[int, int], Awaitable[AsyncIterator[bytes]]]


async def send_bytes(
    request: web.Request,
    whole: Representation,
    read: Open,
    *,
    before_head: Callable[[], Awaitable[None]],
) -> web.StreamResponse:
    """Send the bytes, a part of them, or that they have not changed.

    `before_head` raises what `read` would where only the headers are asked for.
    """
    headers = {**whole.headers, "ETag": f'"{whole.tag}"'}
    known = {etag.value for etag in request.if_none_match or ()}
    if whole.tag in known or "*" in known:
        return web.Response(status=304, headers=headers)
    try:
        part = _part(request, whole)
    except BadRange as error:
        response = error_response(error)
        response.headers["Content-Range"] = f"bytes */{whole.size}"
        return response
    start, end = part or (0, whole.size)
    answer = web.StreamResponse(status=206 if part else 200, headers=headers)
    answer.content_length = end - start
    if part:
        answer.headers["Content-Range"] = f"bytes {start}-{end - 1}/{whole.size}"
    if request.method == hdrs.METH_HEAD:
        await before_head()
        return answer
    chunks = await read(start, end)
    await answer.prepare(request)
    async for chunk in chunks:
        await answer.write(chunk)
    await answer.write_eof()
    return answer


def _part(request: web.Request, whole: Representation) -> tuple[int, int] | None:
    if request.method != hdrs.METH_GET:  # ranges are of GET alone (section 14.2)
        return None
    condition = request.headers.get(hdrs.IF_RANGE)
    if condition is not None and condition != f'"{whole.tag}"':
        return None
    return parse_range(request.headers.get("Range"), whole.size)


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Read which bytes are asked for, as (start, end); None is all of them.

    What is no single range is none (section 14.2); raise `BadRange` beyond the end.
    """
    found = _RANGE.fullmatch(header) if header is not None else None
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        start, end = max(size - int(found[2]), 0), size
    else:
        start, end = int(found[1]), min(int(found[2] or size) + 1, size)
        if found[2] and int(found[2]) < start:
            return None
    if start >= end:
        raise BadRange
    return start, end
