"""The documentation as pages: all of it, with links that lead somewhere and no other markup."""

import re

import aiohttp
import pytest

from server.web.guides import list_guides, render_guide

GUIDES = list_guides()
RENDERED = {address: render_guide(address, file.read_text()) for address, file in GUIDES.items()}
IDS = {address: set(re.findall(r' id="([^"]+)"', page)) for address, (_, page) in RENDERED.items()}


def test_every_document_is_a_page() -> None:
    assert "/docs/index" in GUIDES
    assert {"/docs/guides/rulesets", "/docs/tutorial/your-first-game"} <= GUIDES.keys()
    titles = [title for title, _ in RENDERED.values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("address", GUIDES)
def test_links_lead_to_pages_and_headings_that_are_there(address: str) -> None:
    for link in re.findall(r'href="([^"]+)"', RENDERED[address][1]):
        if re.match("https?:|mailto:", link) or link in ("/openapi.json", "/asyncapi.json"):
            continue
        page, _, heading = link.partition("#")
        assert (page or address) in GUIDES, link
        assert not heading or heading in IDS[page or address], link


def test_links_within_the_documents_are_kept() -> None:
    assert 'href="/docs/guides/rulesets"' in RENDERED["/docs/index"][1]
    assert 'href="/docs/reference/protocol#' in RENDERED["/docs/guides/rulesets"][1]


def test_markup_stays_text_and_other_links_are_left_out() -> None:
    text = "# A <b>title</b>\n\n<script>x()</script> [a](javascript:x()) [b](../../tests/x.py)\n"
    title, page = render_guide("/docs/guides/x", text)
    assert title == "A <b>title</b>"
    assert "<script" not in page
    assert "<b>" not in page
    assert "href" not in page


async def test_page_is_served_under_the_policy_and_kept(client: aiohttp.ClientSession) -> None:
    async with client.get("/docs/guides/rulesets") as answer:
        page = await answer.text()
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        etag = answer.headers["ETag"]
    assert "<title>Writing a game" in page
    assert "style=" not in page
    async with client.get("/docs/guides/rulesets", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304
    async with client.get("/docs/guides/nothing") as answer:
        assert answer.status == 404
