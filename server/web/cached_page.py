"""A page in memory, and how a browser that has it, or takes it compressed, is answered."""

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from aiohttp import web


@dataclass(frozen=True)
class CachedPage:
    """One file in memory; as it is and compressed, it has an ETag of its own.

    It holds nobody's secret, so its length may tell what is in it.
    """

    address: str
    body: bytes
    content_type: str

    @cached_property
    def etag(self) -> str:
        """Name these bytes."""
        return sha256(self.body).hexdigest()[:16]

    @cached_property
    def compressed(self) -> bytes:
        """Compress it when that is first asked for, and not while the server starts."""
        return gzip.compress(self.body, mtime=0)


def serve_page(request: web.Request, page: CachedPage, headers: Mapping[str, str]) -> web.Response:
    """Answer with a page, or with 304 where the browser has it."""
    is_compressed = takes_gzip(request.headers.get("Accept-Encoding", ""))
    etag = f"{page.etag}-gzip" if is_compressed else page.etag
    headers = {**headers, "ETag": f'"{etag}"', "Vary": "Accept-Encoding"}
    known = {each.value for each in request.if_none_match or ()}
    if etag in known or "*" in known:
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = page.content_type
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=page.compressed if is_compressed else page.body, headers=headers)


def takes_gzip(accepted: str) -> bool:
    """Say whether `Accept-Encoding` names gzip, and does not refuse it (RFC 9110, 12.5.3)."""
    for each in accepted.lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() == "gzip":
            return re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight) is None
    return False
