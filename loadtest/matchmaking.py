"""`python -m loadtest.matchmaking`: matches over real sockets, found by a running server.

Everybody queues, waits for `match.found` and plays. Who wins is drawn by true skills, which the
simulation keeps to itself; the loser leaves the game, so a match takes as long as the server does.
Afterwards the ratings that the server gives are compared with the skills.

It checks that a match has two different players, that both are told of the same one, that nobody is
in two at once, and that each match was rated once.
"""

import asyncio
import time
from collections.abc import Callable
from random import Random
from statistics import fmean, median, quantiles
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from loadtest.simulation.player import hide_from_boards
from playhall import Json
from playhall.client import Client, connect
from playhall.errors import RequestRefused

RULESET: Final = "four_in_a_row"
SKILL_MEAN: Final = 1500.0
SKILL_SPREAD: Final = 300.0
CONNECTED_AT_ONCE: Final = 16
RATED_WITHIN_S: Final = 30.0

app = typer.Typer(pretty_exceptions_enable=False)
out = Console(highlight=False)


class _Run:
    """What all players share."""

    def __init__(self, matches: int, seed: int, on_match: Callable[[], None]) -> None:
        self.chance = Random(seed)  # noqa: S311 - play
        self.skills: dict[str, float] = {}
        self.waits: list[float] = []
        self.problems: list[str] = []
        self.played: dict[str, list[str]] = {}
        self.on_match = on_match
        self.left = matches
        self._playing: set[str] = set()

    def takes_part(self) -> bool:
        """Say whether another search may begin."""
        return len(self.played) < self.left

    def began(self, player_id: str, found: Json, wait_s: float) -> str:
        """Check a match that somebody is told of; gives who is to lose it."""
        self.waits.append(wait_s)
        match_id, seats = found["match_id"], found["seats"]
        if match_id not in self.played:
            self.played[match_id] = seats
            self.on_match()
        if self.played[match_id] != seats or len(set(seats)) != 2 or player_id not in seats:
            self.problems.append(f"match {match_id} has other seats for {player_id}: {seats}")
        if player_id in self._playing:
            self.problems.append(f"{player_id} is in two matches")
        self._playing.add(player_id)
        one, other = (self.skills[player] for player in seats)
        drawn = Random(match_id).random()  # noqa: S311 - both players draw the same
        return str(seats[1] if drawn < 1 / (1 + 10 ** ((other - one) / 400)) else seats[0])

    def ended(self, player_id: str) -> None:
        """Note that somebody's game is over."""
        self._playing.discard(player_id)


async def _play(client: Client, run: _Run) -> None:
    """Search and play, again and again; leave the queue when there are enough matches."""
    player_id = await client.player_id()
    updates = client.updates()
    while run.takes_part():
        began = time.monotonic()
        await client.call("match.queue", ruleset=RULESET, seats=2, bots=False)
        found = None
        while found is None:
            if not run.takes_part() and await _leaves(client):
                return
            update = await anext(updates)
            if update["type"] == "match.found":
                found = update
        loser = run.began(player_id, found, time.monotonic() - began)
        game = await client.game(found["game_id"])
        if loser == player_id:
            await game.leave()
        async for _ in game:  # to its end
            pass
        run.ended(player_id)


async def _leaves(client: Client) -> bool:
    """Leave the queue, unless a match is starting: it comes soon, and is played."""
    try:
        await client.call("match.leave")
    except RequestRefused as refused:
        if refused.code not in ("match_starting", "not_queued"):  # found, or started already
            raise
        return False
    return True


async def _simulate(url: str, players: int, matches: int, seed: int) -> bool:
    with Progress(console=out, transient=True) as bar:
        task = bar.add_task("matches", total=matches)
        run = _Run(matches, seed, lambda: bar.advance(task))
        clients = [connect(url, name=f"Player {n}") for n in range(players)]
        opened: list[Client] = []
        began = time.monotonic()
        try:
            for first in range(0, players, CONNECTED_AT_ONCE):
                some = clients[first : first + CONNECTED_AT_ONCE]
                opened += await asyncio.gather(*(client.__aenter__() for client in some))
            for client in opened:
                await hide_from_boards(client.http, client.connection.account)
                run.skills[await client.player_id()] = run.chance.gauss(SKILL_MEAN, SKILL_SPREAD)
            began = time.monotonic()
            async with asyncio.TaskGroup() as tasks:
                for client in opened:
                    tasks.create_task(_play(client, run))
            seconds = time.monotonic() - began
            ratings = await _ratings(opened[0], run)
        finally:
            for client in opened:
                await client.__aexit__(None, None, None)
    _report(run, ratings, seconds)
    return not run.problems


async def _ratings(client: Client, run: _Run) -> dict[str, float]:
    """Read everybody's rating once each match is rated."""
    expected: dict[str, int] = dict.fromkeys(run.skills, 0)
    for seats in run.played.values():
        for player in seats:
            expected[player] += 1
    ratings: dict[str, float] = {}
    deadline = time.monotonic() + RATED_WITHIN_S
    for player, games in expected.items():
        read: list[Json] = []
        while games and (not read or read[0]["games"] < games) and time.monotonic() < deadline:
            read = (await client.http.get(f"/v1/players/{player}/ratings"))["ratings"]
            if not read or read[0]["games"] < games:
                await asyncio.sleep(0.2)
        if games and (not read or read[0]["games"] != games):
            run.problems.append(f"{player} played {games} matches and is rated for {read}")
        elif games:
            ratings[player] = read[0]["rating"]
    return ratings


def _report(run: _Run, ratings: dict[str, float], seconds: float) -> None:
    cut = quantiles(run.waits, n=100)
    x = [run.skills[player] for player in ratings]
    y = list(ratings.values())
    table = Table("figure", "value")
    for name, value in (
        ("matches", f"{len(run.played)}"),
        ("matches a second", f"{len(run.played) / seconds:.1f}"),
        ("wait: median, p95, p99 (s)", f"{median(run.waits):.2f}, {cut[94]:.2f}, {cut[98]:.2f}"),
        ("correlation of rating and skill", f"{_correlation(x, y):.3f}"),
        ("problems", str(len(run.problems))),
    ):
        table.add_row(name, value)
    out.print(table)
    for problem in run.problems[:20]:
        out.print(problem)


def _correlation(x: list[float], y: list[float]) -> float:
    mean_x, mean_y = fmean(x), fmean(y)
    both = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    spread = sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y)
    return float(both / spread**0.5) if spread else 0.0


@app.command()
def matchmaking(
    url: Annotated[str, typer.Option(help="The server.")] = "http://127.0.0.1:8080",
    players: Annotated[int, typer.Option(min=2, max=2000, help="Players.")] = 60,
    matches: Annotated[int, typer.Option(min=1, help="Matches to be found.")] = 300,
    seed: Annotated[int, typer.Option(help="Of all chance.")] = 1,
) -> None:
    """Find and play matches over real sockets."""
    if not asyncio.run(_simulate(url, players, matches, seed)):
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
