"""Finished games in the browser: every moment, shared links, and verification."""

from tests.e2e.pages.conftest import Site
from tests.fixtures.verification import CHECKS, FILE

INDEX = "Number(document.getElementById('table')?.dataset.index ?? -1)"

# What a server could do that changes a log: the page must not believe it.
FORGED = """
const honest = window.fetch;
window.fetch = async (address, init) => {
  const answer = await honest(address, init);
  if (!String(address).includes("/events?")) return answer;
  const page = await answer.json();
  page.events[9].payload.forged = true;
  return new Response(JSON.stringify(page), { status: 200 });
};
"""


async def test_vectors_hold_in_the_browser(site: Site) -> None:
    checks, vectors = CHECKS.read_text(), FILE.read_text()
    async with site.page("/leaderboards") as page:
        modules = "await import('/static/verify.js'), await import('/static/settle.js')"
        wrong = await page.run(
            f"(async () => ({checks.partition('*/')[0]})({modules}, {vectors}))()"
        )
    assert wrong == []


async def test_every_moment_of_a_game_is_shown_shared_and_verified(site: Site) -> None:
    [ada] = await site.guests("Ada")
    game, kept = await site.play([ada], "el_dorado", bots=("random", "bid_and_duck"), rounds=2)
    log = await site.ask(None, "GET", f"/v1/games/{game}/events?limit=1000")
    last = log["head"]
    kinds = [event["event"] for event in log["events"]]
    dealt = kinds.index("cards_dealt")

    async with site.page(f"/replay/{game}#{dealt}") as page:
        await page.until(f"{INDEX} === {dealt}")
        hands = sum(map(len, log["events"][dealt]["payload"]["hands"].values()))
        assert await page.run("document.querySelectorAll('#hands .small-card').length") == hands
        assert "Ada" in await page.run("document.getElementById('hands').innerText")

        for key, index in (
            ("ArrowRight", dealt + 1),
            ("ArrowLeft", dealt),
            ("End", last),
            ("PageUp", len(kinds) - 1 - kinds[::-1].index("round_started")),
            ("Home", 0),
            ("PageDown", kinds.index("round_started")),
        ):
            await page.press(key)
            await page.until(f"{INDEX} === {index}")
            assert await page.run("location.hash") == f"#{index}"

        await page.run("document.getElementById('speed').value = '8'")
        await page.run("document.getElementById('speed').dispatchEvent(new Event('change'))")
        await page.press("k")
        await page.until(f"{INDEX} > 6")
        await page.press("k")
        await page.until("document.getElementById('play').textContent === 'Play'")

        # A hand is seen from its seat; from a spectator's, none is.
        choose = "document.getElementById('eye').value = '{}';"
        changed = "document.getElementById('eye').dispatchEvent(new Event('change'))"
        await page.run(f"location.hash = '{dealt}'")
        await page.until(f"{INDEX} === {dealt}")
        await page.run(choose.format("none") + changed)
        assert await page.run("document.querySelectorAll('#hands .small-card').length") == 0
        await page.run(choose.format("0") + changed)
        own = log["events"][dealt]["payload"]["hands"][ada.player_id]
        assert await page.run("document.querySelectorAll('#table .el-hand > *').length") == len(own)

        await page.click("#verify")
        await page.until("document.getElementById('verified').dataset.ok === 'true'")
        states = "[...document.querySelectorAll('[data-check]')].map((each) => each.dataset.state)"
        assert await page.run(states) == ["good"] * 4
        shown = await page.run("document.getElementById('verified').innerText")
        assert f"{last + 1} events" in shown
        assert log["events"][-1]["payload"]["session_seed"] in shown

        await page.run("document.getElementById('kept').closest('details').open = true")
        for commitment, verdict in ((kept["commitment"], "this is the log"), ("0" * 32, "not the")):
            fill = f"Object.assign(document.getElementById('kept'), {{value: '{commitment}'}});"
            await page.run(f"{fill} document.getElementById('kept-head').value = {kept['head']}")
            await page.run("document.getElementById('kept').form.requestSubmit()")
            await page.until(
                f"document.getElementById('kept-said').textContent.includes('{verdict}')"
            )

        await page.run(FORGED)
        await page.click("#verify")
        await page.until("document.getElementById('verified').dataset.ok === 'false'")
        shown = await page.run("document.getElementById('verified').innerText")
        assert "Event 9 is not the one that was hashed" in shown


async def test_ruleset_without_a_drawing_has_its_replay(site: Site) -> None:
    [bob] = await site.guests("Bob")
    game, _ = await site.play([bob], "reversi", bots=("random",))
    async with site.page(f"/replay/{game}") as page:
        await page.until(f"{INDEX} === 0")
        await page.press("End")
        await page.until(f"{INDEX} > 3")
        assert await page.run("document.getElementById('table').innerText.length > 100")
        await page.click("#verify")
        await page.until("document.getElementById('verified').dataset.ok === 'true'")
        assert await page.run("document.querySelector('[data-check=deal]').dataset.state") == "none"


async def test_game_that_runs_or_is_not_there_says_so(site: Site) -> None:
    async with site.page("/replay/nonsense", allowed=["422", "404"]) as page:
        await page.until("document.querySelector('[role=alert]')?.textContent.length > 10")
