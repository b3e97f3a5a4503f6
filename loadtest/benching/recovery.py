"""What comes after an interruption: a stream resumed, games recovered, a server started."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from hashlib import blake2b
from random import Random
from statistics import median
from typing import Any, Final, NamedTuple, TypeVar

import uvloop

from loadtest.benching.figures import RunResult
from loadtest.benching.servers import BenchNode
from loadtest.measure import Checks, Counters
from loadtest.players.relay import KIND
from loadtest.simulation.group import MatchSetup, PlayerGroup
from loadtest.simulation.player import (
    PlayerHabits,
    SimulatedPlayer,
    connected_players,
    sign_in_guests,
)
from loadtest.simulation.trace import LOG, ORDER, GameTrace, SeenEvent, digest_event
from playhall.errors import ClientError
from playhall.game import GameStream
from playhall.http import HttpClient
from protocol.limits import EVENTS_PAGE_MAX

RECOVERY_TIMEOUT_S: Final = 120.0
LOOK_EVERY_S: Final = 0.02
SAMPLE_GAMES: Final = 20
ADOPTED: Final = "every game was adopted"
STARTED: Final = "a game could be played"

T = TypeVar("T")


def run_in_new_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run something to its end in a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        return loop.run(work)


class ObservedGame(NamedTuple):
    """A game under way as its player saw it; `digest` is of the events up to `head`."""

    game_id: str
    head: int
    digest: bytes
    token: str


# ---------------------------------------------------------------------- resume


async def measure_resume(url: str, *, events: int, times: int) -> RunResult:
    """Take up a game from its first event, again and again: the median, in milliseconds."""
    checks = Checks()
    async with (
        HttpClient(url) as http,
        _seated(http, rooms=1, players=4, checks=checks) as (rooms, traces),
    ):
        await _send_until(rooms, traces, events=events)
        guest = rooms[0].players[-1]
        guest.leave_seat()
        took_ms = [await _resume_once(guest, traces[0], checks) for _ in range(times)]
    return RunResult("resume", {"resume ms": median(took_ms), "events": traces[0].head + 1}, checks)


async def _resume_once(player: SimulatedPlayer, trace: GameTrace, checks: Checks) -> float:
    seen: list[int] = []
    failures: list[ClientError] = []
    stream = GameStream(
        trace.game_id,
        player.connection.track_moves(trace.game_id),
        on_event=lambda message: seen.append(message["event_index"]),
        on_failure=failures.append,
    )
    began = time.perf_counter()
    await player.connection.follow(stream)
    took_ms = (time.perf_counter() - began) * 1000
    whole = seen == list(range(trace.head + 1))
    checks.note_check(ORDER, None if whole else f"{len(seen)} events came, {failures or ''}")
    return took_ms


# ---------------------------------------------------------------------- recovery


async def measure_recovery(node: BenchNode, *, games: int, events: int) -> RunResult:
    """Kill a node in the middle of its games, and count the seconds until it has them again."""
    checks = Checks()
    async with (
        HttpClient(node.url) as http,
        _seated(http, rooms=games, players=1, checks=checks) as (rooms, traces),
    ):
        await _send_until(rooms, traces, events=events)
        under_way = [_under_way(group, trace) for group, trace in zip(rooms, traces, strict=True)]
        _leave_seats(rooms)  # or the end of their connections would count against them
        node.kill()
    ready_s = node.start()
    began = time.monotonic() - ready_s
    async with HttpClient(node.url) as http:
        found = await _adopted(http, games)
        took_s = time.monotonic() - began
        checks.note_check(
            ADOPTED, None if found == games else f"{found} of {games} games were adopted"
        )
        for game in Random(0).sample(under_way, min(SAMPLE_GAMES, len(under_way))):  # noqa: S311 - a sample
            checks.note_check(LOG, await _fault_of(http, game))
    return RunResult(
        f"recovery of {games:,} games", {"recovery s": took_s, "ready s": ready_s}, checks
    )


async def _adopted(http: HttpClient, games: int) -> int:
    deadline = time.monotonic() + RECOVERY_TIMEOUT_S
    while (found := int((await http.get("/v1/status"))["games"])) < games:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    return found


def _under_way(group: PlayerGroup, trace: GameTrace) -> ObservedGame:
    digest = blake2b(digest_size=16)
    for index, seen in enumerate(trace.events):
        digest_event(digest, index, seen, {})
    return ObservedGame(trace.game_id, trace.head, digest.digest(), group.players[0].account.token)


async def _fault_of(http: HttpClient, game: ObservedGame) -> str | None:
    """Compare a recovered game's log with what its player saw before."""
    digest, after = blake2b(digest_size=16), -1
    while after < game.head:
        page = await http.get(
            f"/v1/games/{game.game_id}/events?after={after}&limit={EVENTS_PAGE_MAX}",
            token=game.token,
        )
        if not page["events"]:
            return f"game {game.game_id}: event {after + 1} is missing"
        for event in page["events"]:
            after += 1
            if event["event_index"] != after:
                return f"game {game.game_id}: {event['event_index']} comes where {after} is due"
            if after <= game.head:
                seen = SeenEvent(event["event"], event["payload"], event["at"])
                digest_event(digest, after, seen, {})
    same = digest.digest() == game.digest
    return None if same else f"game {game.game_id}: the log is not what its player got"


# ---------------------------------------------------------------------- start


def measure_restart(node: BenchNode) -> RunResult:
    """Stop a node and start it again: seconds until it is ready, and until a game runs."""
    node.stop()
    ready_s = node.start()
    began, checks = time.monotonic(), Checks()
    run_in_new_loop(_first_game(node.url, checks))
    first_s = ready_s + time.monotonic() - began
    return RunResult("start", {"ready s": ready_s, "first game s": first_s}, checks)


async def _first_game(url: str, checks: Checks) -> None:
    async with (
        HttpClient(url) as http,
        _seated(http, rooms=1, players=1, checks=checks) as (_, traces),
    ):
        head = traces[0].head
        checks.note_check(STARTED, None if head >= 0 else "no event came")


# ---------------------------------------------------------------------- games under way


@asynccontextmanager
async def _seated(
    http: HttpClient, *, rooms: int, players: int, checks: Checks
) -> AsyncIterator[tuple[list[PlayerGroup], list[GameTrace]]]:
    """Have relay games under way for a block; they are not ended."""
    accounts = await sign_in_guests(http, rooms * players, on_count=_nothing)
    chance = Random(0)  # noqa: S311 - games, no secrets
    async with connected_players(http, accounts, counters=Counters(), chance=chance) as all_players:
        setup = MatchSetup(KIND, PlayerHabits(window=4))
        groups = [
            PlayerGroup(all_players[n * players :][:players], setup, checks) for n in range(rooms)
        ]
        async with asyncio.TaskGroup() as tasks:
            starting = [tasks.create_task(group.start_game()) for group in groups]
        yield groups, [task.result() for task in starting]
        _leave_seats(groups)


async def _send_until(rooms: list[PlayerGroup], traces: list[GameTrace], *, events: int) -> None:
    """Send messages until every game has so many events, and everybody has seen them."""
    for group in rooms:
        group.begin_playing()
    waiting = list(zip(rooms, traces, strict=True))
    while waiting:
        await asyncio.sleep(LOOK_EVERY_S)
        for group, _ in (full := [each for each in waiting if each[1].head >= events - 1]):
            group.pause_playing()
        waiting = [each for each in waiting if each not in full]
    await _until(lambda: not any(map(_is_busy, rooms)))
    for group, trace in zip(rooms, traces, strict=True):
        await _until(lambda: all(s.stream.next_index > trace.head for s in group.seats))  # noqa: B023 - used at once


def _leave_seats(rooms: list[PlayerGroup]) -> None:
    for group in rooms:
        for player in group.players:
            player.leave_seat()


def _is_busy(group: PlayerGroup) -> bool:
    return any(seat.stream.moves.under_way for seat in group.seats)


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(LOOK_EVERY_S)


def _nothing(_: int) -> None:
    """Let it go: nobody watches."""
