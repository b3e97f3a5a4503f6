"""A page in memory, and how a browser that has it, or takes it compressed, is answered."""

import gzip
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple, Self

from aiohttp import web


class CachedPage(NamedTuple):
    """One file in memory, as it is and compressed; each has an ETag of its own."""

    address: str
    body: bytes
    content_type: str
    etag: str
    compressed: bytes

    @classmethod
    def of(cls, address: str, body: bytes, content_type: str) -> Self:
        """Keep a file. It holds nobody's secret, so its length may tell what is in it."""
        etag = sha256(body).hexdigest()[:16]
        return cls(address, body, content_type, etag, gzip.compress(body, mtime=0))


def serve_page(request: web.Request, page: CachedPage, headers: Mapping[str, str]) -> web.Response:
    """Answer with a page, or with 304 where the browser has it."""
    is_compressed = _takes_gzip(request.headers.get("Accept-Encoding", ""))
    etag = f"{page.etag}-gzip" if is_compressed else page.etag
    headers = {**headers, "ETag": f'"{etag}"', "Vary": "Accept-Encoding"}
    known = {each.value for each in request.if_none_match or ()}
    if etag in known or "*" in known:
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = page.content_type
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=page.compressed if is_compressed else page.body, headers=headers)


def _takes_gzip(accepted: str) -> bool:
    """Say whether `Accept-Encoding` names gzip, and does not refuse it (RFC 9110, 12.5.3)."""
    for each in accepted.lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() == "gzip":
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False
