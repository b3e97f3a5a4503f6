"""The documents in the browser: links by name, headings in order, and requests that are sent."""

from itertools import pairwise

from tests.e2e.pages.conftest import Site

LEVELS = "[...document.querySelectorAll('h1, h2, h3, h4')].map((each) => Number(each.tagName[1]))"
FOCUSED = "document.activeElement.textContent"
SENT = "document.querySelector('.try-result')?.dataset.status"

OPEN = """
(() => {{
  const cards = [...document.querySelectorAll('.card')];
  const card = cards.find((each) => each.dataset.endpoint === '{}');
  card.querySelector('.try').open = true;
  window.card = card;
}})()
"""


async def test_documents_are_linked_by_name_and_tried(site: Site) -> None:
    [ann] = await site.guests("Ann")
    async with site.page("/docs#game.act", ann) as page:
        await page.until(f"{FOCUSED} === 'game.act'")
        for name in ("GET /v1/me", "/v1/leaderboards/{board}", "lobby.update"):
            await page.run(f"location.hash = '{name}'")
            path = name.removeprefix("GET ")
            await page.until(f"{FOCUSED} === '{path}'")
        levels = await page.run(LEVELS)
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))

        await page.run(OPEN.format("GET /v1/me"))
        await page.until("!!window.card.querySelector('form')")
        assert "as Ann" in await page.run("window.card.querySelector('form').innerText")
        await page.run("window.card.querySelector('form').requestSubmit()")
        await page.until(f"{SENT} === '200'")
        assert ann.player_id in await page.run("window.card.querySelector('.try-result').innerText")

        await page.run(OPEN.format("PATCH /v1/me"))
        await page.until("!!window.card.querySelector('textarea')")
        body = '{"bio": "Tried it."}'
        await page.run(f"window.card.querySelector('textarea').value = '{body}'")
        await page.run("window.card.querySelector('form').requestSubmit()")
        await page.until("window.card.querySelector('.try-result').dataset.status === '200'")
    assert (await site.ask(ann, "GET", "/v1/me"))["bio"] == "Tried it."
