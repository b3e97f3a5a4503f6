"""Playing a game with turns over the wire, by nothing but what a client is shown."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from tests.faults.client_line import Json, Line

# What a player does besides, before each of the own moves.
Aside = Callable[[Line], Awaitable[None]]


async def play(
    table: Sequence[Line], game_id: str, chance: Random, aside: Aside | None = None
) -> None:
    """Let everybody play at once, each any legal move, until the game is over."""
    async with asyncio.TaskGroup() as group:
        for line in table:
            group.create_task(_play(line, game_id, chance, aside))


async def _play(line: Line, game_id: str, chance: Random, aside: Aside | None) -> None:
    seat = (await line.ok("game.resume", game_id=game_id))["seat"]
    cmd_no = 0
    while not is_over(line):
        snapshot = await line.ok("game.snapshot", game_id=game_id)
        if snapshot["turn"] is None or seat not in snapshot["turn"]["seats"]:
            await line.reach(snapshot["head"] + (snapshot["status"] == "in_progress"))
            continue
        if aside is not None:
            await aside(line)
        cmd_no += 1
        move: Json = chance.choice(snapshot["view"]["legal_moves"])
        await line.ok("game.act", game_id=game_id, cmd_no=cmd_no, move=move)


def is_over(line: Line) -> bool:
    """Say whether a line's game has ended."""
    return bool(line.events) and line.events[-1]["event"] == "game_completed"
