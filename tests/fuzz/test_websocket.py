"""Odd commands from the AsyncAPI document: each is answered once, by a documented code."""

import asyncio
import random
from collections import Counter
from typing import Final

import aiohttp
import pytest

from tests.faults.client_line import PATIENCE_S, Closed, Json, Line
from tests.fuzz.conftest import World
from tests.fuzz.grammar import Frame, Grammar

SEED: Final = 20_261_128
FRAMES: Final = 600
FRAMES_LONG: Final = 60_000
BATCH: Final = 20


class Fuzzer:
    """One caller of a kind: sends batches of frames, and holds each reply against them."""

    def __init__(self, world: World, kind: str, document: Json) -> None:
        self._world = world
        self._kind = kind
        self._chance = random.Random(f"{SEED} {kind}")
        self._grammar = Grammar(document, self._chance, world.known)
        self._errors = {error["code"] for error in document["x-errors"]}
        self._closes = {close["code"] for close in document["x-close-codes"]}
        self._next_id = 0
        self.sent: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.oks: Counter[str] = Counter()

    async def run(self, frames: int) -> None:
        """Send this many frames, over as many connections as that takes."""
        names = sorted(self._grammar.commands)
        while self.sent.total() < frames:
            async with Line(self._world.node.websocket_url) as line:
                token = await self._world.token(self._kind)
                if token is not None:
                    await line.call("session.hello", token=token)
                    self._next_id = 1
                try:
                    while self.sent.total() < frames:
                        await self._batch(line, [self._frame(names) for _ in range(BATCH)])
                except Closed as closed:
                    if closed.code not in {*self._closes, 1000}:
                        raise

    def _frame(self, names: list[str]) -> Frame:
        self._next_id += 1
        name = names[self.sent.total() % len(names)]
        self.sent[name] += 1
        return self._grammar.frame(name, self._next_id)

    async def _batch(self, line: Line, frames: list[Frame]) -> None:
        """Send frames and read until each is answered, or the connection is closed."""
        waiting = {frame.command_id: frame for frame in frames if frame.command_id is not None}
        try:
            async with asyncio.timeout(PATIENCE_S):
                for frame in frames:
                    await line.say_text(frame.text)
                while waiting:
                    self._take(await line.read(), waiting)
                    line.replies.clear()
        except TimeoutError:
            unanswered = "\n".join(frame.text for frame in waiting.values())
            pytest.fail(f"{self._kind}: not answered within {PATIENCE_S} s:\n{unanswered}")

    def _take(self, message: Json, waiting: dict[int, Frame]) -> None:
        if (command_id := message.get("re")) is not None:
            assert command_id in waiting, f"a second reply: {message}"
            self._check(waiting.pop(command_id), message)

    def _check(self, frame: Frame, reply: Json) -> None:
        assert reply.get("code") != "internal", (frame, reply)
        if reply["type"] == "error":
            assert reply["message"], (frame, reply)
            # A move that a ruleset refuses is answered with the ruleset's own code.
            is_known = reply["code"] in self._errors or frame.command == "game.act"
            assert is_known, (frame, reply)
        else:
            self.oks[frame.command] += 1
        self.answered[frame.command] += 1


@pytest.mark.parametrize("kind", ["anonymous", "player", "bot", "admin"])
async def test_every_command_is_answered_once(world: World, kind: str, *, is_long: bool) -> None:
    async with (
        aiohttp.ClientSession(world.node.url) as web,
        web.get("/asyncapi.json") as answer,
    ):
        document = await answer.json()
    fuzzer = Fuzzer(world, kind, document)
    await fuzzer.run(FRAMES_LONG if is_long else FRAMES)
    assert fuzzer.sent.keys() == fuzzer._grammar.commands.keys()
    if kind != "anonymous":
        assert fuzzer.answered.keys() == fuzzer.sent.keys()
        assert len(fuzzer.oks) > 3, "hardly anything reached its handler"
    assert [line for line in world.node.output if "Traceback" in line] == []


async def test_games_are_what_was_played_after_all_of_this(world: World) -> None:
    async with aiohttp.ClientSession(world.node.url) as web, web.get("/readyz") as answer:
        assert answer.status == 200
    await asyncio.to_thread(world.verify)
