"""How much address space this process may use, so that one mistake takes not the whole machine's.

The limit moves: it is set again and again to what is used now and some room more. An allocation
that does not fit raises `MemoryError` where it is made, instead of having the kernel end the
process.
Only Linux counts address space in a way that this works with; elsewhere there is no limit.
"""

import resource
import sys
from pathlib import Path
from typing import Final

_PAGE_BYTES: Final = resource.getpagesize()
_STATM: Final = Path("/proc/self/statm")
HAS_LIMIT: Final = sys.platform == "linux" and _STATM.exists()


def leave_room(room_bytes: int) -> None:
    """Let the process grow by this much from what it uses now, and no further."""
    if not HAS_LIMIT:
        return
    used = int(_STATM.read_bytes().split(b" ", 1)[0]) * _PAGE_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = used + room_bytes
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def lift_limit() -> None:
    """Take the limit away: before another program is started, which would inherit it."""
    if HAS_LIMIT:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
