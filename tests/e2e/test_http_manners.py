"""What every HTTP client may expect of every address."""

from pathlib import Path

import aiohttp

from tests.fixtures.node import Node


async def test_wrong_method_is_told_the_right_ones_and_head_is_get_without_body(
    tmp_path: Path, serving_dsn: str
) -> None:
    with Node(tmp_path / "node", serving_dsn) as node:
        async with aiohttp.ClientSession(node.url) as web:
            async with web.delete("/v1/rulesets") as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
                assert (await answer.json())["code"] == "method_not_allowed"
            async with web.get("/v1/rulesets") as whole, web.head("/v1/rulesets") as head:
                assert (head.status, await head.read()) == (200, b"")
                assert head.headers["Content-Length"] == whole.headers["Content-Length"]
