"""What the server says of itself: its `/metrics`, or its process in `/proc`."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.request import ProxyHandler, build_opener

_EVENTS: Final = "playhall_events_committed_total"
_MEMORY: Final = "process_resident_memory_bytes"
_CPU: Final = "process_cpu_seconds_total"
TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Scrape:
    """A server's own numbers at one moment; `at_s` is monotonic."""

    at_s: float
    events: float
    memory_bytes: float
    cpu_s: float


_DIRECT = build_opener(ProxyHandler({}))  # as all that we send: see docs/clients.md


async def scrape(url: str) -> Scrape | None:
    """Read a server's `/metrics`; None where it does not show them now.

    In a thread: with thousands of sockets ready at every turn, a loop comes to its other work
    only every few seconds, and a new connection needs several turns.
    """
    return await asyncio.to_thread(_scrape, url)


def _scrape(url: str) -> Scrape | None:
    try:
        with _DIRECT.open(f"{url}/metrics", timeout=TIMEOUT_S) as answer:
            numbers = parse(answer.read().decode())
    except (OSError, ValueError):
        return None
    return Scrape(
        time.monotonic(), numbers.get(_EVENTS, 0), numbers.get(_MEMORY, 0), numbers.get(_CPU, 0)
    )


def parse(text: str) -> dict[str, float]:
    """Read the Prometheus text format: name (with labels) and value."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def resident_bytes(pid: int) -> int:
    """Read how much memory a process of this machine has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory of its own")
