"""How many events of telemetry a server takes, beside what PostgreSQL alone takes by COPY.

    python -m loadtest.telemetry [--batches 400] [--runs 5] [--connections 8]

It starts a server of its own on one core; the database and the load have the others. A run sends
batches of 500 events over HTTP, validated and deduplicated, each answered after its commit; then it
copies as many events into the same table, in as many transactions, past the server. Linux only. See
docs/operations/benchmarks.md.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp
import orjson
import psycopg
import typer
from rich.console import Console

from loadtest.benching.machine import CoreAssignment, CpuUsage, assign_cores, monitor_usage
from loadtest.benching.servers import BenchNode
from protocol.telemetry import BATCH_EVENTS_MAX

OWNER: Final = "postgres"
COPY: Final = Path(__file__).with_name("benching").joinpath("copy_events.sql").read_text()
SETTLE_S: Final = 0.3

out = Console(highlight=False)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Figures(NamedTuple):
    """What one way took; processor time is in microseconds for an event."""

    events_per_s: float
    server_us: float
    database_us: float
    load_us: float


class Player(NamedTuple):
    """An account, and the requests that it sends."""

    token: str
    requests: list[bytes]


def uuid7() -> str:
    """Make an id of now."""
    value = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    value[6] = 0x70 | value[6] & 0x0F
    value[8] = 0x80 | value[8] & 0x3F
    return str(UUID(bytes=bytes(value)))


def make_events() -> list[dict[str, Any]]:
    """Make a batch as a game would send it."""
    return [
        {
            "event_id": uuid7(),
            "event_type": "quest_step",
            "payload": {"quest": "the_heist", "step": f"step_{place % 20}", "order": place % 20},
            "session": "s-0123456789",
        }
        for place in range(BATCH_EVENTS_MAX)
    ]


def written(url: str, token: str, events: Sequence[dict[str, Any]]) -> bytes:
    """Write a whole request, so that the load costs little while it is sent."""
    body = orjson.dumps({"events": events})
    head = (
        f"POST /v1/telemetry HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def sign_in(url: str, count: int) -> list[str]:
    """Make guests; gives their tokens."""
    tokens = []
    async with aiohttp.ClientSession(url) as web:
        for _ in range(count):
            async with web.post("/v1/auth/guest", json={}) as reply:
                tokens.append((await reply.json())["access_token"])
    return tokens


async def send_all(url: str, players: Sequence[Player]) -> tuple[int, int]:
    """Send everything, a connection for each player; gives the accepted and the duplicates."""
    done = await asyncio.gather(*(_send(url, player) for player in players))
    return sum(accepted for accepted, _ in done), sum(known for _, known in done)


async def _send(url: str, player: Player) -> tuple[int, int]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    accepted = known = 0
    for request in player.requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        _, _, rest = head.lower().partition(b"content-length: ")
        answer = orjson.loads(await reader.readexactly(int(rest.partition(b"\r\n")[0])))
        if b" 200 " not in head.partition(b"\r\n")[0] or answer["refused"]:
            raise SystemExit(f"a batch was refused: {answer}")
        accepted += answer["accepted"]
        known += len(answer["duplicates"])
    writer.close()
    return accepted, known


def copy_all(node: BenchNode, batches: Sequence[Sequence[tuple[str, ...]]]) -> None:
    """Copy batches of rows, each in a transaction of its own, as the owner of the tables."""
    with psycopg.connect(node.dsn(OWNER), autocommit=True) as database:
        for batch in batches:
            with database.cursor().copy(COPY.encode()) as copying:
                copying.write("".join("\t".join(row) + "\n" for row in batch))


def copied_rows(account_id: str, batches: int) -> Iterator[list[tuple[str, ...]]]:
    """Make the rows of batches in COPY's text format."""
    for _ in range(batches):
        at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        yield [
            (
                event["event_id"],
                account_id,
                event["event_type"],
                orjson.dumps(event["payload"]).decode(),
                at,
                event["session"],
                "1",
            )
            for event in make_events()
        ]


def measure(
    node: BenchNode, on: CoreAssignment, *, batches: int, connections: int
) -> tuple[Figures, Figures]:
    """Send and copy as many events; gives the figures of both."""
    tokens = asyncio.run(sign_in(node.url, connections))
    share = -(-batches // connections)
    players = [
        Player(token, [written(node.url, token, make_events()) for _ in range(share)])
        for token in tokens
    ]
    count = share * connections * BATCH_EVENTS_MAX
    rows = list(copied_rows("00000000-0000-4000-8000-000000000000", share * connections))
    with monitor_usage(on=on, server=node.pid, database=node.database_pid) as monitor:
        monitor.sample()
        began_s = time.monotonic()
        accepted, _ = asyncio.run(send_all(node.url, players))
        sent_s = time.monotonic()
        monitor.sample()
        time.sleep(SETTLE_S)
        copying_s = time.monotonic()
        monitor.sample()
        copy_all(node, rows)
        copied_s = time.monotonic()
        monitor.sample()
        again = asyncio.run(
            send_all(node.url, [each._replace(requests=each.requests[:2]) for each in players])
        )
    if accepted != count or again != (0, 2 * connections * BATCH_EVENTS_MAX):
        raise SystemExit(f"{accepted} of {count} events were stored, {again} when sent again")
    return (
        _figures(monitor.usage_between(began_s, sent_s), count, sent_s - began_s),
        _figures(monitor.usage_between(copying_s, copied_s), count, copied_s - copying_s),
    )


def _figures(usage: CpuUsage, count: int, seconds: float) -> Figures:
    def each_us(cores_used: float) -> float:
        return cores_used * usage.seconds / count * 1e6

    return Figures(
        count / seconds, each_us(usage.server), each_us(usage.database), each_us(usage.load)
    )


@app.command()
def main(
    batches: Annotated[int, typer.Option(min=1, help="Batches of 500 events in a run.")] = 400,
    runs: Annotated[int, typer.Option(min=1)] = 5,
    connections: Annotated[int, typer.Option(min=1, max=64)] = 8,
) -> None:
    """Measure, and show each run and the medians."""
    os.environ["PLAYHALL_TELEMETRY_BATCHES_PER_MINUTE"] = "1000000"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    on = assign_cores()
    os.sched_setaffinity(0, on.rest)
    with tempfile.TemporaryDirectory(prefix="playhall-telemetry-") as folder:
        Path(folder).chmod(0o755)
        node = BenchNode(Path(folder) / "node", on=on)
        node.start()
        try:
            measured = [
                measure(node, on, batches=batches, connections=connections) for _ in range(runs)
            ]
        finally:
            node.destroy()
    for what, figures in zip(("over HTTP", "by COPY"), zip(*measured, strict=True), strict=True):
        for each in figures:
            out.print(_line(what, each))
        middle = Figures(*(median(column) for column in zip(*figures, strict=True)))
        out.print(f"[bold]{_line(f'{what}, median', middle)}[/bold]")


def _line(what: str, figures: Figures) -> str:
    return (
        f"{what}: {figures.events_per_s:,.0f} events/s; for an event: server "
        f"{figures.server_us:.1f} µs, database {figures.database_us:.1f} µs, "
        f"load {figures.load_us:.1f} µs"
    )


if __name__ == "__main__":
    app()
