"""A page in memory, and how a browser that has it is answered."""

from collections.abc import Mapping
from typing import NamedTuple

from aiohttp import web


class CachedPage(NamedTuple):
    """One file in memory."""

    address: str
    body: bytes
    content_type: str
    etag: str


def serve_page(request: web.Request, page: CachedPage, headers: Mapping[str, str]) -> web.Response:
    """Answer with a page, or with 304 where the browser has it."""
    headers = {**headers, "ETag": f'"{page.etag}"'}
    known = {etag.value for etag in request.if_none_match or ()}
    if page.etag in known or "*" in known:
        return web.Response(status=304, headers=headers)
    return web.Response(body=page.body, headers={**headers, "Content-Type": page.content_type})
