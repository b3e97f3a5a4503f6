"""What the server says of itself: its `/metrics`, or its process in `/proc`."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.line.errors import ClientError
from loadtest.line.web import Web

_EVENTS: Final = "playhall_events_committed_total"
_MEMORY: Final = "process_resident_memory_bytes"
_CPU: Final = "process_cpu_seconds_total"


@dataclass(frozen=True, slots=True)
class Scrape:
    """A server's own numbers at one moment; `at_s` is monotonic."""

    at_s: float
    events: float
    memory_bytes: float
    cpu_s: float


async def scrape(web: Web) -> Scrape | None:
    """Read `/metrics`; None where the server does not show them now."""
    try:
        numbers = parse(await web.text("/metrics"))
    except ClientError:
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
