"""People play on the server's own pages in a real browser: by mouse, by keyboard, together.

Each has a storage of their own, as different people have. One server serves the file.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.browser import CHROMIUM, Browser, Page
from tests.fixtures.node import Node

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

OVER = "document.querySelector('.result')?.hidden === false"
MINE = "document.querySelector('.table-root')?.dataset.mine === 'true'"
DISC = ".four-column:not([aria-disabled])"
BID = ".el-bids:not([hidden]) button"
CARD = ".el-hand button:not([aria-disabled])"
DRAWN = "document.querySelectorAll('.four-column').length === 7"
MOVES_MAX = 120  # more than any game here has


@asynccontextmanager
async def person(chromium: Browser, url: str) -> AsyncIterator[Page]:
    async with chromium.person(url) as page:
        await page.emulate(width=1000, height=900)
        yield page


async def head(page: Page) -> int:
    return int(await page.run("Number(document.querySelector('.table-root').dataset.head)"))


async def my_turn(page: Page) -> bool:
    """Wait for one's turn; False once the game is over."""
    await page.until(f"({OVER}) || ({MINE})")
    return not await page.run(OVER)


async def moved(page: Page, before: int) -> None:
    await page.until(f"Number(document.querySelector('.table-root').dataset.head) > {before}")


async def log_of(page: Page) -> tuple[str, list[dict[str, Any]]]:
    """The whole log of the page's game, and who the visitor is in it."""
    me, events = await page.run(
        "import('/static/site.js').then(async ({ client }) => [client.session.player_id,"
        "  (await client.request('GET /v1/games/{game_id}/events', { query: { limit: 1000 },"
        "    path: { game_id: location.pathname.split('/')[2] } })).events])"
    )
    return me, events


def moves_of(player_id: str, events: list[dict[str, Any]]) -> int:
    kinds = ("disc_dropped", "player_bid", "card_played")
    return sum(
        each["event"] in kinds and each["payload"]["player_id"] == player_id for each in events
    )


async def test_newcomer_plays_four_in_a_row_with_the_mouse(
    pages_node: Node, chromium: Browser
) -> None:
    async with person(chromium, pages_node.url) as page:
        await page.click("[data-play=four_in_a_row]")
        await page.until("location.pathname.startsWith('/play/')")
        drops = 0
        while await my_turn(page):
            before = await head(page)
            await page.click(DISC)
            await moved(page, before)
            drops += 1
        me, events = await log_of(page)
        assert moves_of(me, events) == drops >= 4
        assert events[-1]["event"] == "game_completed"
        heading = await page.run("document.querySelector('.result h2').textContent")
        assert (heading == "You won!") is (events[-1]["payload"]["winners"] == [me])


# After how many moves the newcomer's game is drawn: to bid, and to play a card.
DRAWN_AFTER = {0: "newcomer-2-bid", 2: "newcomer-3-card"}


async def draw(page: Page, name: str) -> None:
    """Keep what a newcomer sees, with PLAYHALL_SCREENSHOTS."""
    if folder := os.environ.get("PLAYHALL_SCREENSHOTS"):
        await page.emulate(width=800, height=640)
        await page.screenshot(Path(folder) / f"{name}.png")


async def test_el_dorado_goes_on_after_the_server_was_killed(
    pages_node: Node, chromium: Browser
) -> None:
    async with person(chromium, pages_node.url) as page:
        await page.until("!!document.querySelector('[data-bots=el_dorado]')")
        await draw(page, "newcomer-1-start")
        await page.click("[data-bots=el_dorado]")
        await page.until("location.pathname.startsWith('/play/')")
        moves = 0
        while await my_turn(page):
            if moves in DRAWN_AFTER:
                await draw(page, DRAWN_AFTER[moves])
            before = await head(page)
            is_bid = await page.run(f"!!document.querySelector('{BID}')")
            await page.click(BID if is_bid else CARD)
            if moves == 3:
                await asyncio.to_thread(pages_node.kill)
                await page.until("!document.querySelector('.connection').hidden")
                said = await page.run("document.querySelector('.connection').textContent")
                assert said.startswith("The connection is lost.")
                await draw(page, "newcomer-4-killed")
                await asyncio.to_thread(pages_node.start)
                await page.until("document.querySelector('.connection').hidden")
                await draw(page, "newcomer-5-restarted")
            await moved(page, before)
            moves += 1
            assert moves < MOVES_MAX
        me, events = await log_of(page)
        # Ten rounds: a bid and the cards of each. Every click is in the log once.
        assert moves_of(me, events) == moves == 10 + sum(range(1, 11))
        assert [each["event_index"] for each in events] == list(range(len(events)))
        assert await page.run("document.querySelectorAll('.result tbody tr').length") == 4
        await page.run("document.querySelector('.result').scrollIntoView()")
        await draw(page, "newcomer-6-over")


async def tab_to(page: Page, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(80):
        if await page.run(f"!!document.activeElement?.matches('{selector}')"):
            return
        await page.press("Tab")
    raise AssertionError(f"Tab never reaches {selector}")


async def test_everything_can_be_done_by_keyboard(pages_node: Node, chromium: Browser) -> None:
    async with person(chromium, pages_node.url) as page:
        await page.until("!!document.querySelector('[data-bots=four_in_a_row]')")
        await tab_to(page, "[data-bots=four_in_a_row]")
        await page.press("Enter")
        await page.until("location.pathname.startsWith('/play/')")
        await my_turn(page)
        await tab_to(page, ".four-column")
        columns = 0
        while await my_turn(page):
            before = await head(page)
            # The focus is still where it was, though the board has been drawn anew.
            await page.until("!!document.activeElement?.matches('.four-column')")
            if columns == 0:
                await page.press("ArrowRight")
                await page.press("Enter")
            else:
                await press_open_column(page)
            await moved(page, before)
            columns += 1
        assert columns >= 4

        # A lobby of one's own: two rounds of El Dorado.
        await page.go(f"{pages_node.url}/lobbies?create=el_dorado")
        await page.until("!!document.querySelector('#config-rounds')")
        await tab_to(page, "#config-rounds")
        await page.run("document.activeElement.select()")
        await page.write("2")
        await page.press("Enter")
        await page.until("!!document.querySelector('[data-add]')")
        await tab_to(page, "[data-add]")
        await page.press("Enter")
        await page.until("document.querySelectorAll('#members li:not(.empty)').length === 2")
        await tab_to(page, "[data-key=start]")
        await page.press("Enter")
        await page.until("location.pathname.startsWith('/play/')")
        await my_turn(page)
        await tab_to(page, ".el-bids button")
        moves = 0
        while await my_turn(page):
            before = await head(page)
            await tab_to(page, f"{BID}, {CARD}")
            await page.press("Enter")
            await moved(page, before)
            moves += 1
            assert moves < MOVES_MAX
        assert moves == 2 + 2 + 1


async def press_open_column(page: Page) -> None:
    column = await page.run(
        "[...document.querySelectorAll('.four-column')].findIndex(e => !e.ariaDisabled) + 1"
    )
    await page.press(str(column))


async def test_two_people_meet_in_a_lobby_and_play(pages_node: Node, chromium: Browser) -> None:
    async with (
        person(chromium, f"{pages_node.url}/lobbies?create=four_in_a_row") as ann,
        person(chromium, f"{pages_node.url}/lobbies") as bob,
    ):
        await ann.click("form .actions button")
        await ann.until("!!document.querySelector('#join-code')")
        # Bob sees it in the list as it appears, and joins; a third seat does not exist.
        await bob.click("#lobbies button[data-key^=join]")
        await bob.click("[data-key=ready]")
        await ann.click("#say")
        await ann.write("Hello Bob")
        await ann.press("Enter")
        await bob.until("document.querySelector('[role=log]').textContent.includes('Hello Bob')")
        await ann.until("!document.querySelector('[data-key=start]').disabled")
        await ann.click("[data-key=start]")
        for page in (ann, bob):
            await page.until("location.pathname.startsWith('/play/')")
        # They fill columns from the left, so that somebody connects four at the fourth drop.
        for turn in range(7):
            page, other = (ann, bob) if turn % 2 == 0 else (bob, ann)
            assert await my_turn(page)
            before = await head(page)
            if turn == 3:
                await page.reload()
                assert await my_turn(page)
                before = await head(page)  # that he was away and back is in the log as well
            await page.click(f"[data-key=column-{turn % 2}]")
            await moved(other, before)
        for page, said in ((ann, "You won!"), (bob, " won.")):
            await page.until(OVER)
            heading = await page.run("document.querySelector('.result h2').textContent")
            assert heading.endswith(said)
        # A rematch that both want is a new game, and both are taken there.
        address = await ann.run("location.pathname")
        await ann.click(".result .actions button.quiet")
        await bob.until("document.querySelector('.messages').textContent.includes('rematch')")
        await bob.click(".result .actions button.quiet")
        for page in (ann, bob):
            await page.until(f"location.pathname !== {address!r} && {DRAWN}")


async def test_people_sit_at_the_tables_of_a_lobby_and_come_back_to_it(
    pages_node: Node, chromium: Browser
) -> None:
    def table(number: int) -> str:
        return f"document.querySelector('[data-table=\"{number}\"]')"

    async with (
        person(chromium, f"{pages_node.url}/lobbies?create=four_in_a_row") as ann,
        person(chromium, f"{pages_node.url}/lobbies") as bob,
    ):
        await ann.until("!!document.querySelector('#tables')")
        await ann.run("document.querySelector('#tables').value = 2")
        await ann.click("form .actions button")
        await ann.until("document.querySelectorAll('[data-table]').length === 2")
        await bob.click("#lobbies button[data-key^=join]")
        await bob.click("[data-key=sit-1]")
        await ann.until(f"{table(1)}.querySelectorAll('li:not(.empty)').length === 1")
        await ann.click("[data-key=bot-random-0]")
        await ann.until("!document.querySelector('[data-key=start-0]').disabled")
        await ann.click("[data-key=start-0]")
        await ann.until("location.pathname.startsWith('/play/')")
        await bob.until(f"{table(0)}.dataset.playing === 'true'")
        assert await my_turn(ann)
        # Who leaves the game is back in the lobby, at the same table, and it is free again.
        await ann.run(
            "[...document.querySelectorAll('button')]"
            ".find((each) => each.textContent === 'Leave the game').click()"
        )
        await ann.click("dialog button[value=yes]")
        await ann.until("location.pathname === '/lobbies'")
        for page in (ann, bob):
            await page.until(f"{table(0)}?.dataset.playing === 'false'")
        await ann.until(f"{table(0)}.querySelectorAll('li:not(.empty)').length === 2")


async def test_click_is_not_lost_when_the_table_is_drawn_between_press_and_release(
    pages_node: Node, chromium: Browser
) -> None:
    async with person(chromium, pages_node.url) as page:
        await page.click("[data-bots=four_in_a_row]")
        await page.until("location.pathname.startsWith('/play/')")
        await my_turn(page)
        before = await head(page)
        await page.run(
            "import('/static/dom.js').then(({ build, replace }) => {"
            "  const board = document.querySelector('.four-board');"
            "  window.column = board.firstChild;"
            "  addEventListener('mousedown', () => replace(board, build('p', {}, 'Anew')));"
            "})"
        )
        await page.click(DISC)
        await moved(page, before)
        await page.until("!window.column.isConnected")


async def test_second_tab_takes_over_only_when_asked(pages_node: Node, chromium: Browser) -> None:
    async with person(chromium, pages_node.url) as page:
        await page.click("[data-bots=four_in_a_row]")
        await page.until("location.pathname.startsWith('/play/')")
        await my_turn(page)
        # As another tab of the same person: the same storage.
        await page.run(
            "import('/sdk/playhall.js').then(async ({ Client }) => {"
            "  window.other = new Client(location.origin, { storage: localStorage });"
            "  await window.other.connection.ready(); })"
        )
        await page.until("!document.querySelector('.connection').hidden")
        assert "another tab" in await page.run("document.querySelector('.connection').textContent")
        await page.click(".connection button")
        await page.until("document.querySelector('.connection').hidden")
        assert await my_turn(page)
        before = await head(page)
        await page.click(DISC)
        await moved(page, before)


async def test_games_without_a_view_have_a_table(pages_node: Node, chromium: Browser) -> None:
    async with person(chromium, pages_node.url) as page:
        await page.click("[data-bots=rock_paper_scissors]")
        await page.until("location.pathname.startsWith('/play/')")
        rounds = 0
        while await my_turn(page):
            before = await head(page)
            await page.click("[role=group] button")
            await moved(page, before)
            rounds += 1
            assert rounds < MOVES_MAX
        assert rounds >= 3


async def test_strangers_see_what_may_be_seen(pages_node: Node, chromium: Browser) -> None:
    async with person(
        chromium, f"{pages_node.url}/play/{'0' * 8}-0000-4000-8000-{'0' * 12}"
    ) as page:
        await page.until("document.body.textContent.includes('There is no such game')")
        await page.go(f"{pages_node.url}/lobbies?join=AAAAAA")
        await page.until("!!document.querySelector('[role=alert] .message')")
        await page.until("!!document.querySelector('#lobbies')")
