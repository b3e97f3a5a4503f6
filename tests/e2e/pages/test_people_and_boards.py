"""Players and leaderboards in the browser, with what they really played."""

from tests.e2e.pages.conftest import Site
from tests.faults.client_line import until

ROWS = "[...document.querySelectorAll('#board tbody tr')].map((row) => row.innerText)"


async def test_what_was_played_is_on_boards_and_on_the_pages_of_players(site: Site) -> None:
    ann, bob, cem = await site.guests("Ann Boleyn", "Bob Dylan", "Cem Karaca")
    games = [(await site.play([ann, bob], "four_in_a_row"))[0] for _ in range(2)]
    await site.play([ann, cem], "el_dorado", rounds=2)
    person = f"/v1/people/{ann.session['user_id']}"
    await site.ask(cem, "PUT", f"{person}/follow", notify_creations=True)

    async def rated() -> int:
        found = await site.ask(None, "GET", f"/v1/players/{ann.player_id}/ratings")
        return sum(rating["games"] for rating in found["ratings"])

    await until(rated, 3)
    boards = "/v1/rulesets/el_dorado/boards/score?scope=friends"

    async def listed() -> int:
        return len((await site.ask(cem, "GET", boards))["entries"])

    await until(listed, 2)

    async with site.page("/leaderboards?ruleset=el_dorado&board=score", cem) as page:
        await page.until(f"{ROWS}.some((row) => row.includes('Cem Karaca'))")
        assert await page.run("document.querySelectorAll('tr[data-me=true]').length") == 1
        await page.run("document.getElementById('scope').focus()")
        for text in ("Around me", "Whom I follow"):  # by keyboard
            await page.press("ArrowDown")
            chosen = "document.getElementById('scope').selectedOptions[0].text"
            await page.until(f"{chosen} === '{text}'")
        await page.until(f"{ROWS}.length === 2")
        assert "scope=friends" in await page.run("location.search")
        await page.run("document.getElementById('period').focus()")
        await page.press("ArrowDown")
        await page.until("!!document.getElementById('day')")
        await page.until(f"{ROWS}.length === 2")
        await page.click("#board tbody a")
        await page.until("location.pathname.startsWith('/players/')")

    async with site.page(f"/players/{ann.player_id}", bob, width=360) as page:
        await page.until("!!document.querySelector('[data-ruleset=four_in_a_row] svg.plot')")
        text = await page.run("document.body.innerText")
        for shown in ("Ann Boleyn", "El Dorado", "after 2 games", "provisional", "Bob Dylan"):
            assert shown in text
        assert await page.run("document.querySelectorAll('#matches > li').length") == 3
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        replays = "[...document.querySelectorAll('#matches a')].map((each) => each.pathname)"
        links = await page.run(replays)
        assert {f"/replay/{game}" for game in games} <= set(links)
        await page.click("[data-key=follow]")
        await page.until("document.querySelector('[data-key=follow]').ariaPressed === 'true'")
        assert "2 followers" not in text
    ties = await site.ask(bob, "GET", f"{person}/ties")
    assert ties["is_following"]

    async with site.page(f"/people/{ann.session['user_id']}") as page:
        await page.until("document.querySelector('h1')?.textContent === 'Ann Boleyn'")
        await page.until("document.body.innerText.includes('2 followers')")


async def test_player_who_is_not_there_is_said_to_be_missing(site: Site) -> None:
    async with site.page("/players/nobody-of-this-name", allowed=["404"]) as page:
        await page.until("document.body.innerText.includes('There is no such player')")
