"""The bounds of the gateway: what one connection, one address and the whole port may take."""

from dataclasses import dataclass

from protocol.limits import FRAGMENTS_MAX, FRAME_BYTES_MAX
from server.core.rate_limits import client_network


@dataclass(frozen=True, slots=True)
class TransportLimits:
    """Every bound on bytes, frames, connections and waiting below the protocol.

    A connection's memory is at most about `outbox_bytes_max` (shared with the other
    receivers of the same frames) plus five times the larger of `frame_bytes_max` and
    `socket_buffer_bytes`.
    """

    head_bytes_max: int = 16 * 1024
    handshake_timeout_s: float = 5.0
    connections_max: int = 20_000
    connections_per_address_max: int = 2_000
    turned_away_max: int = 1_000  # connections above those that get an answer; the rest is cut

    frame_bytes_max: int = FRAME_BYTES_MAX
    fragments_max: int = FRAGMENTS_MAX
    control_frames_per_s: float = 10.0
    control_frames_burst: float = 50.0

    outbox_bytes_max: int = 1 << 20
    outbox_frames_max: int = 10_000
    outbox_age_max_s: float = 10.0  # how long a write may stay unfinished
    socket_buffer_bytes: int = 128 * 1024  # asked of the kernel, each way

    close_timeout_s: float = 2.0  # for the client's part in the closing handshake

    # HTTP after the first request's head. A minimum rate, measured over each time-out, bounds a
    # body and an answer by their size; clients on slow lines are well above it.
    keepalive_timeout_s: float = 75.0  # between requests; above what proxies wait (60 s)
    body_timeout_s: float = 10.0
    body_bytes_per_s_min: int = 4 * 1024  # unless the body ends within the time-out
    write_timeout_s: float = 20.0
    write_bytes_per_s_min: int = 1024  # while any are unsent
    discarded_bytes_max: int = 1 << 20  # of what still comes once a connection is closing


def connections_per_address(connections_max: int) -> int:
    """Give how many of all connections one address may have where the operator sets no number.

    A tenth, but at least 64, since a household behind one address opens a few dozen; never
    more than half, so that one address cannot take them all.
    """
    return max(1, min(connections_max // 2, max(64, connections_max // 10)))


class AddressLimits:
    """How many connections each remote address has; addresses without any are forgotten.

    The /64 of an IPv6 address counts as one: a client that has one address has all 2^64.
    """

    __slots__ = ("_counts", "_per_address_max")

    def __init__(self, per_address_max: int) -> None:
        self._per_address_max = per_address_max
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def count_in(self, address: str) -> bool:
        """Count a connection in; False if its address has too many."""
        network = client_network(address)
        count = self._counts.get(network, 0)
        if count >= self._per_address_max:
            return False
        self._counts[network] = count + 1
        return True

    def count_out(self, address: str) -> None:
        """Count a connection out that had entered."""
        network = client_network(address)
        self._counts[network] -= 1
        if not self._counts[network]:
            del self._counts[network]
