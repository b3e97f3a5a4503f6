"""A day in the browser: live, at every earlier version, and settled again by the visitor."""

from datetime import timedelta
from pathlib import Path

from tests.e2e.pages.conftest import Site
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.epochs.served import serving
from tests.integration.epochs.stage import DAY, MIDNIGHT

CODES = "[...document.querySelectorAll('.slot code')].map((each) => each.textContent)"
VERSION = "Number(document.body.dataset.version)"
SCORES = "document.getElementById('scores').innerText"

# A server that pays somebody else than the rules say.
FORGED = """
const honest = window.fetch;
window.fetch = async (address, init) => {
  const answer = await honest(address, init);
  if (!String(address).endsWith("/payouts")) return answer;
  const page = await answer.json();
  page.payouts[0].amount_wei = String(BigInt(page.payouts[0].amount_wei) + 1n);
  return new Response(JSON.stringify(page), { status: 200 });
};
"""


async def test_day_is_followed_scrubbed_and_settled_again(
    site: Site, databases: Databases, tmp_path: Path
) -> None:
    dsn = databases.create(template=TEMPLATE)
    async with serving(dsn, tmp_path) as served:
        await served.stage.open()
        ada, bob = await served.player(), await served.player()
        voter = await served.person(wallets=1)
        base = str(served.http._base_url).rstrip("/")
        async with (
            served.line(ada) as first,
            served.line(bob) as second,
            served.line(voter) as person,
            site.chromium.page(f"{base}/epochs") as page,
        ):
            await page.watch_console()
            await page.until("document.querySelectorAll('#days > li').length === 1")
            await page.click("#days a")
            await page.until(f"location.pathname === '/epochs/{DAY.isoformat()}' && {VERSION} >= 1")

            await first.ok("epoch.claim", slot_index=0, code="kick it")
            await served.stage.at(MIDNIGHT + timedelta(hours=2))
            claimed = await second.ok("epoch.claim", slot_index=0, code="take it")
            await second.ok("epoch.claim", slot_index=1, code="<b>text</b>")
            cast = {"target_type": "bot", "target_id": ada.bot_id, "score": 0.75}
            voted = await person.ok("epoch.vote", **cast)

            # It comes by itself; what somebody wrote stays text.
            await page.until(f"{VERSION} === {voted['version']}")
            assert (await page.run(CODES))[:2] == ["take it", "<b>text</b>"]
            assert "0.750" in await page.run("document.getElementById('votes').innerText")
            board = await served.http.get(f"/v1/epochs/{DAY.isoformat()}/scoreboard")
            for standing in (await board.json())["bots"]:
                assert standing["bot"] in await page.run(SCORES)

            # Back to before the second claim, by keyboard.
            await page.run("document.getElementById('version').focus()")
            for _ in range(voted["version"] - claimed["version"] + 1):
                await page.press("ArrowLeft")
            await page.until(f"{VERSION} === {claimed['version'] - 1}")
            assert (await page.run(CODES))[:2] == ["kick it", "·"]
            assert bob.slug not in await page.run(SCORES)
            assert "As it was at" in await page.run("document.getElementById('state').innerText")

            # The end of the day is noticed, and what it came to is computed again.
            await served.stage.finish()
            await page.until("!!document.getElementById('recompute')")
            await page.click("#recompute")
            await page.until("document.getElementById('recomputed').dataset.ok === 'true'")
            paid = await (await served.http.get(f"/v1/epochs/{DAY.isoformat()}/payouts")).json()
            shown = await page.run("document.getElementById('recomputed').innerText")
            for payout in paid["payouts"]:
                assert payout["amount_wei"] in shown
            assert paid["settlements"][0]["events_digest"] in shown

            await page.run(FORGED)
            await page.click("#recompute")
            await page.until("document.getElementById('recomputed').dataset.ok === 'false'")
            assert "one value differs" in await page.run(
                "document.getElementById('recomputed').innerText"
            )
            assert page.problems == []
    databases.drop(dsn)
