"""Games played to their end by recorded players, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from time import monotonic

from tests.faults.recording import PATIENCE_S, Player, Where, table

Seats = Sequence[Player]

# How long a player thinks, at most: a table should flow, and leave the machine some air.
THINK_S = 0.02
LOOK_S = 0.005


async def relay_until(
    player: Player, enough: asyncio.Event, chance: Random, think_s: float = THINK_S
) -> None:
    """Relay one thing after another until it is enough; at least one."""
    while True:
        await player.act({"n": len(player.witness.sent), "from": player.witness.seat})
        if enough.is_set():
            return
        await asyncio.sleep(chance.uniform(0, think_s))


async def end_relay(players: Seats) -> None:
    """Let the host end the game, and everybody see it."""
    scores = {player.player_id: place for place, player in enumerate(players)}
    await players[0].act({"type": "end", "scores": scores})
    await see_the_end(players)


async def play_until_one_move_ends_it(players: Seats) -> None:
    """Play four in a row up to where the next disc of the first player wins."""
    for _ in range(3):
        for column, player in enumerate(players):
            await player.act({"type": "drop", "column": column})


async def win(players: Seats) -> None:
    """Drop the disc that ends the game, and let everybody see it."""
    await players[0].act({"type": "drop", "column": 0})
    await see_the_end(players)


async def play_relay(
    players: Seats, enough: asyncio.Event, chance: Random, think_s: float = THINK_S
) -> None:
    """Relay until it is enough, then end the game."""
    async with asyncio.TaskGroup() as group:
        for player in players:
            group.create_task(relay_until(player, enough, chance, think_s))
    await end_relay(players)


async def play_by_sight(players: Seats, chance: Random, think_s: float = THINK_S) -> None:
    """Play any game with turns to its end, each player by what they are shown."""
    async with asyncio.TaskGroup() as group:
        for player in players:
            group.create_task(_play_seat(player, chance, think_s))


async def see_the_end(players: Seats) -> None:
    """Let everybody read on until the game is over."""
    async with asyncio.TaskGroup() as group:
        for player in players:
            group.create_task(player.see_the_end())


async def _play_seat(player: Player, chance: Random, think_s: float) -> None:
    while not player.witness.is_over:
        snapshot = await player.call("game.snapshot", game_id=player.witness.game_id)
        if snapshot["status"] == "completed":
            await player.see_the_end()
        elif moves := snapshot["view"]["legal_moves"]:
            await asyncio.sleep(chance.uniform(0, think_s))
            await player.act(chance.choice(moves))
        else:
            await player.see(snapshot["head"] + 1)


class Hall:
    """Many tables on one server (or several), played at once."""

    def __init__(
        self,
        relays: Sequence[Seats],
        turns: Sequence[Seats],
        chance: Random,
        think_s: float = THINK_S,
    ) -> None:
        self.relays = relays
        self.turns = turns
        self.enough = asyncio.Event()
        self._chance = chance
        self._think_s = think_s

    @property
    def tables(self) -> list[Seats]:
        """Every table."""
        return [*self.relays, *self.turns]

    @property
    def players(self) -> list[Player]:
        """Everybody."""
        return [player for seats in self.tables for player in seats]

    async def play(self) -> None:
        """Play every game to its end; those of relays end when it is `enough`."""
        async with asyncio.TaskGroup() as group:
            for seats in self.relays:
                group.create_task(play_relay(seats, self.enough, self._chance, self._think_s))
            for seats in self.turns:
                group.create_task(play_by_sight(seats, self._chance, self._think_s))

    async def move_on(self) -> list[float]:
        """Wait until every game has moved or is over; gives when, in monotonic seconds."""
        async with asyncio.TaskGroup() as group:
            moved = [group.create_task(_moved(seats)) for seats in self.tables]
        return sorted(task.result() for task in moved)


async def _moved(seats: Seats) -> float:
    before = max(len(player.witness.events) for player in seats)
    async with asyncio.timeout(PATIENCE_S):
        while not any(p.witness.is_over or len(p.witness.events) > before for p in seats):
            await asyncio.sleep(LOOK_S)
    return monotonic()


@asynccontextmanager
async def hall(
    where: Where,
    chance: Random,
    *,
    relays: int = 0,
    fours: int = 0,
    turns: int = 0,
    think_s: float = THINK_S,
) -> AsyncIterator[Hall]:
    """Open tables: relays of two, four in a row, and as many of that and of El Dorado in turns."""
    async with AsyncExitStack() as stack:
        relay = [
            await stack.enter_async_context(table(where, "relay", humans=2)) for _ in range(relays)
        ]
        others = [
            await stack.enter_async_context(table(where, "four_in_a_row", humans=2))
            for _ in range(fours)
        ]
        for n in range(turns):
            if n % 2:
                seats = table(where, "el_dorado", humans=2, bots=("bid_and_duck",))
            else:
                seats = table(where, "four_in_a_row", humans=2)
            others.append(await stack.enter_async_context(seats))
        yield Hall(relay, others, chance, think_s)
