"""Spectators in the browser: how late they are, what they see, and that reloading loses nothing."""

import random

from tests.e2e.pages.conftest import Site
from tests.faults.client_line import lines, sit_down

DELAY_S = 2
INDEX = "Number(document.getElementById('table')?.dataset.index ?? -1)"
DISCS = "document.querySelectorAll('.four-cell[data-seat]:not(.small-cell)').length"
AGE = "Number(document.getElementById('delay').dataset.age)"
MINE = "document.querySelector('.table-root')?.dataset.mine === 'true'"
OVER = "document.querySelector('.result')?.hidden === false"
COLUMN = ".four-column:not([aria-disabled])"


async def test_two_play_a_third_watches_later_and_all_reload_at_random_moments(site: Site) -> None:
    ann, bob, cem = await site.guests("Ann", "Bob", "Cem")
    config = {"turn_timeout_s": 3600, "spectator_delay_s": DELAY_S}
    async with lines(site.node, [ann, bob]) as table:
        game = await sit_down(table, "four_in_a_row", is_public=True, config=config)
    chance = random.Random(3)  # nosec - play
    async with (
        site.page(f"/play/{game}", ann) as first,
        site.page(f"/play/{game}", bob) as second,
        site.page(f"/watch/{game}", cem) as watching,
    ):
        await watching.until("document.getElementById('delay')?.dataset.delay === '2'")
        assert "Delayed by 2 seconds" in await watching.run("document.body.innerText")
        for turn in range(42):
            mover, other = (first, second) if turn % 2 == 0 else (second, first)
            await mover.until(f"{MINE} || {OVER}")
            if await mover.run(OVER):
                break
            columns = await mover.run(f"document.querySelectorAll('{COLUMN}').length")
            column = chance.randrange(columns)
            if turn < 12 and chance.random() < 0.4:
                await chance.choice([mover, other, watching]).reload()
                await mover.until(MINE)
            await mover.run(f"document.querySelectorAll('{COLUMN}')[{column}]?.click()")
            await mover.until(f"{DISCS} === {turn + 1}")
            if turn == 1:  # nothing that happens now comes before its time
                await watching.until(f"{DISCS} === 2")
                assert await watching.run(AGE) >= DELAY_S
        events = await site.ask(None, "GET", f"/v1/games/{game}/events?limit=1000")
        await watching.until(f"{INDEX} >= {events['head']}")
        dropped = sum(event["event"] == "disc_dropped" for event in events["events"])
        assert await watching.run(DISCS) == dropped
        assert await watching.run("document.getElementById('turn').textContent") == (
            "The game is over."
        )
        await watching.click(f"a[href='/replay/{game}']")
        await watching.until("location.pathname.startsWith('/replay/')")


async def test_game_without_a_delay_is_seen_live(site: Site) -> None:
    ann, bob, cem = await site.guests("Ann", "Bob", "Cem")
    async with lines(site.node, [ann, bob]) as table:
        game = await sit_down(table, "four_in_a_row", is_public=True)
        async with site.page(f"/watch/{game}", cem, width=360) as page:
            await page.until("document.getElementById('delay')?.dataset.delay === '0'")
            move = {"type": "drop", "column": 3}
            await table[0].ok("game.act", game_id=game, cmd_no=1, move=move)
            await page.until(f"{DISCS} === 1")
            assert "Live" in await page.run("document.getElementById('delay').innerText")
            await page.until("document.getElementById('turn').innerText.includes('Bob is to move')")
            assert await page.run("document.documentElement.scrollWidth <= innerWidth")


async def test_real_time_game_is_drawn_as_late_as_its_lobby_wants(site: Site) -> None:
    ann, bob, cem = await site.guests("Ann", "Bob", "Cem")
    config = {"duration_s": 600, "spectator_delay_s": DELAY_S}
    async with lines(site.node, [ann, bob]) as table:
        game = await sit_down(table, "arena", is_public=True, config=config)
        async with site.page(f"/watch/{game}", cem) as page:
            await page.until("document.getElementById('delay')?.dataset.delay === '2'")
            await page.until("Number(document.getElementById('table').dataset.tick) > 20")
            assert "field" in await page.run(
                "document.getElementById('table').innerText.toLowerCase()"
            )


async def test_private_game_is_watched_with_its_code(site: Site) -> None:
    ann, bob, cem = await site.guests("Ann", "Bob", "Cem")
    async with lines(site.node, [ann, bob]) as table:
        host = table[0]
        made = {"ruleset": "four_in_a_row", "seats": 2, "is_public": False}
        lobby = (await host.ok("lobby.create", **made))["lobby"]
        code = lobby["join_code"]
        await table[1].ok("lobby.join", code=code)
        await table[1].ok("lobby.ready", lobby_id=lobby["lobby_id"])
        started = await host.ok("lobby.start", lobby_id=lobby["lobby_id"])
        game = started["lobby"]["game_id"]
        async with site.page(f"/watch/{game}", cem, allowed=["404"]) as page:
            await page.until("!!document.getElementById('code')")
            await page.run("document.getElementById('code').focus()")
            await page.write(code)
            await page.press("Enter")
            await page.until(f"{INDEX} === 0")
