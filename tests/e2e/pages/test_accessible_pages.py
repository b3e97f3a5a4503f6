"""Pages on which people look at things: accessible in both schemes, at 360 px, with real data.

With PLAYHALL_SCREENSHOTS, a folder, the pages are drawn into it as they are visited.
"""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.e2e.pages.conftest import Site
from tests.e2e.test_pages_in_a_browser import check
from tests.faults.client_line import lines, sit_down, until
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.epochs.served import serving
from tests.integration.epochs.stage import DAY, MIDNIGHT

pytestmark = pytest.mark.long("a minute")


async def test_nothing_serious_where_people_look(site: Site, axe: str) -> None:
    ada, bob, cem = await site.guests("Ada Lovelace", "Charles Babbage", "Mary Somerville")
    replay, _ = await site.play([ada, bob], "el_dorado", bots=("bid_and_duck",), rounds=3)
    for _ in range(4):
        await site.play([ada, bob], "four_in_a_row")
    creations = []
    for title, tags in (
        ("A lighthouse in fog", ["fog", "sea"]),
        ("Notes on an engine", ["engines"]),
        ("Morning song", ["song"]),
    ):
        text = "What I saw from the pier, before anybody else was up."
        made = {"title": title, "type": "text", "description": text, "tags": tags}
        creation = (await site.ask(ada, "POST", "/v1/creations", **made))["creation_id"]
        await site.ask(ada, "POST", f"/v1/creations/{creation}/publish")
        await site.ask(bob, "PUT", f"/v1/creations/{creation}/like")
        creations.append(creation)
    said = f"/v1/creations/{creations[0]}/comments"
    await site.ask(bob, "POST", said, content="I know that pier. Which lens?")

    async def rated() -> bool:
        found = await site.ask(None, "GET", f"/v1/players/{ada.player_id}/ratings")
        return sum(rating["games"] for rating in found["ratings"]) >= 4

    await until(rated)
    dealt = "document.querySelectorAll('#hands .small-card').length > 3"
    for address, drawn, name in (
        (f"/replay/{replay}#12", dealt, "replay"),
        (f"/players/{ada.player_id}", "!!document.querySelector('svg.plot')", "player"),
        (
            "/leaderboards?ruleset=four_in_a_row",
            "document.querySelectorAll('#board tr').length > 2",
            "leaderboards",
        ),
        ("/creations", "document.querySelectorAll('#creations li').length > 2", "creations"),
        (f"/creations/{creations[0]}", "!!document.querySelector('.comments li')", "creation"),
        ("/me", "document.querySelectorAll('#notifications li').length > 2", "me"),
        ("/companions", "!!document.querySelector('#companions li')", "companions"),
        ("/docs", "document.body.dataset.drawn === 'yes'", "docs"),
    ):
        async with site.page(address, ada) as page:
            await page.until(drawn)
            if name == "replay":
                await page.click("#verify")
                await page.until("document.getElementById('verified').dataset.ok === 'true'")
            await check(page, name, axe)

    async with site.page("/companions?with=lumina", ada) as page:
        await page.until("location.search.includes('conversation=')")
        await page.run("document.getElementById('say').focus()")
        await page.write("I am working on a lighthouse in fog, and I live in Oslo.")
        await page.press("Enter")
        await page.until("!!document.querySelector('[data-role=assistant] button')")
        await check(page, "companion", axe)

    async with lines(site.node, [ada, bob]) as table:
        config = {"spectator_delay_s": 1, "turn_timeout_s": 3600}
        game = await sit_down(table, "four_in_a_row", is_public=True, config=config)
        for turn, column in enumerate((3, 3, 2, 4, 1)):
            move = {"cmd_no": turn // 2 + 1, "move": {"type": "drop", "column": column}}
            await table[turn % 2].ok("game.act", game_id=game, **move)
        async with site.page(f"/watch/{game}", cem) as page:
            await page.until("document.querySelectorAll('.four-cell[data-seat]').length === 7")
            await check(page, "watch", axe)


async def test_nothing_serious_on_days(
    site: Site, databases: Databases, tmp_path: Path, axe: str
) -> None:
    dsn = databases.create(template=TEMPLATE)
    async with serving(dsn, tmp_path) as served:
        await served.stage.open()
        ada, bob = await served.player(), await served.player()
        voter = await served.person(wallets=1)
        async with served.line(ada) as first, served.line(bob) as second:
            for slot, code in enumerate(("bd*2 [sn ~]", "hh*8", "c2 ~ g2", "Am F C G")):
                await first.ok("epoch.claim", slot_index=slot, code=code)
            await served.stage.at(MIDNIGHT + timedelta(hours=3))
            await second.ok("epoch.claim", slot_index=1, code="<hh hh:3>(3,8)")
        async with served.line(voter) as person:
            for bot, score in ((ada, 0.75), (bob, -0.25)):
                cast = {"target_type": "bot", "target_id": bot.bot_id, "score": score}
                await person.ok("epoch.vote", **cast)
        base = str(served.http._base_url).rstrip("/")
        async with site.chromium.person(f"{base}/epochs") as page:
            await page.until("!!document.querySelector('#days li')")
            await check(page, "epochs", axe)
            await page.go(f"{base}/epochs/{DAY.isoformat()}")
            await page.until("document.querySelectorAll('#scores tr').length === 3")
            await check(page, "epoch-live", axe)
            await served.stage.finish()
            await page.until("!!document.getElementById('recompute')")
            await page.click("#recompute")
            await page.until("document.getElementById('recomputed').dataset.ok === 'true'")
            await check(page, "epoch", axe)
    databases.drop(dsn)
