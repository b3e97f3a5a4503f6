"""The client of `docs/guides/websocket-client.md` plays a game, whatever happens to its server."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.node import Node

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "websocket-client.md"


@pytest.fixture
def printed() -> list[tuple[Any, ...]]:
    """What the client prints: index, type and payload of every event."""
    return []


@pytest.fixture
def guide(printed: list[tuple[Any, ...]]) -> dict[str, Any]:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    scope: dict[str, Any] = {"__name__": "guide", "print": lambda *said: printed.append(said)}
    exec(compile(source, str(PAGE), "exec"), scope)
    return scope


async def test_documented_client_plays_to_the_end(
    tmp_path: Path, serving_dsn: str, guide: dict[str, Any], printed: list[tuple[Any, ...]]
) -> None:
    with Node(tmp_path, serving_dsn) as node:
        player = await asyncio.to_thread(guide["Player"], node.url)
        await player.run()
    assert [index for index, *_ in printed] == list(range(len(printed)))
    assert printed[-1][1] == "game_completed"


async def test_documented_client_survives_the_loss_of_its_connections(
    tmp_path: Path, serving_dsn: str, guide: dict[str, Any], printed: list[tuple[Any, ...]]
) -> None:
    lost: list[int] = []

    class Unlucky(guide["Player"]):  # type: ignore[misc]  # a class that was just compiled
        def take(self, frame: dict[str, Any]) -> None:
            super().take(frame)
            if self.index in (2, 5) and self.index not in lost:
                lost.append(self.index)
                raise ConnectionResetError

    with Node(tmp_path, serving_dsn) as node:
        player = await asyncio.to_thread(Unlucky, node.url)
        await player.run()
    assert lost == [2, 5]
    assert [index for index, *_ in printed] == list(range(len(printed)))
    assert printed[-1][1] == "game_completed"
