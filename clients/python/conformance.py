"""Carry out clients/conformance.md with this client: python conformance.py http://127.0.0.1:8080"""

import asyncio
import json
import random
import re
import sys
from pathlib import Path
from typing import Any

from playhall import Client, Event, Game, connect

PAGE = Path(__file__).parents[1] / "conformance.md"


class Run:
    """One run of the steps."""

    client: Client
    game: Game

    def __init__(self, url: str) -> None:
        self.url = url
        self.events: list[Event] = []
        self.moves = 0
        self.cuts = 0

    async def carry_out(self, steps: list[dict[str, Any]]) -> dict[str, object]:
        """Carry out all steps; raises `AssertionError` for what does not hold."""
        sign_in, *rest = steps
        assert sign_in["step"] == "sign_in"
        async with connect(self.url, name=sign_in["name"]) as self.client:
            assert await self.client.player_id()
            for step in rest:
                await getattr(self, step.pop("step"))(**step)
        reconnects = self.client.connection.reconnects
        return {
            "client": "python",
            "events": len(self.events),
            "moves": self.moves,
            "cuts": self.cuts,
            "reconnects": reconnects,
        }

    async def quick_play(self, ruleset: str, **options: object) -> None:
        """Take a seat."""
        self.game = await self.client.quick_play(ruleset, **options)

    async def play(self, cut_offs: int, within_ms: int) -> None:
        """Play with random moves, and be cut off."""
        async for event in self.game:
            self.events.append(event)
            if len(self.events) < self.game.stream.next_index or self.game.stream.completed:
                continue  # there is more to read first
            snapshot = await self.game.snapshot()
            is_old = snapshot["head"] >= self.game.stream.next_index
            if is_old or not (legal := snapshot["view"]["legal_moves"]):
                continue
            async with asyncio.TaskGroup() as tasks:
                if self.cuts < cut_offs:
                    cut = tasks.create_task(self._cut_off(within_ms))
                    if random.random() < 0.3:
                        await cut
                await self.game.act(random.choice(legal))
                self.moves += 1

    async def finish(self) -> None:
        """Compare with the log."""
        log: list[dict[str, Any]] = []
        path = f"/v1/games/{self.game.game_id}/events"
        while len(log) < len(self.events):
            page = await self.client.http.get(f"{path}?after={len(log) - 1}&limit=1000")
            if not page["events"]:
                break
            log += page["events"]
        assert [event.event_index for event in self.events] == list(range(len(self.events)))
        assert self.events[-1].type == "game_completed"
        assert [event.type for event in self.events] == [each["event"] for each in log]
        causes = [(event.payload or {}).get("_cmd", (None, 0)) for event in self.events]
        mine = [number for seat, number in causes if seat == self.game.seat]
        assert mine == list(range(1, self.moves + 1)), mine
        assert self.client.connection.reconnects >= self.cuts

    async def _cut_off(self, within_ms: int) -> None:
        await self.client.connection.wait_until_ready()
        await asyncio.sleep(random.uniform(0, within_ms / 1000))
        self.client.connection.drop_websocket()
        self.cuts += 1


def main(url: str = "http://127.0.0.1:8080") -> None:
    """Run, and print what was counted."""
    found = re.search(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    print(json.dumps(asyncio.run(Run(url).carry_out(json.loads(found[1])))))


if __name__ == "__main__":
    main(*sys.argv[1:])
