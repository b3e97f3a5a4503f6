"""The pages as a browser fetches them."""

import gzip
import re

import aiohttp
import pytest

from server.rulesets import find_rulesets, find_views
from server.web.pages import load_pages

# One of the values of an address that has a parameter.
PAGES = {re.sub(r"\{\w+\}", "x", page.address): page for page in load_pages()}
WEIGHT_MAX = 150_000


@pytest.mark.parametrize("address", PAGES)
async def test_every_file_is_served_under_the_policy(
    client: aiohttp.ClientSession, address: str
) -> None:
    async with client.get(address) as reply:
        assert reply.status == 200
        assert await reply.read() == PAGES[address].body
        policy = reply.headers["Content-Security-Policy"]
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Type"] == PAGES[address].content_type
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1, GZIP;q=0.5", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.00, *", False),
    ],
)
async def test_page_is_compressed_for_those_who_take_it(
    client: aiohttp.ClientSession, accepted: str, is_compressed: bool
) -> None:
    page = PAGES["/sdk/playhall.js"]
    headers = {"Accept-Encoding": accepted}
    async with client.get(page.address, headers=headers) as answer:
        assert await answer.read() == page.body
        assert (answer.headers.get("Content-Encoding") == "gzip") is is_compressed
        assert answer.headers["Vary"] == "Accept-Encoding"
        size, etag = int(answer.headers["Content-Length"]), answer.headers["ETag"]
    assert size == len(page.compressed if is_compressed else page.body)
    async with client.get(page.address, headers={**headers, "If-None-Match": etag}) as again:
        assert again.status == 304


@pytest.mark.parametrize("address", PAGES)
async def test_unchanged_file_is_not_sent_again(
    client: aiohttp.ClientSession, address: str
) -> None:
    async with client.get(address) as first:
        etag = first.headers["ETag"]
    async with client.get(address, headers={"If-None-Match": etag}) as second:
        assert (second.status, await second.read()) == (304, b"")
    async with client.get(address, headers={"If-None-Match": '"old"'}) as third:
        assert third.status == 200


@pytest.mark.parametrize("address", PAGES)
async def test_no_file_refers_to_another_host_or_has_inline_code(
    client: aiohttp.ClientSession, address: str
) -> None:
    text = PAGES[address].body.decode()
    outside = set(re.findall(r"https?://[^\s\"')]+", text)) - {"http://www.w3.org/2000/svg"}
    assert outside == set()
    if PAGES[address].content_type.startswith("text/html"):
        assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", text) == []
        linked = re.findall(r'(?:src|href)="(/static/[^"]+)"', text)
        assert linked
        assert set(linked) <= PAGES.keys()


async def test_file_that_is_not_there_is_not_found(client: aiohttp.ClientSession) -> None:
    for address in ("/static/nothing.js", "/static/../pages.py", "/static/%2e%2e/pages.py"):
        async with client.get(address) as reply:
            assert (reply.status, (await reply.json())["code"]) == (404, "not_found")


def test_all_pages_with_the_client_are_light() -> None:
    everything = load_pages(find_views(find_rulesets()))
    assert {"/sdk/playhall.js", "/rulesets/el_dorado.js"} <= {page.address for page in everything}
    assert sum(len(gzip.compress(page.body, 9)) for page in everything) < WEIGHT_MAX
