"""Load tests as runs: put on a node by one process, with what everybody used meanwhile."""

from collections.abc import Callable, Sequence

from loadtest.benching.figures import Run
from loadtest.benching.machine import Cores, watching
from loadtest.benching.node import Node, Server
from loadtest.crowd.player import Habits
from loadtest.epochs.spread import gather
from loadtest.measure.meter import Measured
from loadtest.players import KINDS
from loadtest.processes import merge, run_shares
from loadtest.report.report import report_of
from loadtest.scenarios.epoch import Epoch
from loadtest.scenarios.idle import Idle
from loadtest.scenarios.matches import Matches
from loadtest.scenarios.meeting import Meeting
from loadtest.scenarios.relay import Relay
from loadtest.scenarios.share import Place, Share
from loadtest.scenarios.signaling import Signaling

ROOMS = 100
PLAYERS = 4
WINDOW = 4
PAYLOAD_BYTES = 250

# More than can act at once; a day that goes 20 times as fast lets a bot claim every 1.5 s.
BOTS = 40
VOTERS = 60
CLAIMS_PER_S = 4
VOTES_PER_S = 10
EPOCH_SPEED = 20
EPOCH_PROCESSES = 3  # one with those who act

AddUp = Callable[[Sequence[Measured]], Measured]


def play(
    node: Node,
    on: Cores,
    *,
    seconds: float,
    think_s: float = 0,
    rounds: int = 10,
    rooms: int = ROOMS,
    games: int | None = None,
    sample: int = 20,
) -> Run:
    """Play El Dorado in a hundred rooms, or so many games in all."""
    share = Matches(
        place=Place(node.url),
        kind=KINDS["el_dorado"],
        players=PLAYERS,
        concurrency=rooms,
        games=games,
        duration_s=None if games else seconds,
        ramp_up_s=seconds / 2,  # so that games do not end all at once
        habits=Habits(think_s=think_s),
        config={"rounds": rounds},
        sample=sample,
    )
    what = "El Dorado" if not think_s else f"El Dorado, up to {think_s * 1000:.0f} ms for a move"
    return _run(what, share, node=node, on=on)


def relay(node: Node, on: Cores, *, rooms: int, seconds: float) -> Run:
    """Relay messages."""
    share = Relay(
        place=Place(node.url),
        rooms=rooms,
        players=PLAYERS,
        window=WINDOW,
        payload_bytes=PAYLOAD_BYTES,
        duration_s=seconds,
        ramp_up_s=1,
        sample=10,
    )
    return _run(f"relay, {rooms} rooms", share, node=node, on=on)


def signal(server: Server, on: Cores, *, pairs: int, seconds: float, name: str) -> Run:
    """Pass messages on between peers, on our server or on another one."""
    share = Signaling(
        place=Place(server.url),
        pairs=pairs,
        window=WINDOW,
        payload_bytes=PAYLOAD_BYTES,
        duration_s=seconds,
        ramp_up_s=1,
        asks=False,
    )
    with watching(on=on, server=server.pid) as watch:
        measured = merge(run_shares([share], progress=lambda _: None))
    began, ended = measured.numbers["from s"], measured.numbers["to s"]
    numbers = _numbers(measured)
    return Run(f"{name}, {pairs} pairs", numbers, measured.checks, watch.between(began, ended))


def hold(node: Node, on: Cores, *, connections: int) -> Run:
    """Hold idle connections."""
    share = Idle(place=Place(node.url), connections=connections, duration_s=5, pid=node.pid)
    return _run(f"{connections:,} idle connections", share, node=node, on=on)


def watch_epoch(node: Node, on: Cores, *, watchers: int, seconds: float) -> Run:
    """Let bots claim and people vote while thousands watch."""
    bots = node.console("epoch", "bots", str(BOTS), "--live", "--speed", str(EPOCH_SPEED))
    voters = node.console("epoch", "voters", str(VOTERS))
    meeting = Meeting(EPOCH_PROCESSES)
    shares = [
        Epoch(
            place=Place(node.url, index, EPOCH_PROCESSES),
            watchers=watchers,
            epoch="current",
            claims_per_s=CLAIMS_PER_S,
            votes_per_s=VOTES_PER_S,
            duration_s=seconds,
            bots=tuple(bots),
            voters=tuple(voters),
            meeting=meeting,
        )
        for index in range(EPOCH_PROCESSES)
    ]
    return _run(f"an epoch, {watchers:,} watchers", *shares, node=node, on=on, add_up=gather)


def _run(what: str, *shares: Share, node: Node, on: Cores, add_up: AddUp = merge) -> Run:
    with watching(on=on, server=node.pid, database=node.database_pid) as watch:
        measured = add_up(run_shares(shares, progress=lambda _: None))
    assert measured.server is not None
    opened, closed = measured.server
    return Run(what, _numbers(measured), measured.checks, watch.between(opened.at_s, closed.at_s))


def _numbers(measured: Measured) -> dict[str, float]:
    return report_of("", measured, began_at="", settings={}).rows
