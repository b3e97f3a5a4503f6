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

from loadtest.benching.figures import Run
from loadtest.benching.node import Node
from loadtest.crowd.gathering import connected, sign_in
from loadtest.crowd.player import Habits, Player
from loadtest.crowd.record import LOG, ORDER, Record, digest_event, seen_of
from loadtest.crowd.room import Room, Table
from loadtest.line.errors import ClientError
from loadtest.line.following import Following
from loadtest.line.web import Web
from loadtest.measure.checks import Checks
from loadtest.measure.tally import Tally
from loadtest.players.relay import KIND
from protocol.limits import EVENTS_PAGE_MAX

RECOVERY_TIMEOUT_S: Final = 120.0
LOOK_EVERY_S: Final = 0.02
SAMPLE_GAMES: Final = 20
ADOPTED: Final = "every game was adopted"
STARTED: Final = "a game could be played"

T = TypeVar("T")


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run something to its end in a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        return loop.run(work)


class Kept(NamedTuple):
    """A game under way as its player saw it; `digest` is of the events up to `head`."""

    game_id: str
    head: int
    digest: bytes
    token: str


# ---------------------------------------------------------------------- resume


async def resume(url: str, *, events: int, times: int) -> Run:
    """Take up a game from its first event, again and again: the median, in milliseconds."""
    checks = Checks()
    async with Web(url) as web, _seated(web, rooms=1, players=4, checks=checks) as (rooms, records):
        await _send_until(rooms, records, events=events)
        guest = rooms[0].players[-1]
        guest.rise()
        took_ms = [await _resume_once(guest, records[0], checks) for _ in range(times)]
    return Run("resume", {"resume ms": median(took_ms), "events": records[0].head + 1}, checks)


async def _resume_once(player: Player, record: Record, checks: Checks) -> float:
    seen: list[int] = []
    failures: list[ClientError] = []
    following = Following(
        record.game_id,
        player.link.moves_of(record.game_id),
        on_event=lambda message: seen.append(message["event_index"]),
        on_failure=failures.append,
    )
    began = time.perf_counter()
    await player.link.follow(following)
    took_ms = (time.perf_counter() - began) * 1000
    whole = seen == list(range(record.head + 1))
    checks.note(ORDER, None if whole else f"{len(seen)} events came, {failures or ''}")
    return took_ms


# ---------------------------------------------------------------------- recovery


async def recover(node: Node, *, games: int, events: int) -> Run:
    """Kill a node in the middle of its games, and count the seconds until it has them again."""
    checks = Checks()
    async with (
        Web(node.url) as web,
        _seated(web, rooms=games, players=1, checks=checks) as (rooms, records),
    ):
        await _send_until(rooms, records, events=events)
        kept = [_kept(room, record) for room, record in zip(rooms, records, strict=True)]
        _rise(rooms)  # or the end of their connections would count against them
        node.kill()
    ready_s = node.start()
    began = time.monotonic() - ready_s
    async with Web(node.url) as web:
        found = await _adopted(web, games)
        took_s = time.monotonic() - began
        checks.note(ADOPTED, None if found == games else f"{found} of {games} games were adopted")
        for game in Random(0).sample(kept, min(SAMPLE_GAMES, len(kept))):  # noqa: S311 - a sample
            checks.note(LOG, await _fault_of(web, game))
    return Run(f"recovery of {games:,} games", {"recovery s": took_s, "ready s": ready_s}, checks)


async def _adopted(web: Web, games: int) -> int:
    deadline = time.monotonic() + RECOVERY_TIMEOUT_S
    while (found := int((await web.get("/v1/status"))["games"])) < games:
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    return found


def _kept(room: Room, record: Record) -> Kept:
    digest = blake2b(digest_size=16)
    for index, seen in enumerate(record.events):
        digest_event(digest, index, seen)
    return Kept(record.game_id, record.head, digest.digest(), room.players[0].account.token)


async def _fault_of(web: Web, game: Kept) -> str | None:
    """Compare a recovered game's log with what its player saw before."""
    digest, after = blake2b(digest_size=16), -1
    while after < game.head:
        page = await web.get(
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
                digest_event(
                    digest, after, seen_of(event["event"], event["payload"], event["at"], {})
                )
    same = digest.digest() == game.digest
    return None if same else f"game {game.game_id}: the log is not what its player got"


# ---------------------------------------------------------------------- start


def start_again(node: Node) -> Run:
    """Stop a node and start it again: seconds until it is ready, and until a game runs."""
    node.stop()
    ready_s = node.start()
    began, checks = time.monotonic(), Checks()
    in_a_loop(_first_game(node.url, checks))
    first_s = ready_s + time.monotonic() - began
    return Run("start", {"ready s": ready_s, "first game s": first_s}, checks)


async def _first_game(url: str, checks: Checks) -> None:
    async with Web(url) as web, _seated(web, rooms=1, players=1, checks=checks) as (_, records):
        head = records[0].head
        checks.note(STARTED, None if head >= 0 else "no event came")


# ---------------------------------------------------------------------- games under way


@asynccontextmanager
async def _seated(
    web: Web, *, rooms: int, players: int, checks: Checks
) -> AsyncIterator[tuple[list[Room], list[Record]]]:
    """Have relay games under way for a block; they are not ended."""
    accounts = await sign_in(web, rooms * players, came=_nothing)
    chance = Random(0)  # noqa: S311 - games, no secrets
    async with connected(web, accounts, tally=Tally(), chance=chance) as crowd:
        table = Table(KIND, Habits(window=4))
        parties = [Room(crowd[n * players :][:players], table, checks) for n in range(rooms)]
        async with asyncio.TaskGroup() as tasks:
            sitting_down = [tasks.create_task(room.sit_down()) for room in parties]
        yield parties, [task.result() for task in sitting_down]
        _rise(parties)


async def _send_until(rooms: list[Room], records: list[Record], *, events: int) -> None:
    """Send messages until every game has so many events, and everybody has seen them."""
    for room in rooms:
        room.begin()
    waiting = list(zip(rooms, records, strict=True))
    while waiting:
        await asyncio.sleep(LOOK_EVERY_S)
        for room, _ in (full := [each for each in waiting if each[1].head >= events - 1]):
            room.rest()
        waiting = [each for each in waiting if each not in full]
    await _until(lambda: not any(map(_is_busy, rooms)))
    for room, record in zip(rooms, records, strict=True):
        await _until(lambda: all(s.following.next_index > record.head for s in room.sittings))  # noqa: B023 - used at once


def _rise(rooms: list[Room]) -> None:
    for room in rooms:
        for player in room.players:
            player.rise()


def _is_busy(room: Room) -> bool:
    return any(sitting.following.moves.under_way for sitting in room.sittings)


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(LOOK_EVERY_S)


def _nothing(_: int) -> None:
    """Let it go: nobody watches."""
