"""Weigh the pages of a server, and time how soon a browser with an empty cache shows something.

    python -m tools.time_pages http://127.0.0.1:8080

Prints, for each page, the bytes of its files as they were sent, how many files those are, and the
median time from the navigation to the first thing drawn (`first-contentful-paint`).
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from tests.fixtures.browser import Browser, browser

PAGES: Final = (
    "/",
    "/lobbies",
    "/leaderboards",
    "/epochs",
    "/creations",
    "/companions",
    "/me",
    "/docs",
    "/docs/index",
    "/admin",
)
TIMES: Final = 7
# What is asked of the API is not the page's weight.
LOOK: Final = """
(() => {
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  if (!paint || document.readyState !== "complete") return null;
  const files = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind))
    .filter(({ name }) => !name.includes("/v1/"));
  const size = files.reduce((sum, each) => sum + each.encodedBodySize, 0);
  return JSON.stringify([paint.startTime, size, files.length]);
})()
"""


class PageCost(NamedTuple):
    """One page: when it is first drawn, and what is fetched for it."""

    drawn_ms: float
    size_bytes: int
    files: int


async def measure_page(chromium: Browser, url: str) -> PageCost:
    """Open a page as somebody who was never here, several times."""
    costs = []
    for _ in range(TIMES):
        async with chromium.person(url) as page:
            await page.until(f"{LOOK} !== null")
            costs.append(PageCost(*json.loads(await page.run(LOOK))))
    return costs[0]._replace(drawn_ms=median(cost.drawn_ms for cost in costs))


async def main(url: str) -> None:
    """Measure all pages, and print a table."""
    say = sys.stdout.write
    say("| page | files | bytes sent | first drawn (ms) |\n| --- | ---: | ---: | ---: |\n")
    with tempfile.TemporaryDirectory() as folder, browser(Path(folder)) as chromium:
        for path in PAGES:
            cost = await measure_page(chromium, url + path)
            say(f"| `{path}` | {cost.files} | {cost.size_bytes:,} | {cost.drawn_ms:.0f} |\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1].rstrip("/")))
