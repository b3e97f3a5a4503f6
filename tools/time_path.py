"""What a move costs from a client's frame to all players' frames, without database and sockets.

    python -m tools.time_path [--slices 30] [--other FOLDER] [--ruleset relay] [--ruleset el_dorado]

Compares this checkout with another state of the code (`--other`), or, without that, its compiled
build with its interpreted source. Each runs in a process of its own, on the same core, in turns, a
slice of moves at a time. Prints the median processor time of a move of both, and the median ratio
of neighbouring slices with an interval of 90 %, by resampling.

Masked frames go through the websocket reader, session, live game, recorder, log and send buffers to
transports that keep nothing. What asks the database is answered in the next turn of the loop. So
neither the kernel nor asyncpg is in the figures, and what a server gains is less.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import uvloop

HERE = Path(__file__).parents[1]
GAMES = {"relay": 50, "el_dorado": 100}
SEATS = 4
MOVES_PER_SLICE = 2_000
RELAYED = "x" * 220
OFF = {"PLAYHALL_COMPILED": "off"}
MASK = bytes(4)  # a mask that changes nothing; the reader unmasks all the same


# ---------------------------------------------------------------------- what is measured


class Transport:
    """Takes everything at once, and keeps nothing."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self._socket = socket.socket()  # whose options are set

    def write(self, data: bytes) -> None:
        """Take it."""

    def set_protocol(self, protocol: Any) -> None:
        """Note who reads."""
        self.protocol = protocol

    def set_write_buffer_limits(self, **_: int) -> None:
        """Nothing is ever unwritten."""

    def get_write_buffer_size(self) -> int:
        """Nothing is ever unwritten."""
        return 0

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Give a socket, which is not connected."""
        return self._socket if name == "socket" else default

    def is_closing(self) -> bool:
        """Never."""
        return False


class Connection:
    """Commits everything in the next turn of the loop."""

    def is_closed(self) -> bool:
        """Never."""
        return False

    def terminate(self) -> None:
        """Nothing is there to end."""

    async def fetch(self, _: str, ids: list[str], *__: object) -> list[tuple[int]]:
        """Say that all games of an append were written."""
        await asyncio.sleep(0)
        return [(nth,) for nth in range(1, len(ids) + 1)]

    async def fetchrow(self, *_: object) -> dict[str, object]:
        """Say that a game was completed."""
        await asyncio.sleep(0)
        return {"owner_epoch": 1, "head": 0, "is_written": True}

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *_: object) -> None: ...


class Database:
    """Gives such connections."""

    connections_max = 4

    async def open_unpooled_connection(self) -> Connection:
        """Give one."""
        return Connection()

    def acquire(self) -> Connection:
        """Give one."""
        return Connection()


def frame(message: dict[str, object]) -> bytes:
    """Make a client's frame."""
    payload = json.dumps(message).encode()
    size = len(payload)
    if size < 126:
        return bytes((0x81, 0x80 | size)) + MASK + payload
    return bytes((0x81, 0xFE)) + size.to_bytes(2, "big") + MASK + payload


class Table:
    """One game and its players' connections."""

    def __init__(self, node: "Node") -> None:
        self.node = node
        self.seats = [node.connect() for _ in range(SEATS)]
        self.begin()

    def begin(self) -> None:
        """Start a game, which everybody follows."""
        from persistence.games.model import NewGame, NewPlayer
        from server.domains.play.games.live_game import LiveGame, LiveGameCallbacks
        from server.domains.play.games.recorder import draw_seed, prepare_game
        from server.domains.play.games.streams import SessionFollower

        node = self.node
        players = tuple(NewPlayer(session.who.player_id) for _, session in self.seats)
        new = NewGame(node.ruleset.name, {}, players, "l", 0, True, None, SEATS)
        prepared = prepare_game(
            new, node.ruleset, node="n", moment=node.clock.moment(), seed=draw_seed()
        )
        game_id = prepared.row.id
        self.game = LiveGame(
            game_id,
            prepared.recorder,
            owner_epoch=1,
            lobby_id=None,
            log=node.log,
            clock=node.clock,
            may_serve=lambda: True,
            faults=node.faults,
            callbacks=LiveGameCallbacks(*(lambda *_: None,) * 4),
            topic=node.topics.hold(game_id, owned=True),
        )
        node.games[game_id] = self.game
        self.cmd_no = [0] * SEATS
        for seat, (_, session) in enumerate(self.seats):
            follower = SessionFollower(session, game_id)
            session.follow(("game", game_id), self.game.subscribers.admit(follower, seat))

    def next_move(self) -> tuple[Any, bytes]:
        """Give the transport that the next move comes by, and its frame; begin anew at the end."""
        game, node = self.game, self.node
        if game.fold.table.completed:
            del node.games[game.game_id]
            game.unload()
            self.begin()
            game = self.game
        if node.ruleset.name == "relay":
            seat, move = node.random.randrange(SEATS), {"text": RELAYED}
        else:
            seat = node.random.choice(sorted(game.fold.turn.seats))
            move = node.random.choice(game.snapshot(seat)["view"]["legal_moves"])
        self.cmd_no[seat] += 1
        message = {
            "id": self.cmd_no[seat],
            "type": "game.act",
            "game_id": game.game_id,
            "cmd_no": self.cmd_no[seat],
            "move": move,
        }
        return self.seats[seat][0], frame(message)


class Node:
    """What a server has between its sockets and its database."""

    def __init__(self, ruleset: str) -> None:
        from persistence.broker.memory import MemoryBroker
        from persistence.eventlog.writer import EventLogWriter
        from protocol.envelope import type_of
        from protocol.games import Act
        from server.core.clock import Clock
        from server.core.events import LocalEventBus
        from server.core.subscriptions import Subscriptions
        from server.domains.play.games.commands import GameCommands
        from server.domains.play.games.ruleset_failures import RulesetFailures
        from server.gateway.session.sessions import CommandRate, Sessions
        from server.gateway.transport.limits import TransportLimits
        from server.gateway.transport.send_buffer import BufferFlusher
        from server.rulesets import find_rulesets

        loop = asyncio.get_running_loop()
        self.random = random.Random(1)  # noqa: S311 - the same moves in every run
        self.clock = Clock()
        self.faults = RulesetFailures(self.clock.monotonic)
        self.ruleset = find_rulesets()[ruleset]
        self.games: dict[str, Any] = {}
        self.log = EventLogWriter(Database(), writers=1)  # type: ignore[arg-type]
        self.flusher = BufferFlusher(loop, TransportLimits())
        subscriptions = Subscriptions(MemoryBroker())
        self.topics = subscriptions.kind("game")
        events = LocalEventBus()
        rate = CommandRate(per_s=1e9, burst=1e9)
        self.sessions = Sessions(
            clock=self.clock, tasks=None, rate=rate, events=events, count_refusal=_fail
        )
        registry = SimpleNamespace(
            find_loaded=self.games.get,
            elsewhere=SimpleNamespace(find=lambda _: None),
            faults=self.faults,
            is_quarantined=None,
        )
        commands = GameCommands(
            registry=registry,
            store=None,
            rulesets={},
            access=None,
            subscriptions=subscriptions,
            clock=self.clock,
        )
        self.sessions.routes[type_of(Act)] = commands.routes()[Act]

    def connect(self) -> tuple[Any, Any]:
        """Open a connection of somebody new: its transport, and its session."""
        from protocol.ids import new_id
        from server.gateway.session.identity import Identity
        from server.gateway.transport.handshake import NegotiatedHandshake
        from server.gateway.transport.socket import Socket
        from server.gateway.transport.websocket import serve

        transport = Transport()
        session = self.sessions.create_session()
        out = Socket(transport, self.flusher, remote="127.0.0.1", on_gone=lambda _: None)
        serve(out, session, NegotiatedHandshake("dGhlIHNhbXBsZSBub25jZQ==", None), b"")
        self.sessions.greet(session, Identity(new_id(), new_id(), new_id(), "A", 1e12))
        return transport, session


def _fail(code: str) -> None:
    raise AssertionError(f"a move was refused: {code}")


def feed(transport: Transport, data: bytes) -> None:
    """Have the websocket reader read."""
    protocol = transport.protocol
    buffer = protocol.get_buffer(-1)
    buffer[: len(data)] = data
    protocol.buffer_updated(len(data))


async def _serve_slices(ruleset: str) -> None:
    """Run a slice whenever a line comes, and write what a move of it cost, in microseconds."""
    node = Node(ruleset)
    writing = asyncio.create_task(node.log.run())
    tables = [Table(node) for _ in range(GAMES[ruleset])]
    spent_s = 0.0
    for _ in sys.stdin:
        spent_s, moves = 0.0, 0
        while moves < MOVES_PER_SLICE:
            frames = [table.next_move() for table in tables]
            began_s = time.process_time()
            for transport, data in frames:
                feed(transport, data)
            while not all(table.game.is_settled for table in tables):  # noqa: ASYNC110 - a loop turn
                await asyncio.sleep(0)
            await asyncio.sleep(0)  # in which the last frames are written
            spent_s += time.process_time() - began_s
            moves += len(frames)
        print(spent_s / moves * 1e6, flush=True)  # noqa: T201
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing


# ---------------------------------------------------------------------- comparing


class Side:
    """One state of the code, in a process of its own."""

    def __init__(self, folder: Path, ruleset: str, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - this program
            [sys.executable, __file__, "--child", ruleset],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self) -> float:
        """Have it run a slice."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        """End it."""
        self.process.communicate()


def compare(ruleset: str, sides: list[Side], slices: int) -> None:
    """Measure in turns, and print."""
    for side in sides:
        side.measure()  # in which caches fill
    measured = [[], []]
    for number in range(slices):
        for which in (0, 1) if number % 2 else (1, 0):
            measured[which].append(sides[which].measure())
    ratios = [a / b for a, b in zip(*measured, strict=True)]
    draw = random.Random(1)  # noqa: S311
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(2_000))
    first, second = (statistics.median(each) for each in measured)
    print(  # noqa: T201
        f"{ruleset}: {second:.1f} -> {first:.1f} us a move, ratio {statistics.median(ratios):.3f} "
        f"(90 %: {medians[100]:.3f} to {medians[-100]:.3f})"
    )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=30)
    parser.add_argument("--other", type=Path, help="another checkout, to compare this one with")
    parser.add_argument("--ruleset", action="append", choices=sorted(GAMES))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        uvloop.run(_serve_slices(options.child))
        return
    other = options.other
    if other is None:
        start = partial(Side, HERE), partial(Side, HERE)
        environments: tuple[dict[str, str], dict[str, str]] = ({}, OFF)
    else:
        start = partial(Side, HERE), partial(Side, other.resolve())
        environments = OFF, OFF
    os.sched_setaffinity(0, {0})
    for ruleset in options.ruleset or sorted(GAMES):
        sides = [
            make(ruleset=ruleset, environment=environment)
            for make, environment in zip(start, environments, strict=True)
        ]
        try:
            compare(ruleset, sides, options.slices)
        finally:
            for side in sides:
                side.end()


if __name__ == "__main__":
    main()
